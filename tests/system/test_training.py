#!/usr/bin/env python3
"""Early stopping, the overfitting gap and metrics on the test set, computed again here from what a run leaves behind."""
import csv
import hashlib
import io
import math
import os
import random
import re

import harness
from harness import read_safetensors, wait_exit, wait_for

FEATURES = 6
STOPPED = re.compile(r"stopped early after round (\d+).*models/(\d{6})\.safetensors")


def table(world, name, rows, label, seed):
    """Rows of noise: what is learnt from them does not hold for others."""
    rng = random.Random(seed)
    lines = [",".join(f"x{i}" for i in range(FEATURES)) + ",label"]
    for _ in range(rows):
        x = [round(rng.gauss(0, 1), 4) for _ in range(FEATURES)]
        lines.append(",".join(map(str, x)) + f",{label(rng, x)}")
    return world.write(name, "\n".join(lines) + "\n")


def noisy_class(rng, x):
    return int(x[0] + rng.gauss(0, 1) > 0)


def noisy_target(rng, x):
    return round(2 * x[0] - x[1] + 0.5 + rng.gauss(0, 1), 4)


def overfitting(world, rounds=60, **changes):
    """Two classes, few rows, a wide layer: the hold-out loss falls, and then it rises."""
    config = {
        "seed": 3, "rounds": rounds,
        "model": {"input": FEATURES, "loss": "softmax_cross_entropy",
                  "layers": [{"type": "dense", "units": 40, "activation": "relu"}, {"type": "dense", "units": 2}]},
        "training": {"epochs": 4, "batch_size": 8, "learning_rate": 0.01, "optimizer": "adam"},
        "cohort": {"min_clients": 2, "deadline_seconds": 60},
        "evaluation": {"train_loss": True, "holdout": 0.4},
        "early_stopping": {"metric": "holdout_loss", "patience": 4},
        "data": {"train": {"path": table(world, "train.csv", 120, noisy_class, 1)},
                 "test": {"path": table(world, "test.csv", 150, noisy_class, 2)}},
    }
    for key, value in changes.items():
        if value is None:
            del config[key]
        else:
            config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
    return world.write("run.json", config)


def simulate(world, config, state, clients=2, threads=1):
    return world.check(world.program("rondo-sim"), "--config", config, "--clients", clients, "--threads", threads,
                       "--out", world.path(state))


def replay(values, patience, min_delta=0.0):
    """(model, value) in order -> the index at which to stop, or None, and the best model."""
    best, best_model, waited = math.inf, None, 0
    for i, (model, value) in enumerate(values):
        if value < best - min_delta:
            best, best_model, waited = value, model, 0
        else:
            waited += 1
        if waited == patience:
            return i, best_model
    return None, best_model


def check_stop(world, state, output, values, last_of, patience, min_delta=0.0):
    """The run ended where the replay says, named the best model, and has kept it."""
    records = world.rounds(state)
    stop, best = replay(values(records), patience, min_delta)
    assert stop is not None and last_of(stop) == records[-1]["round"], (stop, records[-1]["round"])
    told = STOPPED.findall(output)
    assert told and told[-1] == (str(records[-1]["round"]), f"{best:06d}"), (told, records[-1]["round"], best)
    assert STOPPED.search(output.strip().splitlines()[-1]), output.strip().splitlines()[-1]
    path = world.path(state, "models", f"{best:06d}.safetensors")
    with open(path, "rb") as f:
        raw = f.read()
    data = raw[8 + int.from_bytes(raw[:8], "little"):]
    assert hashlib.sha256(data).hexdigest() == records[best]["model_sha256"], path
    return records, best


def holdout_values(records):
    return [(r["round"] - 1, r["holdout"]["loss"]) for r in records[1:]]


def test_a_simulation_stops_when_the_holdout_loss_no_longer_falls(world):
    config = overfitting(world)
    output = simulate(world, config, "sim")
    records, best = check_stop(world, "sim", output, holdout_values, lambda i: i + 1, 4)
    assert 0 < best < len(records) - 3 < 57, "the test wants a run that overfits"
    assert len(os.listdir(world.path("sim", "models"))) == 3, "the best and the newest two"
    again = simulate(world, config, "sim")  # nothing is left to do, and the same is said
    assert STOPPED.findall(again) == STOPPED.findall(output)[-1:] and world.rounds("sim") == records
    assert len(os.listdir(world.path("sim", "models"))) == 3
    threads = simulate(world, config, "sim2", threads=2)
    assert [r["model_sha256"] for r in world.rounds("sim2")] == [r["model_sha256"] for r in records]
    assert STOPPED.findall(threads)[-1] == STOPPED.findall(output)[-1]


def test_more_patience_lets_a_stopped_run_go_on(world):
    simulate(world, overfitting(world), "sim")
    before = world.rounds("sim")
    output = simulate(world, overfitting(world, early_stopping={"patience": 9}), "sim")
    records, _ = check_stop(world, "sim", output, holdout_values, lambda i: i + 1, 9)
    assert len(records) > len(before) and records[:len(before)] == before
    refused = world.run(world.program("rondo-sim"), "--config", overfitting(world, early_stopping={"min_delta": 0.5}),
                        "--clients", 2, "--out", world.path("sim"))
    assert refused.returncode == 1 and "early_stopping.min_delta" in refused.stderr, refused.stderr


def test_test_loss_and_accuracy_stop_a_run(world):
    """Evaluated every other round; the last evaluation of a run that goes to its end does not matter here."""
    config = overfitting(world, evaluation={"every": 2, "holdout": 0},
                         early_stopping={"metric": "test_loss", "patience": 3, "min_delta": 0.002})
    output = simulate(world, config, "loss")
    tested = lambda records: [(r["round"], r["test"]["loss"]) for r in records if r["test"]]
    check_stop(world, "loss", output, tested, lambda i: 2 * i, 3, 0.002)
    config = overfitting(world, evaluation={"every": 1, "holdout": 0}, early_stopping={"metric": "test_accuracy", "patience": 5})
    output = simulate(world, config, "accuracy")
    tested = lambda records: [(r["round"], -r["test"]["accuracy"]) for r in records if r["test"]]
    check_stop(world, "accuracy", output, tested, lambda i: i, 5)


def test_kill_9_changes_neither_the_bits_nor_the_decision(world):
    config = overfitting(world, rounds=300, training={"epochs": 4, "learning_rate": 0.0002},
                         early_stopping={"patience": 8})
    names = ["client-1", "client-2"]
    world.check(world.program("rondo-sim"), "partition", "--config", config, "--clients", 2, "--out",
                world.path("private"), "--quiet")
    world.certificates(names)
    expected = STOPPED.findall(simulate(world, config, "sim"))[-1]
    simulated = world.rounds("sim")
    assert len(simulated) > 20, "the test wants time to kill"
    port = harness.free_port()
    aggregator = world.aggregator(config, port=port)
    clients = [world.client(aggregator, name, world.path("private", name + ".safetensors")) for name in names]
    for goal in (4, len(simulated) // 4):
        wait_for(lambda: f"round {goal}/" in harness.read(aggregator.log), f"round {goal}", seconds=120, process=aggregator)
        world.kill_midway(aggregator, len(simulated) - 1)
        aggregator = world.aggregator(config, port=port)
    assert wait_exit(aggregator, 120) == 0, harness.read(aggregator.log)
    for client in clients:
        assert wait_exit(client) == 0, harness.read(client.log)
    log = harness.read(aggregator.log)
    assert STOPPED.findall(log)[-1] == expected, log[-600:]
    deployed = world.rounds()
    assert [r["model_sha256"] for r in deployed] == [r["model_sha256"] for r in simulated]
    check_stop(world, "state", "\n".join(line for line in log.splitlines() if "stopped early" in line), holdout_values,
               lambda i: i + 1, 8)
    aggregator = world.aggregator(config, port=port)  # and once more when all is over
    again = world.client(aggregator, names[0], world.path("private", names[0] + ".safetensors"))  # it is gone when all who came know
    assert (wait_exit(aggregator, 60), wait_exit(again)) == (0, 0), harness.read(again.log)
    assert world.rounds() == deployed
    assert os.path.exists(world.path("state", "models", expected[1] + ".safetensors"))


def test_target_accuracy_ends_a_run_for_good(world):
    config = overfitting(world, early_stopping=None, evaluation={"target_accuracy": 0.55})
    simulate(world, config, "sim")
    records = world.rounds("sim")
    assert records[-1]["test"]["accuracy"] >= 0.55 and len(records) < 60
    simulate(world, config, "sim")
    assert world.rounds("sim") == records


# ---- the gap ----

def same(a, b):
    return (a is None and b is None) or math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-15)


def test_the_gap_is_unseen_minus_training_loss(world):
    simulate(world, overfitting(world, rounds=4, early_stopping=None), "sim")
    records = world.rounds("sim")
    assert records[0]["gap"] is None
    assert all(same(r["gap"], r["holdout"]["loss"] - r["train"]["loss"]) for r in records[1:]), records
    simulate(world, overfitting(world, rounds=4, early_stopping=None, evaluation={"holdout": 0, "every": 2}), "test")
    records = world.rounds("test")
    for before, r in zip(records, records[1:]):  # the test loss of the model that the round began with
        assert same(r["gap"], before["test"] and before["test"]["loss"] - r["train"]["loss"]), (before, r)
    inspect = world.program("rondo-inspect")
    rows = list(csv.DictReader(io.StringIO(world.check(inspect, "rounds", world.path("sim"), "--csv"))))
    assert [row["gap"] != "" for row in rows] == [False, True, True, True, True]
    assert " gap" in world.check(inspect, "rounds", world.path("sim")).splitlines()[2]
    world.check(inspect, "plot", world.path("sim"), "--gap", "--out", world.path("gap.svg"))
    assert "overfitting gap" in harness.read(world.path("gap.svg"))
    simulate(world, overfitting(world, rounds=2, early_stopping=None, evaluation={"train_loss": False}), "none")
    refused = world.run(inspect, "plot", world.path("none"), "--gap", "--out", world.path("none.svg"))
    assert refused.returncode == 1 and "train_loss" in refused.stderr, refused.stderr


# ---- metrics ----

def dense(x, tensors, name, activation=lambda v: v):
    (outputs, inputs), weight = tensors[name + ".weight"]
    bias = tensors[name + ".bias"][1]
    return [activation(sum(weight[o * inputs + i] * x[i] for i in range(inputs)) + bias[o]) for o in range(outputs)]


def rows_of_the_test_set(world):
    with open(world.path("test.csv")) as f:
        rows = [list(map(float, line)) for line in list(csv.reader(f))[1:]]
    return [(row[:-1], row[-1]) for row in rows]


def model_of(world, state, number):
    with open(world.path(state, "models", f"{number:06d}.safetensors"), "rb") as f:
        return read_safetensors(f.read())


def close(found, expected, what):
    assert math.isclose(found, expected, rel_tol=2e-6), (what, found, expected)


def test_metrics_of_two_classes(world):
    """F1 and AUC by their definitions: all pairs of a row of class 1 and a row of class 0."""
    config = overfitting(world, rounds=3, early_stopping=None, evaluation={"metrics": ["f1", "auc", "perplexity"]})
    simulate(world, config, "one")
    simulate(world, config, "two", threads=2)
    records = world.rounds("one")
    assert [r["test"] for r in records] == [r["test"] for r in world.rounds("two")]
    tensors = model_of(world, "one", 3)
    outputs = [(dense(dense(x, tensors, "fc1", lambda v: max(v, 0)), tensors, "fc2"), label)
               for x, label in rows_of_the_test_set(world)]
    score = [(y[1] - y[0], label) for y, label in outputs]
    ones, zeros = [s for s, label in score if label == 1], [s for s, label in score if label == 0]
    close(records[3]["test"]["auc"], sum((a > b) + (a == b) / 2 for a in ones for b in zeros) / (len(ones) * len(zeros)), "auc")
    tp = sum(s > 0 and label == 1 for s, label in score)
    close(records[3]["test"]["f1"], 2 * tp / (sum(s > 0 for s, _ in score) + len(ones)), "f1")
    entropy = [math.log(sum(math.exp(v) for v in y)) - y[int(label)] for y, label in outputs]
    close(records[3]["test"]["perplexity"], math.exp(sum(entropy) / len(entropy)), "perplexity")
    text = world.check(world.program("rondo-inspect"), "rounds", world.path("one")).lower()
    assert "auc" in text and "f1" in text and "perplexity" in text
    row = list(csv.DictReader(io.StringIO(world.check(world.program("rondo-inspect"), "rounds", world.path("one"), "--csv"))))[3]
    assert float(row["test_auc"]) == records[3]["test"]["auc"]


def test_metrics_of_regression(world):
    data = {part: {"path": table(world, name, 150, noisy_target, seed), "regression": True}
            for part, name, seed in (("train", "real.csv", 1), ("test", "test.csv", 2))}
    config = world.write("real.json", {
        "rounds": 3, "model": {"input": FEATURES, "loss": "huber", "layers": [{"type": "dense", "units": 1}]},
        "training": {"learning_rate": 0.05}, "evaluation": {"metrics": ["rmse", "r2"]}, "data": data})
    simulate(world, config, "one")
    records, tensors = world.rounds("one"), model_of(world, "one", 3)
    rows = [(dense(x, tensors, "fc1")[0], t) for x, t in rows_of_the_test_set(world)]
    squares, mean = sum((y - t) ** 2 for y, t in rows), sum(t for _, t in rows) / len(rows)
    close(records[3]["test"]["rmse"], math.sqrt(squares / len(rows)), "rmse")
    close(records[3]["test"]["r2"], 1 - squares / sum((t - mean) ** 2 for _, t in rows), "r2")


def test_what_makes_no_sense_is_refused(world):
    ten = {"preset": "softmax-regression", "input": FEATURES, "classes": 10}
    line = {"preset": "linear-regression", "input": FEATURES}
    cases = [(ten, {"evaluation": {"metrics": ["auc"]}}, ["auc", "two classes", "softmax_cross_entropy"]),
             (ten, {"evaluation": {"metrics": ["top10"]}}, ["top10", "softmax_cross_entropy"]),
             (ten, {"evaluation": {"metrics": ["rmse"]}}, ["rmse", "softmax_cross_entropy"]),
             (line, {"evaluation": {"metrics": ["perplexity"]}}, ["perplexity", "mse"]),
             (line, {"evaluation": {"metrics": ["top5"]}}, ["top5", "mse"]),
             (line, {"early_stopping": {"metric": "test_accuracy", "patience": 2}}, ["test_accuracy", "mse"]),
             (ten, {"training": {"weight_decay": 1, "weight_decay_skips": ["*.bias", "fc9.*"]}}, ["weight_decay_skips", "fc9.*"]),
             (ten, {"evaluation": {"metrics": ["top5"]}}, ["evaluation.metrics", "data.test"]),
             (ten, {"early_stopping": {"metric": "test_loss", "patience": 2}}, ["early_stopping", "data.test"])]
    train = table(world, "train.csv", 20, noisy_class, 1)
    for model, sections, words in cases:
        config = {"rounds": 2, "model": model, "training": {"learning_rate": 0.1}, "data": {"train": {"path": train}}}
        for key, value in sections.items():
            config[key] = {**config.get(key, {}), **value}
        result = world.run(world.program("rondo-sim"), "--config", world.write("bad.json", config), "--clients", 2)
        assert result.returncode == 1 and all(w in result.stderr for w in words), (words, result.stderr)


if __name__ == "__main__":
    harness.main()
