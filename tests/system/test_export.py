#!/usr/bin/env python3
"""What becomes of a run's model: export, predict, sample, model. Expected values are worked out here, number by number; PyTorch
has its own file."""
import csv
import io
import json
import struct

import harness
from harness import read_safetensors

ROWS = [(i % 7 / 3.0, i % 5 - 2.0, (i * i) % 11 / 5.0) for i in range(60)]


def simulate(world, config, clients=2):
    path = world.write("run.json", config)
    world.check(world.program("rondo-sim"), "--config", path, "--clients", clients, "--out", world.path("state"), "--quiet")


def inspect(world, *arguments):
    return world.check(world.program("rondo-inspect"), *arguments)


def tensors(path):
    with open(path, "rb") as f:
        return read_safetensors(f.read())


def matrix(tensor):
    (rows, columns), values = tensor
    return [values[r * columns:(r + 1) * columns] for r in range(rows)]


def dense(weight, bias, x):
    return [sum(w * v for w, v in zip(row, x)) + b for row, b in zip(matrix(weight), bias[1])]


def table(world, targets):
    rows = "".join(f"{a!r},{b!r},{c!r},{y}\n" for (a, b, c), y in zip(ROWS, targets))
    return {"path": world.write("table.csv", "a,b,c,y\n" + rows)}


def predictions(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_predict_of_a_linear_regression(world):
    data = table(world, [2 * a - b + 0.5 * c for a, b, c in ROWS])
    simulate(world, {"rounds": 3, "model": {"preset": "linear-regression", "input": 3}, "training": {"learning_rate": 0.05},
                     "data": {"train": {**data, "regression": True}}})
    said = {}
    for round in (2, 3):  # the newest two are there
        told = inspect(world, "export", world.path("state"), "--out", world.path("model.safetensors"), "--round", round)
        assert told == f"{world.path('model.safetensors')}: 2 tensors of round {round}\n", told
        model = tensors(world.path("model.safetensors"))
        assert model == tensors(world.path(f"state/models/00000{round}.safetensors"))
        out = predictions(inspect(world, "predict", world.path("state"), "--data", data["path"], "--round", round))
        assert len(out) == len(ROWS)
        for x, row in zip(ROWS, out):
            (expected,) = dense(model["fc1.weight"], model["fc1.bias"], x)
            assert abs(float(row["output_0"]) - expected) < 1e-5 * (1 + abs(expected)), (round, x, row, expected)
        said[round] = [row["output_0"] for row in out]
    assert said[2] != said[3]
    newest = inspect(world, "predict", world.path("state"), "--data", data["path"])
    assert [row["output_0"] for row in predictions(newest)] == said[3]


LORA = {"rank": 2, "alpha": 4, "targets": ["fc1.weight"]}


def test_export_and_predict_of_a_model_with_lora(world):
    data = table(world, [int(a > 1) for a, _, _ in ROWS])
    model = {"input": 3, "loss": "softmax_cross_entropy", "fine_tuning": {"freeze": ["*"], "train": ["fc2.*"], "lora": LORA},
             "layers": [{"type": "dense", "units": 5, "activation": "relu"}, {"type": "dense", "units": 2}]}
    simulate(world, {"rounds": 4, "model": model, "training": {"learning_rate": 0.2, "epochs": 2}, "data": {"train": data}})
    inspect(world, "export", world.path("state"), "--out", world.path("merged.safetensors"))
    inspect(world, "export", world.path("state"), "--out", world.path("apart.safetensors"), "--keep-lora")
    merged, apart, sent = (tensors(world.path(p)) for p in ("merged.safetensors", "apart.safetensors", "state/models/000004.safetensors"))
    assert set(merged) == {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}
    (a,), (b,) = ([n for n in apart if letter in n] for letter in ("lora_A", "lora_B"))
    assert set(apart) == set(merged) | {a, b} and set(sent) == {a, b, "fc2.weight", "fc2.bias"}
    assert all(apart[name] == sent[name] for name in sent) and any(apart[b][1])
    A, B = matrix(apart[a]), matrix(apart[b])
    for o, row in enumerate(matrix(apart["fc1.weight"])):
        for i, w in enumerate(row):
            expected = w + LORA["alpha"] / LORA["rank"] * sum(B[o][r] * A[r][i] for r in range(LORA["rank"]))
            assert abs(matrix(merged["fc1.weight"])[o][i] - expected) < 1e-6 * (1 + abs(expected)), (o, i)
    for x, row in zip(ROWS, predictions(inspect(world, "predict", world.path("state"), "--data", data["path"]))):
        hidden = [max(0.0, h) for h in dense(merged["fc1.weight"], merged["fc1.bias"], x)]
        outputs = dense(merged["fc2.weight"], merged["fc2.bias"], hidden)
        for o, expected in enumerate(outputs):
            assert abs(float(row[f"output_{o}"]) - expected) < 1e-5, (x, row, outputs)
        assert abs(outputs[0] - outputs[1]) < 1e-5 or int(row["class"]) == (outputs[1] > outputs[0]), (x, row)


def test_the_frozen_part_travels_once(world):
    """GET /v1/frozen, and what there is of it: nothing without fine-tuning."""
    world.certificates(["alice"])
    layers = [{"type": "dense", "units": 5, "activation": "relu"}, {"type": "dense", "units": 1}]
    config = {"rounds": 1, "training": {"learning_rate": 0.1}, "model": {"input": 3, "loss": "mse", "layers": layers}}
    aggregator = world.aggregator(world.write("plain.json", config), "--linger-seconds", "0", state="plain")
    alice = world.session(aggregator, "alice")
    alice.join()
    status, body, _ = alice.request("GET", "/v1/frozen")
    assert status == 404, (status, body)
    config["model"]["fine_tuning"] = {"freeze": ["*"], "train": ["fc2.*"], "lora": LORA}
    aggregator = world.aggregator(world.write("frozen.json", config), "--linger-seconds", "0", state="state", log="frozen.log")
    alice = world.session(aggregator, "alice")
    alice.join()
    assert alice.task()[0] == 200
    status, body, _ = alice.request("GET", "/v1/frozen")
    assert status == 200
    frozen = read_safetensors(body)
    assert {n: shape for n, (shape, _) in frozen.items()} == {"fc1.weight": [5, 3], "fc1.bias": [5]}
    inspect(world, "export", world.path("state"), "--out", world.path("apart.safetensors"), "--keep-lora")
    apart = tensors(world.path("apart.safetensors"))
    assert all(apart[name] == frozen[name] for name in frozen)


def test_sample_of_a_language_model(world):
    """A table of embeddings and one dense layer, over a window of three symbols."""
    text = "".join("abcd"[(i * i + i // 3) % 4] for i in range(400)) + "\n"
    vocabulary = inspect(world, "vocabulary", world.write("text.txt", text)).strip()
    symbols = json.loads(vocabulary)
    assert symbols == "".join(sorted(set(text))), vocabulary
    model = {"input": {"tokens": 3, "vocabulary": symbols}, "loss": "softmax_cross_entropy",
             "layers": [{"type": "embedding", "units": 4}, {"type": "flatten"}, {"type": "dense", "units": len(symbols)}]}
    simulate(world, {"rounds": 2, "keep_every": 1, "model": model, "training": {"learning_rate": 0.5}, "data": {"train": {"path": world.path("text.txt"), "format": "text"}}})

    def sample(*options):
        said = inspect(world, "sample", world.path("state"), "--prompt", "ab", *options)
        assert said.startswith("ab") and said.endswith("\n")
        return said[2:-1]

    def likeliest(round, count):
        inspect(world, "export", world.path("state"), "--out", world.path("m.safetensors"), "--round", round)
        m = tensors(world.path("m.safetensors"))
        (embedding,) = [matrix(t) for t in m.values() if t[0] == [len(symbols), 4]]
        (weight,) = [t for t in m.values() if t[0] == [len(symbols), 12]]
        (bias,) = [t for t in m.values() if t[0] == [len(symbols)]]
        tokens = [symbols.index(s) for s in "ab"]
        for _ in range(count):
            window = ([0, 0, 0] + tokens)[-3:]
            outputs = dense(weight, bias, [v for token in window for v in embedding[token]])
            tokens.append(outputs.index(max(outputs)))
        return "".join(symbols[t] for t in tokens[2:])

    assert sample("--symbols", 40, "--temperature", 0) == likeliest(2, 40)
    assert sample("--symbols", 40, "--temperature", 0, "--round", 0) == likeliest(0, 40) != likeliest(2, 40)
    assert sample("--symbols", 40, "--temperature", 9, "--top-k", 1) == likeliest(2, 40)
    assert sample("--symbols", 60, "--seed", 3) == sample("--symbols", 60, "--seed", 3) != sample("--symbols", 60, "--seed", 4)
    assert len(sample()) == 500
    # Where it is hot every symbol comes up, where only two may come at most two follow the same window.
    assert set(sample("--temperature", 1000)) == set(symbols)
    pairs = sample("--temperature", 1000, "--top-k", 2)
    follow = {}
    for i in range(3, len(pairs)):
        follow.setdefault(pairs[i - 3:i], set()).add(pairs[i])
    assert max(len(s) for s in follow.values()) == 2


def test_what_a_convolution_costs(world):
    image = world.write("image.json", {"rounds": 1, "training": {"learning_rate": 1}, "model": {"input": [2, 6, 6], "loss": "softmax_cross_entropy", "layers": [
        {"type": "conv2d", "channels": 4, "kernel": 3, "padding": 1}, {"type": "flatten"}, {"type": "dense", "units": 3}]}})
    conv, _, dense_layer = (json.loads(line) for line in inspect(world, "model", image, "--jsonl").splitlines())
    # 36 places, 4 channels, windows of 2 x 3 x 3.
    assert (conv["parameters"], conv["flops"], conv["bytes"]) == (4 * 18 + 4, 2 * 36 * 4 * 18, 4 * 36 * 4), conv
    assert (dense_layer["parameters"], dense_layer["flops"], dense_layer["bytes"]) == (3 * 144 + 3, 2 * 3 * 144, 4 * 3), dense_layer


def test_predict_of_samples_in_safetensors(world):
    """The same samples, from a table and from a file such as NumPy writes."""
    data = table(world, [2 * a - b + 0.5 * c for a, b, c in ROWS])
    simulate(world, {"rounds": 2, "model": {"preset": "linear-regression", "input": 3}, "training": {"learning_rate": 0.05},
                     "data": {"train": {**data, "regression": True}}})
    with open(world.path("x.safetensors"), "wb") as f:
        f.write(harness.safetensors({"x": ([len(ROWS), 3], [v for row in ROWS for v in row])}))
    assert inspect(world, "predict", world.path("state"), "--data", world.path("x.safetensors")) == \
        inspect(world, "predict", world.path("state"), "--data", data["path"])


def test_predict_of_images_without_labels(world):
    """train-labels beside train-images is for training; the images to predict on have none."""
    pixels = bytes((i * 37) % 256 for i in range(12 * 4))

    def idx(name, dimensions, data):
        with open(world.path(name), "wb") as f:
            f.write(struct.pack(f">I{len(dimensions)}I", 0x800 + len(dimensions), *dimensions) + data)
        return world.path(name)
    train = idx("train-images-idx3-ubyte", (12, 2, 2), pixels)
    idx("train-labels-idx1-ubyte", (12,), bytes(i % 3 for i in range(12)))
    new = idx("new-images-idx3-ubyte", (12, 2, 2), pixels)
    simulate(world, {"rounds": 2, "model": {"preset": "softmax-regression", "input": 4, "classes": 3}, "training": {"learning_rate": 0.5},
                     "data": {"train": {"path": train}}})
    assert inspect(world, "predict", world.path("state"), "--data", new) == inspect(world, "predict", world.path("state"), "--data", train)
    refused = world.run(world.program("rondo-inspect"), "predict", world.path("state"), "--data", new, "--labels", world.path("absent"))
    assert refused.returncode == 1 and "absent" in refused.stderr, refused
    # Where labels are needed, they are asked for.
    run = world.run(world.program("rondo-sim"), "--config", world.write("needs.json", {
        "rounds": 1, "model": {"preset": "softmax-regression", "input": 4, "classes": 3}, "training": {"learning_rate": 0.5},
        "data": {"train": {"path": new}}}), "--clients", 2)
    assert run.returncode == 1 and "new-labels-idx1-ubyte" in run.stderr, run


def test_model_of_a_state_counts_what_is_there(world):
    data = table(world, [int(a > 1) for a, _, _ in ROWS])
    model = {"input": 3, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 5, "activation": "relu"}, {"type": "dense", "units": 2}]}
    simulate(world, {"rounds": 1, "model": model, "training": {"learning_rate": 0.2}, "data": {"train": data}})
    layers = [json.loads(line) for line in inspect(world, "model", world.path("state"), "--jsonl").splitlines()]
    assert [layer["parameters"] for layer in layers if layer.get("parameters")] == [3 * 5 + 5, 5 * 2 + 2], layers
    assert [layer["flops"] for layer in layers if layer.get("flops")] == [2 * 3 * 5, 2 * 5 * 2], layers  # a multiplication and an addition each
    assert [layer["bytes"] for layer in layers if layer.get("parameters")] == [4 * 5, 4 * 2], layers  # floats of a layer's output
    of_file = predictions(inspect(world, "model", world.path("state/models/000001.safetensors"), "--csv"))
    values = tensors(world.path("state/models/000001.safetensors"))
    assert {row["tensor"] for row in of_file} == set(values)
    for row in of_file:
        shape, numbers = values[row["tensor"]]
        assert int(row["parameters"]) == len(numbers) and float(row["min"]) == min(numbers) and float(row["max"]) == max(numbers), row
        assert abs(float(row["mean"]) - sum(numbers) / len(numbers)) < 1e-6, row


if __name__ == "__main__":
    harness.main()
