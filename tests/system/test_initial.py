#!/usr/bin/env python3
"""Where a model comes from and what becomes of numbers that no client would take: "initial" in run.json, from files that
are written here byte by byte, and models that diverge."""
import json
import math
import os
import struct

import harness
from harness import read_safetensors, safetensors, wait_exit

MODEL = {"input": 2, "loss": "softmax_cross_entropy",
         "layers": [{"type": "dense", "units": 4, "activation": "relu"}, {"type": "dense", "units": 3}]}
GOOD = {"fc1.weight": ([4, 2], [0.5, -1.25, 2, 0.125, 3, -0.75, 1, 0.0625]), "fc1.bias": ([4], [0.5, 0, -2, 1]),
        "fc2.weight": ([3, 4], [k / 8 for k in range(-6, 6)]), "fc2.bias": ([3], [1, -1, 0.5])}
ROWS = "a,b,label\n1.5,2,0\n3,4,1\n5,1,2\n2,2,1\n"


def tensors(**changed):
    """A file of (dtype, shape, bytes): GOOD as F32, but for what is changed (None: left out)."""
    out = {name: ("F32", shape, struct.pack(f"<{len(values)}f", *values)) for name, (shape, values) in GOOD.items()}
    for name, value in changed.items():
        out[name.replace("__", ".")] = value
    header, data = {}, b""
    for name, value in out.items():
        if value is not None:
            header[name] = {"dtype": value[0], "shape": value[1], "data_offsets": [len(data), len(data) + len(value[2])]}
            data += value[2]
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def config(world, **initial):
    rows = world.write("rows.csv", ROWS)
    return {"rounds": 1, "model": MODEL, "training": {"learning_rate": 1e-30}, "data": {"train": {"path": rows}},
            "initial": dict({"path": world.path("start.safetensors")}, **initial)}


def start(world, content, out=None, **initial):
    """Runs rondo-sim from a file; returns what it did, and the model's tensors where it came to its end."""
    world.write("start.safetensors", content)
    run = world.write("run.json", config(world, **initial))
    result = world.run(world.program("rondo-sim"), "--config", run, "--clients", 1, *(["--out", world.path(out)] if out else []))
    if result.returncode != 0 or not out:
        return result, None
    with open(world.path(out, "models/000000.safetensors"), "rb") as f:
        return result, {name: list(values) for name, (_, values) in read_safetensors(f.read()).items()}


def refused(world, words, content, **initial):
    result, _ = start(world, content, **initial)
    assert result.returncode == 1 and words in result.stderr, (words, result.stdout, result.stderr)
    return result.stderr


def bias(dtype, raw, shape=None):
    return {"fc2__bias": (dtype, [3] if shape is None else shape, raw)}


def test_numbers_of_four_types_become_the_model_exactly(world):
    wide = [1 / 3, -2.5e-3, 8388607.5]
    halves = [0x0001, 0x83ff, 0x7bff]  # 2^-24, -1023/1024 2^-14, 65504
    brains = [0x3f80, 0xc2f7, 0x0001]  # 1, -123.5, the smallest denormal number
    round32 = lambda x: struct.unpack("<f", struct.pack("<f", x))[0]
    for dtype, raw, expected in (
            ("F32", struct.pack("<3f", 1, 2, 3), [1, 2, 3]),
            ("F64", struct.pack("<3d", *wide), [round32(x) for x in wide]),
            ("F16", struct.pack("<3H", *halves), [2.0 ** -24, -1023 / 1024 * 2.0 ** -14, 65504.0]),
            ("BF16", struct.pack("<3H", *brains), [1.0, -123.5, 2.0 ** -133])):
        result, model = start(world, tensors(**bias(dtype, raw)), out="state-" + dtype)
        assert result.returncode == 0, result.stderr
        assert model["fc2.bias"] == expected, (dtype, model["fc2.bias"], expected)
        assert model["fc1.weight"] == GOOD["fc1.weight"][1]
        assert f"initial: 4 tensors taken from {world.path('start.safetensors')}\n" in result.stdout, result.stdout


def test_numbers_that_no_client_takes_are_refused_by_name(world):
    for dtype, raw, word in (
            ("F32", struct.pack("<3f", 1, math.nan, 3), "NaN"), ("F32", struct.pack("<3f", 1, -math.inf, 3), "infinite"),
            ("F32", struct.pack("<3f", 1, 2.0 ** 23, 3), "2^23 or more"), ("F64", struct.pack("<3d", 1, 1e300, 3), "2^23 or more"),
            ("F64", struct.pack("<3d", 1, math.nan, 3), "NaN"), ("F16", struct.pack("<3H", 0, 0x7c00, 0), "infinite"),
            ("F16", struct.pack("<3H", 0, 0x7e00, 0), "NaN"), ("BF16", struct.pack("<3H", 0, 0x4b00, 0), "2^23 or more")):
        refused(world, f"start.safetensors: tensor 'fc2.bias': element 1 is {word}", tensors(**bias(dtype, raw)))


def test_nothing_of_a_bad_file_stays(world):
    good, _ = start(world, tensors(), out="fresh")
    last = good.stdout.splitlines()[-1]
    result, _ = start(world, tensors(**bias("F32", struct.pack("<3f", 1, math.nan, 3))), out="state")
    assert result.returncode == 1, result.stdout
    assert not os.path.exists(world.path("state/models/000000.safetensors"))
    result, _ = start(world, tensors(), out="state")
    assert result.returncode == 0 and result.stdout.splitlines()[-1] == last, (result.stdout, good.stdout)


def test_an_aggregator_publishes_nothing_of_a_bad_file(world):
    world.certificates(["one"])
    run = world.write("run.json", {k: v for k, v in config(world).items() if k != "data"})
    serve = [world.program("rondo-aggregator"), "serve", "--config", run, "--state", world.path("state"),
             "--listen", "127.0.0.1:0", *world.tls("aggregator")]
    world.write("start.safetensors", tensors(**bias("F64", struct.pack("<3d", 1, 1e39, 3))))
    result = world.run(*serve)
    assert result.returncode == 1 and "tensor 'fc2.bias': element 1 is 2^23 or more" in result.stderr, result.stderr
    assert "listening" not in result.stdout, result.stdout
    world.write("start.safetensors", tensors(fc2__bias=None, ids=("U16", [2], b"1234"), **{"fc2__weight": None}))
    run = world.write("run.json", dict(json.loads(harness.read(run)), initial={
        "path": world.path("start.safetensors"), "map": {"ids": None}, "partial": True}))
    aggregator = world.aggregator(run)
    client = world.client(aggregator, "one", world.path("rows.csv"))
    assert wait_exit(client) == 0, harness.read(client.log)
    assert wait_exit(aggregator) == 0, harness.read(aggregator.log)
    assert (f"initial: 2 tensors taken from {world.path('start.safetensors')}; at random: fc2.weight, fc2.bias; "
            "left out: ids\n") in harness.read(aggregator.log), harness.read(aggregator.log)


def test_what_a_file_lacks_must_be_meant(world):
    lacking = tensors(fc2__bias=None)
    refused(world, """1 of the model's tensors is not taken from it, beginning with 'fc2.bias'; with "partial": true in initial""", lacking)
    refused(world, "2 of the model's tensors are not taken from it, beginning with 'fc2.weight'", tensors(), map={"fc2.*": None})
    result, model = start(world, lacking, out="state", partial=True)
    assert result.returncode == 0 and "3 tensors taken" in result.stdout and "; at random: fc2.bias\n" in result.stdout, result.stdout
    assert model["fc2.weight"] == GOOD["fc2.weight"][1]
    refused(world, "it holds no tensor", struct.pack("<Q", 2) + b"{}", partial=True)
    refused(world, "run.json: initial.partial: expected true or false, found 1", tensors(), partial=1)


def test_low_rank_changes_may_be_absent(world):
    world.write("start.safetensors", tensors())
    run = dict(config(world), model=dict(MODEL, fine_tuning={"freeze": ["*"], "lora": {"rank": 2, "targets": ["fc1.weight"]}}))
    result = world.run(world.program("rondo-sim"), "--config", world.write("run.json", run), "--clients", 1)
    assert result.returncode == 0 and "; at random: fc1.lora_A.weight, fc1.lora_B.weight\n" in result.stdout, (result.stdout, result.stderr)


def test_every_entry_of_the_map_is_of_use(world):
    f32 = lambda name: ("F32", GOOD[name][0], struct.pack(f"<{len(GOOD[name][1])}f", *[7] * len(GOOD[name][1])))
    refused(world, "has no tensor 'wte.wieght', of which initial.map speaks", tensors(), map={"wte.wieght": None})
    refused(world, "has no tensor 'no.such', of which initial.map speaks", tensors(), map={"no.such": "fc1.weight"})
    refused(world, "has no tensor 'module.*', of which initial.map speaks; a key with * or ? can only be null",
            tensors(), map={"module.*": "*"})
    refused(world, "initial.map: 'ema' cannot become 'fc9.weight': the model has no such tensor",
            tensors(ema=f32("fc1.weight")), map={"ema": "fc9.weight"})
    refused(world, "tensors 'fc2.bias' and 'ema' are both for the model's 'fc2.bias'; null in initial.map leaves one out",
            tensors(ema=f32("fc2.bias")), map={"ema": "fc2.bias"})
    refused(world, "tensors 'a' and 'b' are both for the model's 'fc2.bias'",
            tensors(a=f32("fc2.bias"), b=f32("fc2.bias"), fc2__bias=None), map={"a": "fc2.bias", "b": "fc2.bias"})
    # A name in full goes before a pattern, wherever it stands.
    for order in ({"ema.*": None, "ema.bias": "fc2.bias"}, {"ema.bias": "fc2.bias", "ema.*": None}):
        result, model = start(world, tensors(ema__bias=f32("fc2.bias"), ema__step=("I64", [], bytes(8)), fc2__bias=None),
                              out="state-" + next(iter(order))[-1], map=order)
        assert result.returncode == 0 and model["fc2.bias"] == [7, 7, 7], (result.stderr, model)
        assert "; left out: ema.step\n" in result.stdout, result.stdout
    world.write("start.safetensors", tensors())
    run = json.dumps(config(world, map={"x": None})).replace('"x": null', '"fc1.bias": null, "fc1.bias": "fc1.bias"')
    result = world.run(world.program("rondo-sim"), "--config", world.write("run.json", run), "--clients", 1)
    assert result.returncode == 1 and "initial.map.fc1.bias is there twice" in result.stderr, result.stderr


def test_null_excuses_whatever_a_tensor_is(world):
    strange = {"ids": ("U16", [2], b"1234"), "scale": ("F8_E4M3", [3], b"123"), "packed": ("F4", [4], b"12"), "a" * 300: ("F32", [1], bytes(4)),
               "nan": ("F32", [1], struct.pack("<f", math.nan)), "step": ("I64", [], bytes(8)), "none": ("F32", [0, 4], b"")}
    result, model = start(world, tensors(**strange), out="state", map={"ids": None, "scale": None, "packed": None, "a*": None, "n*n*": None, "step": None})
    assert result.returncode == 0 and model == {name: values for name, (_, values) in GOOD.items()}, result.stderr
    assert all(name in result.stdout for name in ("; left out: ", "ids", "scale", "packed", "nan", "step", "none")), result.stdout
    refused(world, "tensor 'fc2.bias' is F6_E2M3; F32, F64, F16 or BF16 was expected", tensors(**bias("F6_E2M3", b"123")))
    refused(world, "tensor 'fc2.bias' is I64; F32, F64, F16 or BF16 was expected", tensors(**bias("I64", bytes(24))))
    printed = world.check(world.program("rondo-inspect"), "model", world.write("zoo.safetensors", tensors(**strange)))
    assert "F8_E4M3" in printed and "U16" in printed, printed


def test_shapes_that_differ_are_reported(world):
    turned = ("F32", [2, 4], struct.pack("<8f", *GOOD["fc1.weight"][1]))
    refused(world, "tensor 'fc1.weight' has shape [2, 4], but the model's 'fc1.weight' has [4, 2] (is it transposed?)", tensors(fc1__weight=turned))
    refused(world, "tensor 'fc2.bias' has shape [3, 1], but the model's 'fc2.bias' has [3]; null", tensors(**bias("F32", bytes(12), [3, 1])))


def test_a_damaged_file_says_how(world):
    whole = tensors()
    refused(world, f"has {len(whole) - 5} bytes, its header describes {len(whole)}: it was cut short", whole[:-5])
    refused(world, f"has {len(whole) + 1} bytes, its header describes {len(whole)}: something follows its end", whole + b"\0")


def test_an_exported_model_is_where_another_run_begins(world):
    first, _ = start(world, tensors(), out="state")
    world.check(world.program("rondo-inspect"), "export", world.path("state"), "--out", world.path("start.safetensors"))
    with open(world.path("start.safetensors"), "rb") as f:
        again, _ = start(world, f.read(), out="again")
    assert world.rounds("again")[0]["model_sha256"] == world.rounds("state")[-1]["model_sha256"], (first.stdout, again.stdout)


def test_files_of_other_kinds_are_named(world):
    for content, words in ((b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(50), "pickle"), (b"PK\x03\x04" + bytes(22) + struct.pack("<HH", 16, 0) + b"archive/data.pkl" + bytes(90), "PyTorch file; write it with safetensors.torch.save_file"),
                           (b'{"metadata": {"total_size": 10}, "weight_map": {"fc1.weight": "model-00001-of-00002.safetensors"}}', "is the index of a model in several files"),
                           (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "Git LFS")):
        assert "a safetensors file was expected" in refused(world, words, content)


def test_a_model_that_diverges_at_the_server_blames_the_server(world):
    """Two steps of at most 2^23 leave the range together: no client is given such a model, the round is abandoned."""
    rows = world.write("rows.csv", "x,y\n" + "1,1000000\n" * 4)
    run = {"rounds": 3, "model": {"input": 1, "loss": "mse", "layers": [{"type": "dense", "units": 1}]},
           "training": {"learning_rate": 0.1, "batch_size": 0}, "strategy": {"name": "fedavgm", "momentum": 0.9, "server_learning_rate": 100},
           "data": {"train": {"path": rows, "regression": True}}}
    result = world.run(world.program("rondo-sim"), "--config", world.write("run.json", run), "--clients", 1, "--out", world.path("state"))
    assert result.returncode == 0, result.stdout
    assert [r["aggregated"] for r in world.rounds()] == [True, False, False, True]
    assert len({r["model_sha256"] for r in world.rounds()[:3]}) == 1, world.rounds()
    assert world.rounds()[1]["abandoned"] == "the global model diverged: element 0 of fc1.weight is 2^23 or more; smaller learning rates may help", world.rounds()[1]
    # What no round follows is sent to nobody, and may be as large as numbers are; not so when rounds are added.
    whole = world.check(world.program("rondo-sim"), "--config", world.write("run.json", dict(run, rounds=1)), "--clients", 1, "--out", world.path("last"))
    assert "finished after round 1" in whole, whole
    result = world.run(world.program("rondo-sim"), "--config", world.write("run.json", dict(run, rounds=2)), "--clients", 1, "--out", world.path("last"))
    assert result.returncode == 1 and "round 1: the global model diverged: element 0 of fc1.weight is 2^23 or more" in result.stderr, result.stderr


def test_a_loss_beyond_numbers_names_what_is_large(world):
    rows = world.write("rows.csv", "x,y,label\n" + f"{2.0 ** 126},-{2.0 ** 126},0\n-{2.0 ** 126},{2.0 ** 126},1\n" * 3)
    few = world.write("few.csv", "x,y,label\n1,2,0\n3,1,1\n1,2,0\n3,1,1\n")
    model = {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]}
    world.write("start.safetensors", safetensors({"fc1.weight": ([2, 2], [8e6, -8e6, -8e6, 8e6]), "fc1.bias": ([2], [0, 0])}))
    run = {"rounds": 1, "model": model, "training": {"learning_rate": 1e-6}, "initial": {"path": world.path("start.safetensors")}}
    large = "where a number below 2^40 was expected (parameters up to 8e+06 in fc1.weight, features up to 8.51e+37)"
    data = {"train": {"path": rows}}
    result = world.run(world.program("rondo-sim"), "--config", world.write("run.json", dict(run, data=data)), "--clients", 1)
    assert "client-1 failed: round 1: the model as it came, on this client's rows: the loss is " in result.stdout, result.stdout
    assert "learning_rate may help" not in result.stdout, result.stdout
    data = {"train": {"path": few}, "test": {"path": rows}}
    result = world.run(world.program("rondo-sim"), "--config", world.write("run.json", dict(run, data=data)), "--clients", 1)
    assert result.returncode == 1 and "round 0: the global model on data.test: samples 0 to 5: the loss is " in result.stderr and large in result.stderr, result.stderr
    prices = world.write("prices.csv", "x,y\n" + "1,1e8\n2,2e8\n" * 2)
    run = {"rounds": 1, "model": {"input": 1, "loss": "mse", "layers": [{"type": "dense", "units": 1}]}, "training": {"learning_rate": 1e-6},
           "data": {"train": {"path": prices, "regression": True}, "test": {"path": prices, "regression": True}}}
    result = world.run(world.program("rondo-sim"), "--config", world.write("run.json", run), "--clients", 1)
    assert result.returncode == 1 and "the loss is 2.5e+16, where a number below 2^40 was expected" in result.stderr and ", targets up to 2e+08)" in result.stderr, result.stderr


if __name__ == "__main__":
    harness.main()
