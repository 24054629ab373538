#!/usr/bin/env python3
"""What keys of run.json cannot be together, what data cannot be and what words cannot be said: a table of each, with the words
that have to be in the answer. What one key alone cannot be is in tests/reference/configs."""
import base64
import gzip
import hashlib
import json
import os

import harness

TABLE = "a,b,c,y\n" + "".join(f"{i % 7},{i % 5},{i % 3},{(i % 7 > 3) + 0}\n" for i in range(60))
DENSE = {"type": "dense", "units": 2}
NAIVE = {"input": 3, "loss": "softmax_cross_entropy", "layers": [{"type": "gaussian_naive_bayes", "classes": 2}]}
EMBEDDING = {"type": "embedding", "units": 6}
TOKENS = {"tokens": 4, "vocabulary": "abc"}


def configuration(world, **changes):
    """A run that goes well, but for the changes; None takes a key out."""
    config = {"rounds": 1, "model": {"input": 3, "loss": "softmax_cross_entropy", "layers": [DENSE]}, "training": {"learning_rate": 0.1, "batch_size": 10},
              "data": {"train": {"path": world.path("table.csv")}}}
    config.update(changes)
    return {k: v for k, v in config.items() if v is not None}


def simulated(world, config, *options, clients=3):
    return world.run(world.program("rondo-sim"), "--config", world.write("run.json", config), "--clients", clients, "--quiet", *options)


def refused(result, words, code=1):
    assert result.returncode == code, f"ended with {result.returncode}, not {code} and {words!r}:\n{result.stdout}{result.stderr}"
    assert words in result.stderr, f"{words!r} is not in: {result.stderr}"
    assert result.stderr.count("\n") <= 3, result.stderr


def all_refused(world, cases, config_of):
    wrong = []
    for case, words in cases:
        try:
            refused(simulated(world, config_of(case)), words)
        except AssertionError as e:
            wrong.append(f"{case}: {e}")
    assert not wrong, "\n".join(wrong)


def layers(*described, input=3, loss="softmax_cross_entropy", **more):
    return {"input": input, "loss": loss, "layers": list(described), **more}


MODELS = [
    (layers({"type": "attention", "heads": 4}, {"type": "mean"}, DENSE, input=[4, 6]), "vectors of 6 numbers cannot be cut into 4 heads"),
    (layers({"type": "attention", "heads": 2, "rotary": True}, {"type": "mean"}, DENSE, input=[4, 6]), "which rotary needs"),
    (layers({"type": "transformer", "heads": 2, "units": 8, "top_k": 1}, {"type": "mean"}, DENSE, input=[4, 6]), 'top_k has a meaning only with "experts"'),
    (layers({"type": "transformer", "heads": 2, "units": 8, "activation": "relu"}, {"type": "mean"}, DENSE, input=[4, 6]), "is GELU, inside"),
    (layers({"type": "transformer", "heads": 2, "units": 8}, DENSE), "takes a sequence (T, E), but what comes in is"),
    (layers({"type": "conv2d", "channels": 4, "kernel": 3, "groups": 3}, {"type": "flatten"}, DENSE, input=[4, 8, 8]), "cannot both be cut into 3 groups"),
    (layers({"type": "group_norm", "groups": 3}, {"type": "flatten"}, DENSE, input=[4, 8, 8]), "4 channels cannot be cut into 3 groups"),
    (layers({"type": "gru", "units": 4, "activation": "tanh"}, {"type": "last"}, DENSE, input=[4, 6]), "a recurrent layer has none but its own"),
    (layers({"type": "lstm", "units": 4, "activation": "tanh"}, {"type": "last"}, DENSE, input=[4, 6]), "a recurrent layer has none but its own"),
    (layers({"type": "rnn", "units": 4, "activation": "tanh"}, {"type": "last"}, DENSE, input=[4, 6]), "a recurrent layer has none but its own"),
    (layers({"type": "max_pool", "kernel": 2, "padding": 2}, {"type": "flatten"}, DENSE, input=[1, 8, 8]), "at most half of the kernel"),
    (layers({"type": "max_pool", "kernel": 9}, {"type": "flatten"}, DENSE, input=[1, 8, 8]), "which does not fit into the image (8, 8)"),
    (layers({"type": "tied_output"}, input=[4, 6]), "no layer of type embedding before it is named"),
    (layers(*[DENSE] * 5000), "a model has at most"),
    (layers({**DENSE, "units": 4000000}, {**DENSE, "units": 40000000}), "units"),
    (layers(DENSE, input=[1, 2, 3, 4]), "expected one to three whole numbers: [D], [T, E] or [C, H, W]"),
    (layers(DENSE, input=[60000, 60000]), "numbers a sample"),
    (layers(EMBEDDING, {"type": "tied_output"}, input={"tokens": 4, "vocabulary": "a"}), "expected at least 2 symbols"),
    (layers(EMBEDDING, {"type": "tied_output"}, input={"tokens": 4, "vocabulary": "aba"}), "stands there twice"),
    (layers({"type": "conv2d", "channels": 4, "kernel": 3}, input=[1, 8, 8]), "but a loss needs features (D) or a sequence (T, E)"),
    (layers(DENSE, loss="binary_cross_entropy"), "the loss binary_cross_entropy needs one output"),
    (layers({"type": "lstm", "units": 4}, input=[4, 6], loss="mse"), "the loss mse needs features (D)"),
    (layers({"type": "gaussian_naive_bayes", "classes": 2}, DENSE), "learns by counting: it stands alone"),
    (layers(DENSE, loss="inertia"), "need each other"),
    (layers({"type": "kmeans", "clusters": 2}, loss="mse"), "need each other"),
    ({**NAIVE, "loss": "mse"}, "needs softmax_cross_entropy, the loss of its posterior"),
    ({**NAIVE, "fine_tuning": {"freeze": ["*"]}}, "nothing of it can be frozen or local"),
    (layers({**DENSE, "bias": "yes"}), "bias: expected true or false"),
    (layers({"type": "dropout", "rate": "much"}, DENSE), "rate: expected a number from"),
    (layers({"type": "conv2d", "channels": 4, "kernel": [3, "x"]}, {"type": "flatten"}, DENSE, input=[1, 8, 8]), "kernel"),
    (layers({**DENSE, "name": "n" * 70}), "name"),
]


def test_models_that_cannot_be(world):
    world.write("table.csv", TABLE)
    all_refused(world, MODELS, lambda model: configuration(world, model=model))


RUNS = [
    ({"model": NAIVE, "training": None, "pruning": {"sparsity": 0.5, "from_round": 1, "to_round": 1, "targets": ["*"]}}, "the model learns by counting, and has no weights to prune"),
    ({"model": {"preset": "linear-regression", "input": 3}, "continual": {"tasks": [[0], [1]], "rounds_per_task": 1}, "rounds": 2}, "tasks are classes"),
    ({"model": NAIVE, "training": None, "strategy": {"name": "scaffold"}}, "learns by counting, which only fedavg sums"),
    ({"strategy": {"name": "scaffold"}, "training": {"learning_rate": 0.1, "optimizer": "adam"}}, "is for clients that train with sgd"),
    ({"strategy": {"name": "fednova", "proximal": 0.1}, "training": {"learning_rate": 0.1, "momentum": 0.9}}, "strategy.proximal: not together with training.momentum"),
    ({"strategy": {"name": "fedsgd"}}, "training.epochs must be 1 and training.batch_size 0"),
    ({"strategy": {"name": "scaffold"}, "pruning": {"sparsity": 0.5, "from_round": 1, "to_round": 1, "targets": ["*"]}}, "pruning: only with strategy fedavg, fedprox or fedsgd"),
    ({"data": {"train": {"path": "table.csv"}, "root": {"path": "table.csv"}}}, "data.root has a meaning only with strategy fltrust"),
    ({"strategy": {"name": "fltrust"}, "model": {**layers(DENSE, DENSE), "fine_tuning": {"local": ["fc2.*"]}}, "data": {"train": {"path": "table.csv"}, "root": {"path": "table.csv"}}},
     "whose server has no tensors of its own"),
    ({"model": {"preset": "linear-regression", "input": 3}, "data": {"train": {"path": "table.csv", "regression": True}}, "simulation": {"attack": {"type": "label_flip", "fraction": 0.3}}}, "this attack changes the classes of samples"),
    ({"simulation": {"attack": {"type": "backdoor", "fraction": 0.3, "size": 50}}}, "a trigger of 50 does not fit into the model's input"),
    ({"data": None}, "data.train is missing"),
    ({"data": {}}, "data.train is missing"),
    ({"cohort": {"min_clients": 3}, "simulation": {"system": {"availability": 0.001}}}, "in 100000 slots of 3600 s never 3 of the 3 clients were there at a time"),
    ({"cohort": {"max_samples": 19}}, "the largest of the 3 clients: samples: expected at most 19 (cohort.max_samples), found 20"),
    ({"cohort": {"min_clients": 4}}, "cohort.min_clients: 4, but only 3 clients are simulated"),
    ({"data": {"train": {"format": "text", "path": "text.txt"}}}, "a text needs a model whose input lists symbols"),
    ({"model": layers(EMBEDDING, {"type": "flatten"}, DENSE, input={"tokens": 3, "vocabulary": 4})}, "holds features, but layer 'embedding1' takes tokens"),
]


def test_keys_that_cannot_be_together(world):
    world.write("table.csv", TABLE)
    world.write("text.txt", "abc abc")
    all_refused(world, RUNS, lambda changes: configuration(world, **changes))


def test_files_that_cannot_be(world):
    world.write("table.csv", TABLE)
    packed = gzip.compress(TABLE.encode())
    os.mkdir(world.path("folder"))
    for content, words in ((packed[:-9], "the gzip stream is cut off"), (packed[:15] + b"\xff\xff\xff" + packed[18:], "damaged gzip file")):
        world.write("broken.csv.gz", content)
        refused(simulated(world, configuration(world, data={"train": {"path": "broken.csv.gz", "format": "csv"}})), words)
    refused(simulated(world, configuration(world, data={"train": {"path": "folder", "format": "leaf"}})), "folder")
    refused(simulated(world, configuration(world, data={"train": {"path": "nowhere", "format": "leaf"}})), "nowhere")
    for content, words in ((b"{}", "is JSON; a safetensors file was expected"), (harness.safetensors({"a": ([1], [1.0])})[:20], "safetensors")):
        world.write("initial.safetensors", content)
        refused(simulated(world, configuration(world, initial={"path": "initial.safetensors"})), words)
    header = b'{"__metadata__":{},"__metadata__":{}}'
    world.write("initial.safetensors", len(header).to_bytes(8, "little") + header)
    refused(simulated(world, configuration(world, initial={"path": "initial.safetensors"})), "__metadata__")


def test_words_that_a_command_line_cannot_have(world):
    world.write("table.csv", TABLE)
    config = world.write("run.json", configuration(world))
    simulator, inspect = world.program("rondo-sim"), world.program("rondo-inspect")
    for words, arguments in (("unknown command 'practise'", ["practise", "--config", config]),
                             ("--out DIR is missing: --seeds needs it", ["--config", config, "--clients", 2, "--seeds", 3]),
                             ("--seeds is for simulations", ["partition", "--config", config, "--clients", 2, "--seeds", 3, "--out", "x"]),
                             ("--method is for search", ["--config", config, "--clients", 2, "--method", "grid"]),
                             ("--trials is for search", ["--config", config, "--clients", 2, "--trials", 3]),
                             ("--parallel is for search", ["--config", config, "--clients", 2, "--parallel", 3]),
                             ("--out DIR is missing: partition writes", ["partition", "--config", config, "--clients", 2]),
                             ("--clients N is missing", ["--config", config])):
        refused(world.run(simulator, *arguments), words, 2)
    refused(world.run(world.program("rondo-aggregator"), "serf"), "there is no command 'serf'", 2)
    world.check(simulator, "--config", config, "--clients", 2, "--out", world.path("state"), "--quiet")
    state = world.path("state")
    for words, code, arguments in ((".svg or .png", 2, ["compare", state, state, "--out", "x.jpg"]),
                                   ("found 'speed'", 2, ["compare", state, state, "--metric", "speed"]),
                                   ("found 'miles'", 2, ["compare", state, state, "--against", "miles"]),
                                   ("compare needs the state directories", 2, ["compare"]),
                                   ("the run has no tasks", 1, ["forgetting", state, "--data", world.path("table.csv")]),
                                   ("the model is no language model: its input lists no symbols", 1, ["sample", state]),
                                   ("is not UTF-8", 1, ["vocabulary", world.write("latin.txt", b"\xe9t\xe9")]),
                                   ("No such file or directory", 1, ["export", state, "--out", world.path("no/where.safetensors")])):
        refused(world.run(inspect, *arguments), words, code)
    text = {"path": world.write("text.txt", "abcabc" * 30), "format": "text"}
    model = layers(EMBEDDING, {"type": "flatten"}, {"type": "dense", "units": 4}, input={"tokens": 4, "vocabulary": "abc"})
    other = configuration(world, model={**model, "layers": model["layers"][:2] + [{"type": "dense", "units": 3}]}, data={"train": text})
    world.check(simulator, "--config", world.write("text.json", other), "--clients", 2, "--out", world.path("words"), "--quiet")
    refused(world.run(inspect, "sample", world.path("words"), "--prompt", "ab?"), "--prompt: the symbol at byte 2 is not one of the model's", 2)
    world.check(simulator, "--config", world.write("text.json", {**other, "model": model}), "--clients", 2, "--out", world.path("four"), "--quiet")
    refused(world.run(inspect, "sample", world.path("four")), "it has 4 outputs for 3 symbols")


def test_searches_that_cannot_be(world):
    world.write("table.csv", TABLE)
    keys = {"training.learning_rate": {"from": 0.01, "to": 1}}

    def search(space, *options, **changes):
        return world.run(world.program("rondo-sim"), "search", "--config", world.write("run.json", configuration(world, **changes)), "--clients", 2, "--space",
                         world.write("space.json", space), "--out", world.path("search"), *options)

    good = {"method": "random", "trials": 2, "objective": "train_loss", "keys": keys}
    refused(search("{,}"), "line 1")
    refused(search("[1]"), "expected a JSON object")
    refused(search({**good, "method": "bayesian"}, "--trials", 99999), "--trials: expected at most", 2)
    many = {f"training.{k}": {"from": 0.1, "to": 0.9, "steps": 1000} for k in ("learning_rate", "momentum", "weight_decay")}
    refused(search({"method": "grid", "objective": "train_loss", "keys": many}), "the grid has")
    real = {"path": "table.csv", "regression": True}
    refused(search({**good, "objective": "test_accuracy"}, model={"preset": "linear-regression", "input": 3}, data={"train": real, "test": real}),
            "needs a loss over classes")
    refused(search(good, data={}), "data.train is missing")


def test_aggregators_that_cannot_start(world):
    world.certificates([])
    world.write("table.csv", TABLE)
    config = world.write("run.json", configuration(world))
    aggregator = world.aggregator(config)

    def serve(*more, state="other", tls=world.tls("aggregator")):
        return world.run(world.program("rondo-aggregator"), "serve", "--config", config, "--state", world.path(state), *tls, *more)

    refused(serve("--listen", "127.0.0.1:0", state="state"), "in use by another process")
    refused(serve("--listen", "256.1.1.1:0"), "--listen 256.1.1.1:0")
    refused(serve("--allow", world.write("nobody.txt", "\n# nobody\n")), "names no client")
    bundle = harness.read(world.path("certs/ca.crt")) + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    refused(serve(tls=["--ca", world.write("bundle.crt", bundle), *world.tls("aggregator")[2:]]), "of its certificates cannot be read")
    assert aggregator.poll() is None


def test_updates_with_another_digest(world):
    """Content-Digest (RFC 9530) is checked where a client sends it."""
    world.certificates(["alice", "bob"])
    config = {"rounds": 1, "model": {"preset": "linear-regression", "input": 2}, "training": {"learning_rate": 0.1}, "cohort": {"min_clients": 2}}
    aggregator = world.aggregator(world.write("run.json", config), "--linger-seconds", 0)
    alice, bob = world.session(aggregator, "alice"), world.session(aggregator, "bob")
    alice.join()
    bob.join()  # who keeps the round open
    assert alice.task()[0] == 200
    body = harness.safetensors({"fc1.weight": ([1, 2], [0.5, 1.0]), "fc1.bias": ([1], [1.0])}, {"round": "1", "samples": "10"})
    for digest, word in (("sha-256=:AAAA:", "Content-Digest: expected sha-256"),
                         ("sha-256=:" + base64.b64encode(hashlib.sha256(b"another").digest()).decode() + ":", "SHA-256 is not the one")):
        status, answer, _ = alice.update(1, body, Content_Digest=digest)
        assert status == 400 and word in answer["message"], (digest, status, answer)
    right = "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"
    status, answer, _ = alice.update(1, body, Content_Digest=right)
    assert status == 200 and answer["counted"], answer


def test_sums_of_a_table_that_nobody_asked_for(world):
    world.certificates(["alice"])
    config = {"rounds": 1, "model": {"preset": "linear-regression", "input": 2}, "training": {"learning_rate": 0.1}}
    aggregator = world.aggregator(world.write("run.json", config))
    alice = world.session(aggregator, "alice")
    alice.join()
    for body in (b"", b"{}", b"x" * 100):
        status, answer, _ = alice.request("POST", "/v1/rounds/0/measure-1", body)
        assert 400 <= status < 500 and answer["message"], (body, status, answer)
    for path in ("/v1/rounds/1/dance", "/v1/rounds/1/train/", "/v1/rounds/1/", "/v1/rounds/1", "/v1/rounds/one/train", "/v1/rounds//train"):
        assert alice.request("POST", path, b"{}")[0] == 404, path
    assert alice.task()[0] == 200


def test_pictures_and_files_that_cannot_be_written(world):
    world.write("table.csv", TABLE)
    data = {"path": world.path("table.csv")}
    continual = {"tasks": [[0], [1]], "rounds_per_task": 2}
    config = world.write("run.json", configuration(world, rounds=1, continual=continual, data={"train": data, "test": data}))
    world.check(world.program("rondo-sim"), "--config", config, "--clients", 2, "--out", world.path("state"), "--quiet")
    inspect, state = world.program("rondo-inspect"), world.path("state")
    refused(world.run(inspect, "plot", state, "--out", world.path("x.svg"), env={**os.environ, "PATH": "/nonexistent"}), "gnuplot")
    os.mkdir(world.path("taken.svg"))
    os.mkdir(world.path("taken.safetensors"))
    refused(world.run(inspect, "plot", state, "--out", world.path("taken.svg")), "taken.svg")
    refused(world.run(inspect, "export", state, "--out", world.path("taken.safetensors")), "taken.safetensors")
    refused(world.run(inspect, "forgetting", state, "--data", world.path("table.csv")), "the first task has not ended yet")
    world.write("file", "")
    space = world.write("space.json", {"method": "random", "trials": 1, "objective": "train_loss", "keys": {"training.learning_rate": {"from": 0.01, "to": 1}}})
    refused(world.run(world.program("rondo-sim"), "search", "--config", config, "--clients", 2, "--space", space, "--out", world.path("file/search")), "file")
    refused(world.run(world.program("rondo-sim"), "--config", config, "--clients", 2, "--out", world.path("file/state")), "file")


def test_a_state_that_was_tampered_with(world):
    world.write("table.csv", TABLE)
    config = world.write("run.json", configuration(world, rounds=2))
    command = [world.program("rondo-sim"), "--config", config, "--clients", 2, "--out", world.path("state"), "--quiet"]
    world.check(*command)
    before = world.rounds()[2]["model_sha256"]
    world.write("run.json", configuration(world, rounds=4))
    path = world.path("state/models/000002.safetensors")
    with open(path, "rb") as f:
        whole = f.read()
    world.write("state/models/000002.safetensors", whole[:-1] + bytes([whole[-1] ^ 1]))
    told = world.check(*[word for word in command if word != "--quiet"])
    assert "the parameters are not those that round 2 committed" in told, told
    assert world.rounds()[2]["model_sha256"] == before
    assert json.loads(world.check(world.program("rondo-inspect"), "rounds", world.path("state"), "--jsonl").splitlines()[-1])["round"] == 4


if __name__ == "__main__":
    harness.main()
