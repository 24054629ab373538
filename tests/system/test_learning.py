#!/usr/bin/env python3
"""What is learned: the closed form on the diabetes data, Fashion-MNIST by real clients, and nothing but parameters on the wire."""
import gzip
import json
import os
import re
import struct

import harness
from harness import read_safetensors, solve, wait_exit

FASHION = "/usr/share/datasets/fashion-mnist"


def diabetes(world):
    """The 442 rows of Efron et al. (2004), features and target standardised, as lists."""
    folder = world.check(os.path.join(harness.ROOT, "simulations/data/fetch.sh"), "diabetes").splitlines()[-1]
    with open(os.path.join(folder, "diabetes.csv")) as f:
        rows = [[float(v) for v in line.split(",")] for line in f.read().splitlines()[1:]]
    columns = list(zip(*rows))
    scaled = []
    for c in columns:
        mean = sum(c) / len(c)
        deviation = (sum((v - mean) ** 2 for v in c) / len(c)) ** 0.5
        scaled.append([(v - mean) / deviation for v in c])
    return [list(r) for r in zip(*scaled)]


def test_linear_regression_on_diabetes_is_least_squares(world):
    rows = diabetes(world)
    assert len(rows) == 442 and len(rows[0]) == 11
    x = [r[:10] + [1.0] for r in rows]
    y = [r[10] for r in rows]
    normal = [[sum(r[i] * r[j] for r in x) for j in range(11)] for i in range(11)]
    best = solve(normal, [sum(r[i] * t for r, t in zip(x, y)) for i in range(11)])
    table = world.write("scaled.csv", "\n".join([",".join(f"c{i}" for i in range(11))] + [",".join(repr(v) for v in r) for r in rows]) + "\n")
    config = world.write("run.json", {
        "rounds": 4000, "model": {"preset": "linear-regression", "input": 10},
        "training": {"batch_size": 0, "learning_rate": 0.22}, "cohort": {"min_clients": 5},
        "data": {"train": {"path": table, "regression": True}, "test": {"path": table, "regression": True}}})
    # One full-batch step a round on each of 5 clients: FedAvg is then gradient descent on all the data.
    world.check(world.program("rondo-sim"), "--config", config, "--clients", 5, "--out", world.path("state"), "--quiet")
    with open(world.path("state/models/004000.safetensors"), "rb") as f:
        model = read_safetensors(f.read())
    found = list(model["fc1.weight"][1]) + list(model["fc1.bias"][1])
    worst = max(abs(a - b) for a, b in zip(found, best))
    print(f"# largest difference from least squares: {worst:.2e}")
    assert worst < 3e-6, list(zip(found, best))
    residual = sum((sum(w * v for w, v in zip(best, r)) - t) ** 2 for r, t in zip(x, y)) / len(y)
    assert abs(world.rounds("state")[-1]["test"]["loss"] - residual) < 1e-6


def partition_fashion(world, rounds, clients=5):
    with open(os.path.join(harness.ROOT, "simulations/scenarios/quickstart.json")) as f:
        config = json.load(f)
    config["rounds"] = rounds
    path = world.write("run.json", config)
    world.check(world.program("rondo-sim"), "partition", "--config", path, "--clients", clients, "--out", world.path("private"), "--quiet")
    return path


def test_private_files_hold_every_image_once(world):
    partition_fashion(world, 1)
    with gzip.open(FASHION + "/train-images-idx3-ubyte.gz", "rb") as f:
        images = f.read()[16:]
    with gzip.open(FASHION + "/train-labels-idx1-ubyte.gz", "rb") as f:
        labels = f.read()[8:]
    expected = sorted((images[784 * i:784 * i + 784], labels[i]) for i in range(60000))
    found = []
    for i in range(5):
        with open(world.path(f"private/client-{i + 1}.safetensors"), "rb") as f:
            raw = f.read()
        (size,) = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8:8 + size])
        x, y = (raw[8 + size + header[k]["data_offsets"][0]:8 + size + header[k]["data_offsets"][1]] for k in "xy")
        assert header["x"]["dtype"] == "U8" and header["x"]["shape"] == [12000, 28, 28] and header["y"]["dtype"] == "I32"
        found += [(x[784 * r:784 * r + 784], v) for r, v in enumerate(struct.unpack("<12000i", y))]
    assert sorted(found) == expected


def test_fashion_mnist_by_real_clients(world):
    names = [f"client-{i + 1}" for i in range(5)]
    config = partition_fashion(world, 3)
    world.certificates(names)
    aggregator = world.aggregator(config)
    clients = [world.client(aggregator, n, world.path("private", n + ".safetensors")) for n in names]
    assert wait_exit(aggregator, 120) == 0, harness.read(aggregator.log)
    assert all(wait_exit(c) == 0 for c in clients)
    rounds = world.rounds()
    losses = [r["test"]["loss"] for r in rounds]
    assert losses[0] > 2.0 > losses[1] > losses[3] and rounds[3]["test"]["accuracy"] > 0.80, rounds
    assert rounds[3]["samples"] == 5 * 10800 and rounds[3]["holdout"]["samples"] == 5 * 1200
    world.check(world.program("rondo-sim"), "--config", config, "--clients", 5, "--out", world.path("sim"), "--quiet")
    assert world.rounds("sim")[3]["model_sha256"] == rounds[3]["model_sha256"]


def test_nothing_but_the_documented_goes_over_the_wire(world):
    """Between client and aggregator sits a proxy that ends TLS on both sides and writes down every request."""
    world.certificates(["client-1", "client-2"])
    marks = [1234.5625, -98765.5, 0.0078125, 31415.9375]  # exact in float32: recognisable as bytes and as text
    lines = ["a,b,c,d,y"] + [",".join(str(m * (1 + i % 2)) for m in marks) + f",{i % 2}" for i in range(8)]
    table = world.write("private.csv", "\n".join(lines) + "\n")
    config = world.write("run.json", {"rounds": 2, "model": {"input": 4, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]},
                                      "training": {"learning_rate": 1e-9, "batch_size": 0}, "evaluation": {"train_loss": True, "holdout": 0.25}})
    aggregator = world.aggregator(config)
    port = harness.free_port()
    record = world.path("wire.log")
    proxy = world.start("python3", os.path.join(os.path.dirname(os.path.abspath(__file__)), "recording_proxy.py"), port,
                        aggregator.port, world.path("certs"), "client-1", record, log="proxy.log")
    harness.wait_for(lambda: "ready" in harness.read(proxy.log), "the proxy listens", process=proxy)
    aggregator.url = f"https://127.0.0.1:{port}"
    client = world.client(aggregator, "client-1", table)
    assert wait_exit(client) == 0, harness.read(client.log)
    with open(record, "rb") as f:
        wire = f.read()
    requests = re.findall(rb"(GET|POST) (/\S+) HTTP/1.1\r\n", wire)
    paths = {re.sub(rb"(?<=/)\d+(?=/|$)", b"N", p.split(b"?")[0]) for _, p in requests}
    assert paths == {b"/v1/run", b"/v1/join", b"/v1/task", b"/v1/model/N", b"/v1/rounds/N/train"}, paths
    for mark in marks:
        for value in (mark, 2 * mark):
            for form in (struct.pack("<f", value), struct.pack("<d", value), str(value).encode()):
                assert form not in wire, f"{value} is on the wire as {form}"
    headers = b"".join(re.findall(rb"HTTP/1.1\r\n(.*?)\r\n\r\n", wire, re.S)).lower()
    names = set(re.findall(rb"(?:^|\n)([a-z-]+):", b"\n" + headers.replace(b"\r", b"")))
    assert names <= {b"host", b"accept", b"content-type", b"content-length", b"rondo-model", b"expect", b"user-agent", b"rondo-session"}, names


if __name__ == "__main__":
    harness.main()
