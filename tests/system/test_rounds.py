#!/usr/bin/env python3
"""Whole runs: the same bits in simulation and deployment, a client of another make, restarts."""
import json
import os
import random
import signal
import time

import harness
from harness import read_safetensors, wait_exit, wait_for

CLASSES = 3
FEATURES = 8


def make_table(world, rows=600, name="table.csv", seed=5):
    """Three noisy clusters, as a CSV with a header."""
    rng = random.Random(seed)
    lines = [",".join(f"x{i}" for i in range(FEATURES)) + ",label"]
    for i in range(rows):
        label = i % CLASSES
        lines.append(",".join(f"{rng.gauss(1.0 if j % CLASSES == label else 0.0, 0.7):.5f}" for j in range(FEATURES))
                     + f",{label}")
    return world.write(name, "\n".join(lines) + "\n")


def make_config(world, rounds=5, clients=6, **changes):
    table = make_table(world)
    config = {
        "seed": 11, "rounds": rounds,
        "model": {"input": FEATURES, "loss": "softmax_cross_entropy",
                  "layers": [{"type": "dense", "units": 32, "activation": "relu"}, {"type": "dense", "units": CLASSES}]},
        "training": {"epochs": 2, "batch_size": 10, "learning_rate": 0.05, "momentum": 0.9},
        "cohort": {"select": "all", "min_clients": clients, "deadline_seconds": 120},
        "evaluation": {"train_loss": True, "holdout": 0.2},
        "data": {"train": {"path": table}, "test": {"path": make_table(world, 300, "test.csv", 6)},
                 "partition": {"scheme": "dirichlet", "alpha": 0.5, "min_rows": 5}},
    }
    for key, value in changes.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    return world.write("run.json", config)


def partition(world, config, clients):
    world.check(world.program("rondo-sim"), "partition", "--config", config, "--clients", clients, "--out",
                world.path("private"), "--quiet")
    return [f"client-{i + 1}" for i in range(clients)]


def simulate(world, config, clients, threads, state):
    world.check(world.program("rondo-sim"), "--config", config, "--clients", clients, "--threads", threads, "--out",
                world.path(state), "--quiet")
    return world.rounds(state)


def data_of(world, name):
    return world.path("private", name + ".safetensors")


def same_result(a, b):
    """Everything of two runs that must not depend on threads, timing or the network."""
    keys = ["round", "test", "train", "holdout", "running_loss", "samples", "weight_limit", "update_norm", "model_sha256",
            "counted"]
    assert [[r[k] for k in keys] for r in a] == [[r[k] for k in keys] for r in b], f"{a}\n\n{b}"


def deploy_shuffled(world, config, names, state, seed):
    """A real deployment whose clients start in random order, with random delays."""
    aggregator = world.aggregator(config, state=state, log=state + ".log")
    order = random.Random(seed).sample(names, len(names))
    clients = []
    for name in order:
        clients.append(world.client(aggregator, name, data_of(world, name)))
        time.sleep(random.Random(name + str(seed)).random() * 0.1)
    assert wait_exit(aggregator) == 0, harness.read(aggregator.log)
    for client in clients:
        assert wait_exit(client) == 0, harness.read(client.log)
    return world.rounds(state)


def test_simulation_and_deployment_give_the_same_bits(world):
    config = make_config(world)
    names = partition(world, config, 6)
    world.certificates(names)
    one = simulate(world, config, 6, 1, "sim1")
    two = simulate(world, config, 6, 2, "sim2")
    assert len(one) == 6 and len({r["model_sha256"] for r in one}) == 6
    same_result(one, two)
    for seed in (1, 2):
        same_result(one, deploy_shuffled(world, config, names, f"deployed{seed}", seed))


def test_the_same_bits_when_only_a_fraction_is_selected(world):
    config = make_config(world, cohort={"select": "fraction", "fraction": 0.5, "max_weight": 0.4})
    names = partition(world, config, 6)
    world.certificates(names)
    simulated = simulate(world, config, 6, 2, "sim")
    assert all(r["counted"] == 3 and 0 < r["weight_limit"] < r["samples"] for r in simulated[1:])
    shown = world.check(world.program("rondo-inspect"), "clients", world.path("sim"), "--round", "1", "--jsonl")
    weights, samples = zip(*((p["weight"], p["samples"]) for p in map(json.loads, shown.splitlines())))
    assert max(weights) <= 0.4 * sum(weights) and max(samples) > 0.4 * sum(samples), (weights, samples)
    same_result(simulated, deploy_shuffled(world, config, names, "deployed", 3))


def test_curl_and_a_script_are_a_client(world):
    names = ["curly"]
    table = world.write("mine.csv", "a,b,y\n" + "".join(f"{i / 10},{(i * 7 % 10) / 10},{2 * i / 10 - (i * 7 % 10) / 10 + 1}\n" for i in range(10)))
    config = world.write("run.json", {"rounds": 1, "model": {"preset": "linear-regression", "input": 2},
                                      "training": {"learning_rate": 0.05}, "cohort": {"min_clients": 1}})
    world.certificates(names)
    aggregator = world.aggregator(config)
    tls = ["--silent", "--show-error", "--fail-with-body", "--cacert", world.path("certs/ca.crt"), "--cert",
           world.path("certs/curly.crt"), "--key", world.path("certs/curly.key")]
    welcome = json.loads(world.check("curl", *tls, aggregator.url + "/v1/join", "-d", '{"protocol": 1, "samples": 10}'))
    assert welcome["client"] == "curly"
    task = json.loads(world.check("curl", *tls, aggregator.url + "/v1/task?wait=20"))
    assert task == {"task": "train", "round": 1, "model": 0}, task
    world.check("curl", *tls, "-o", world.path("model.safetensors"), "--etag-save", world.path("etag"), f"{aggregator.url}/v1/model/{task['model']}")
    world.check("python3", os.path.join(harness.ROOT, "tests/system/third_party_client.py"), world.path("model.safetensors"),
                table, task["round"], world.path("delta.safetensors"))
    name = harness.read(world.path("etag")).strip()
    assert name.startswith(f'"{welcome["run"]}-0-'), name
    receipt = json.loads(world.check("curl", *tls, "-H", f"Rondo-Model: {name}", "--data-binary", "@" + world.path("delta.safetensors"),
                                     f"{aggregator.url}/v1/rounds/{task['round']}/train"))
    assert receipt == {"round": 1, "counted": True}
    wait_for(lambda: len(world.rounds()) == 2, "the round is committed")
    assert json.loads(world.check("curl", *tls, aggregator.url + "/v1/task"))["task"] == "finished"
    assert wait_exit(aggregator) == 0
    record = world.rounds()[-1]
    assert record["counted"] == 1 and record["samples"] == 10
    with open(world.path("model.safetensors"), "rb") as f:
        before = read_safetensors(f.read())
    with open(world.path("delta.safetensors"), "rb") as f:
        delta = read_safetensors(f.read())
    with open(world.path("state/models/000001.safetensors"), "rb") as f:
        after = read_safetensors(f.read())
    for name in before:  # one client: the new model is exactly the old one plus its delta, rounded once to float32
        for w, d, got in zip(before[name][1], delta[name][1], after[name][1]):
            assert abs(w + d - got) <= 2 ** -24 * abs(w + d), (name, w, d, got)


def test_kill_9_of_the_aggregator_changes_no_bit(world):
    config = make_config(world, rounds=300, clients=3, training={"epochs": 10})
    names = partition(world, config, 3)
    world.certificates(names)
    expected = simulate(world, config, 3, 2, "sim")
    port = harness.free_port()
    aggregator = world.aggregator(config, port=port)
    clients = [world.client(aggregator, n, data_of(world, n), "--retry-seconds", "60") for n in names]
    for at_least in (5, 20):
        wait_for(lambda: len(world.rounds()) > at_least, "some rounds are done", process=aggregator)
        world.kill_midway(aggregator, 300)
        aggregator = world.aggregator(config, port=port)
    assert wait_exit(aggregator) == 0, harness.read(aggregator.log)
    for client in clients:
        assert wait_exit(client) == 0, harness.read(client.log)
    same_result(expected, world.rounds())


def test_sigterm_leaves_a_state_that_serve_continues(world):
    config = make_config(world, rounds=300, clients=3, training={"epochs": 10})
    names = partition(world, config, 3)
    world.certificates(names)
    expected = simulate(world, config, 3, 1, "sim")
    port = harness.free_port()
    aggregator = world.aggregator(config, port=port)
    clients = [world.client(aggregator, n, data_of(world, n), "--retry-seconds", "60") for n in names]
    wait_for(lambda: len(world.rounds()) > 3, "some rounds are done", process=aggregator)
    aggregator.send_signal(signal.SIGTERM)
    assert wait_exit(aggregator) == 3, harness.read(aggregator.log)
    aggregator = world.aggregator(config, port=port)
    assert wait_exit(aggregator) == 0, harness.read(aggregator.log)
    for client in clients:
        assert wait_exit(client) == 0, harness.read(client.log)
    same_result(expected, world.rounds())


def test_a_killed_simulation_continues_with_the_same_bits(world):
    config = make_config(world, rounds=300, clients=6, training={"epochs": 10})
    expected = simulate(world, config, 6, 2, "whole")
    process = world.start(world.program("rondo-sim"), "--config", config, "--clients", 6, "--out", world.path("cut"),
                          log="sim.log")
    wait_for(lambda: "round 4/" in harness.read(process.log), "some rounds are done")
    assert world.kill_midway(process, 300, "cut") >= 4
    same_result(expected, simulate(world, config, 6, 1, "cut"))


def test_late_client_is_named_and_the_round_goes_on(world):
    config = make_config(world, rounds=2, clients=2, cohort={"deadline_seconds": 2})
    names = partition(world, config, 2)
    world.certificates(names)
    aggregator = world.aggregator(config, "--linger-seconds", "1")
    sleeper = world.session(aggregator, "client-2")
    sleeper.join(5)
    world.client(aggregator, "client-1", data_of(world, "client-1"))
    wait_for(lambda: len(world.rounds()) >= 2, "the first round ends without the sleeper", process=aggregator)
    assert world.rounds()[1]["late"] == 1 and world.rounds()[1]["counted"] == 1
    assert "late: client-2" in harness.read(aggregator.log)


if __name__ == "__main__":
    harness.main()
