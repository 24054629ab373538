#!/usr/bin/env python3
"""A run that goes on: what of run.json may be different then, what is told and kept of it, and what is refused."""
import copy
import json
import os
import re
import signal
import sqlite3

import harness
from harness import read, wait_exit, wait_for

SCHEMA = os.path.join(harness.ROOT, "common", "config", "config.schema.json")
DENSE = {"type": "dense", "units": 3}
PLAIN = {"rounds": 3, "model": {"input": 8, "loss": "softmax_cross_entropy", "layers": [DENSE]},
         "training": {"learning_rate": 0.1}}

# What has to stand in run.json so that keys under a path have a meaning.
CONTEXTS = {
    "training.schedule.final": {"training": {"schedule": {"type": "cosine"}}},
    "training.nesterov": {"training": {"momentum": 0.9}},
    "training.beta1": {"training": {"optimizer": "adam"}},
    "training.beta2": {"training": {"optimizer": "adam"}},
    "training.alpha": {"training": {"optimizer": "rmsprop"}},
    "strategy.momentum": {"strategy": {"name": "fedavgm"}},
    "strategy.beta2": {"strategy": {"name": "fedadam"}},
    "strategy.tau": {"strategy": {"name": "fedadam"}},
    "strategy.smoothing": {"strategy": {"name": "geometric_median"}},
    "strategy.iterations": {"strategy": {"name": "geometric_median"}},
    "strategy.most_staleness": {"strategy": {"name": "fedbuff", "buffer_size": 2, "concurrency": 2}},
    "strategy.staleness_exponent": {"strategy": {"name": "fedbuff", "buffer_size": 2, "concurrency": 2}},
    "early_stopping": {"early_stopping": {"metric": "holdout_loss", "patience": 3}, "evaluation": {"holdout": 0.1}},
    "continual": {"continual": {"tasks": [[0], [1, 2]], "rounds_per_task": 2}},
    "pruning": {"pruning": {"sparsity": 0.5, "from_round": 1, "to_round": 2}},
    "personalisation": {"personalisation": {"method": "ditto", "lambda": 0.1}},
    "data.partition.shards_per_client": {"data": {"partition": {"scheme": "shards"}}},
    "data.partition.alpha": {"data": {"partition": {"scheme": "dirichlet"}}},
    "data.partition.min_rows": {"data": {"partition": {"scheme": "dirichlet"}}},
    "simulation.system.partial_work": {"simulation": {"system": {"partial_work": {"fraction": 0.5}}},
                                       "training": {"epochs": 5}},
    "simulation.system": {"simulation": {"system": {"seconds_per_sample": 0.001}}},
    "simulation.attack.scale": {"simulation": {"attack": {"type": "sign_flip", "fraction": 0.5}}},
    "simulation.attack.deviation": {"simulation": {"attack": {"type": "gaussian", "fraction": 0.5}}},
    "simulation.attack.epsilon": {"simulation": {"attack": {"type": "inner_product", "fraction": 0.5}}},
    "simulation.attack": {"simulation": {"attack": {"type": "backdoor", "fraction": 0.5}}},
}

# A model with a layer of each kind that has defaults: what comes in, what goes before it, its keys, what comes after.
IMAGE, SEQUENCE = [3, 6, 6], {"tokens": 4, "vocabulary": 12}
WORDS = [{"type": "embedding", "units": 8}]
LAYERS = {
    "dense": (8, [], {"units": 4}, [DENSE]),
    "conv2d": (IMAGE, [], {"channels": 2, "kernel": 3}, [{"type": "flatten"}, DENSE]),
    "dropout": (8, [], {}, [DENSE]),
    "batch_norm": (8, [], {}, [DENSE]),
    "group_norm": (IMAGE, [], {"groups": 3}, [{"type": "flatten"}, DENSE]),
    "layer_norm": (8, [], {}, [DENSE]),
    "rms_norm": (8, [], {}, [DENSE]),
    "attention": (SEQUENCE, WORDS, {"heads": 2}, [DENSE]),
    "mixture_of_experts": (SEQUENCE, WORDS, {"experts": 2, "top_k": 1, "units": 4}, [DENSE]),
    "tied_output": (SEQUENCE, WORDS, {}, []),
    "transformer": (SEQUENCE, WORDS, {"heads": 2, "units": 4}, [DENSE]),
    "gaussian_naive_bayes": (8, [], {"classes": 3}, []),
    "multinomial_naive_bayes": (8, [], {"classes": 3}, []),
    "bernoulli_naive_bayes": (8, [], {"classes": 3}, []),
}


def merged(base, change):
    """base with the keys of change in it."""
    result = copy.deepcopy(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else copy.deepcopy(value)
    return result


def at(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


def defaults_of_sections(node, path=()):
    """(path, default, its schema) of every key that has a default."""
    if "default" in node:
        yield path, node["default"], node
    for key, inner in node.get("properties", {}).items():
        yield from defaults_of_sections(inner, path + (key,))


def defaults_of_layers(schema):
    """(type, key, default, its schema)"""
    for rule in schema["$defs"]["layer"]["allOf"]:
        kind = rule["if"]["properties"]["type"]
        for key, inner in rule["then"].get("properties", {}).items():
            if "default" in inner:
                for name in kind.get("enum", [kind.get("const")]):
                    yield name, key, inner["default"], inner


def another(schema, default):
    if isinstance(default, bool):
        return not default
    if isinstance(default, int) and schema.get("type") == "integer":
        return default + 1
    if isinstance(default, (int, float)):
        return default / 2 if default else 0.25
    return next((word for word in schema.get("enum", []) if word != default), None)


class Starter:
    """Starts an aggregator, or a simulation of one round, on a state directory, and says how it went."""

    def __init__(self, world):
        self.world, self.number = world, 0
        world.certificates([])
        rows = "\n".join(f"{i % 5},{i % 3},{i % 7},{i % 2},{i % 4},{i % 11},{i % 13},{i % 6},{i % 3}" for i in range(60))
        world.write("t.csv", "a,b,c,d,e,f,g,h,label\n" + rows + "\n")

    def simulates(self, config):
        return "simulation" in config or "data" in config

    def start(self, config, state):
        self.number += 1
        if self.simulates(config):
            table = {"data": {"train": {"path": "t.csv"}, "test": {"path": "t.csv"}}}
            path = self.world.write(f"{self.number}.json", merged(table, config))
            result = self.world.run(self.world.program("rondo-sim"), "--config", path, "--clients", 4, "--out",
                                    self.world.path(state))
            return result.returncode == 0, result.stdout + result.stderr
        path, log = self.world.write(f"{self.number}.json", config), f"{self.number}.log"
        process = self.world.start(self.world.program("rondo-aggregator"), "serve", "--config", path, "--state",
                                   self.world.path(state), "--listen", "127.0.0.1:0", *self.world.tls("aggregator"), log=log)
        wait_for(lambda: process.poll() is not None or "listening on" in read(process.log), "it listens or gives up")
        started = process.poll() is None
        if started:
            process.send_signal(signal.SIGTERM)
            wait_exit(process)
        return started, read(process.log)


def context(path):
    """The longest entry of CONTEXTS that the path begins with."""
    dotted = ".".join(path)
    fitting = [key for key in CONTEXTS if dotted == key or dotted.startswith(key + ".")]
    return CONTEXTS[max(fitting, key=len)] if fitting else {}


def test_a_default_written_out_is_the_default(world):
    with open(SCHEMA) as f:
        schema = json.load(f)
    cases = []  # what, run.json without the key, with its default, with another value
    for path, default, inner in defaults_of_sections(schema):
        if path[0] == "initial":  # makes round 0, and is no part of what goes on: test_initial.py
            continue
        base = merged(PLAIN, context(path))
        if path[0] in ("data", "simulation"):
            base = merged(base, {"data": {}})
        other = another(inner, default)
        cases.append((".".join(path), base, merged(base, at(path, default)),
                      None if other is None else merged(base, at(path, other))))
    for kind, key, default, inner in defaults_of_layers(schema):
        first, before, keys, after = LAYERS[kind]
        layer = {"type": kind, **keys}
        layer.pop(key, None)
        if key == "balance" and kind == "transformer":
            layer.update(experts=2, top_k=1)

        def model(layer):
            loss = {"input": first, "loss": "softmax_cross_entropy", "layers": before + [layer] + after}
            run = {**PLAIN, "model": loss}
            if "naive_bayes" in kind:
                del run["training"]  # there is nothing to train
            return run
        other = another(inner, default)
        cases.append((f"layer {kind}.{key}", model(layer), model({**layer, key: default}),
                      None if other is None else model({**layer, key: other})))
    starter, told = Starter(world), 0
    for number, (what, base, default, other) in enumerate(cases):
        state = f"state-{number}"
        started, output = starter.start(base, state)
        assert started, (what, output)
        started, output = starter.start(default, state)
        assert started and "changed after" not in output, (what, output)
        started, output = starter.start(base, state)
        assert started and "changed after" not in output, (what, output)
        if other is not None:
            started, output = starter.start(other, state)
            assert "changed after" in output or not started, f"{what}: another value is the default, too:\n{output}"
            told += "changed after" in output or "its run has" in output
    assert len(cases) > 60 and told > 45, (len(cases), told)


def test_a_preset_is_the_layers_that_it_stands_for(world):
    starter = Starter(world)
    preset = {**PLAIN, "model": {"preset": "softmax-regression", "input": 8, "classes": 3}}
    assert starter.start(preset, "state")[0]
    started, output = starter.start(PLAIN, "state")
    assert started and "changed after" not in output, output


def changes(world, state="state"):
    database = sqlite3.connect(f"file:{world.path(state)}/rondo.db?mode=ro", uri=True)
    found = database.execute("SELECT round, key, before, after FROM changes ORDER BY id").fetchall()
    database.close()
    return found


def test_operating_keys_may_change_and_each_change_is_reported_and_recorded(world):
    """One of three clients leaves for good: with min_clients lowered the run goes on with two."""
    names = ["one", "two", "three"]
    world.certificates(names)
    table = world.write("t.csv", "a,b,label\n1.5,2,0\n3,4,1\n5,1,0\n2,2,1\n")
    config = {"rounds": 3, "model": {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]},
              "training": {"learning_rate": 0.1}, "cohort": {"min_clients": 3}, "data": {"test": {"path": table}}}
    path = world.write("run.json", config)
    aggregator = world.aggregator(path)
    clients = [world.client(aggregator, name, table) for name in names[:2]]
    wait_for(lambda: read(aggregator.log).count("joined") >= 2, "both are there", process=aggregator)
    aggregator.send_signal(signal.SIGTERM)
    assert wait_exit(aggregator) == 3
    config["cohort"] = {"min_clients": 2, "min_updates": 2, "deadline_seconds": 60}
    config.update(keep_every=1, name="two of three", evaluation={"every": 2})
    aggregator = world.aggregator(world.write("run.json", config), port=aggregator.port)
    assert wait_exit(aggregator) == 0, read(aggregator.log)
    for client in clients:
        assert wait_exit(client) == 0, read(client.log)
    log = read(aggregator.log)
    expected = [(0, "cohort.min_clients", "3", "2"), (0, "cohort.min_updates", "1", "2"),
                (0, "cohort.deadline_seconds", "600", "60"), (0, "keep_every", "0", "1"),
                (0, "name", '"run"', '"two of three"'), (0, "evaluation.every", "1", "2")]
    assert sorted(changes(world)) == sorted(expected), changes(world)
    for after, key, before, now in expected:
        assert f"changed after round {after}: {key} {before} -> {now}" in log, log
    assert len(world.rounds()) == 4
    shown = world.check(world.program("rondo-inspect"), "rounds", world.path("state"))
    assert re.search(r"changed after round 0: cohort\.min_clients 3 -> 2\n", shown), shown
    # What a round computes may not change.
    config["training"]["epochs"] = 2
    result = world.run(world.program("rondo-aggregator"), "serve", "--config", world.write("other.json", config), "--state",
                       world.path("state"), *world.tls("aggregator"))
    assert result.returncode == 1 and "training.epochs = 1, but now it would be 2" in result.stderr, result.stderr


def test_another_test_set_is_reported_and_recorded(world):
    table = "a,b,label\n" + "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(40))
    world.write("train.csv", table)
    test = world.write("test.csv", table)
    config = {"rounds": 2, "model": {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]},
              "training": {"learning_rate": 0.1}, "data": {"train": {"path": "train.csv"}, "test": {"path": "test.csv"}}}

    def simulate(rounds):
        config["rounds"] = rounds
        return world.check(world.program("rondo-sim"), "--config", world.write("run.json", config), "--clients", 2, "--out",
                           world.path("state"))
    assert "changed after" not in simulate(2)
    world.write("moved.csv", table)
    config["data"]["test"]["path"] = "moved.csv"  # the same rows under another name
    assert simulate(3).count("changed after") == 1  # rounds
    os.remove(test)
    world.write("moved.csv", table.replace("6,", "9,"))
    told = simulate(4)
    assert re.search(r'changed after round 3: data\.test "test\.csv \(40 rows, SHA-256 [0-9a-f]{12}\)" -> '
                     r'"moved\.csv \(40 rows, SHA-256 [0-9a-f]{12}\)"', told), told
    assert [c[:2] for c in changes(world)] == [(2, "rounds"), (3, "rounds"), (3, "data.test")], changes(world)
    assert "data.test" not in simulate(5)  # told once
    del config["data"]["test"]
    assert re.search(r'after round 5: data\.test "moved\.csv.*" -> nothing\n', simulate(6))


def test_another_training_set_is_another_simulation(world):
    table = "a,b,label\n" + "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(40))
    world.write("train.csv", table)
    config = {"rounds": 2, "model": {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]},
              "training": {"learning_rate": 0.1}, "data": {"train": {"path": "train.csv"}}}
    command = [world.program("rondo-sim"), "--config", world.write("run.json", config), "--clients", 2, "--out", world.path("state")]
    world.check(*command)
    world.check(*command)
    world.write("train.csv", table.replace("6,", "9,"))
    refused = world.run(*command)
    assert refused.returncode == 1 and re.search(r'its run has data\.train = "train\.csv \(40 rows, CRC-32 [0-9a-f]{8}\)", '
                                                 r'but now it would be "train\.csv', refused.stderr), refused.stderr


def test_initial_that_has_changed_is_reported(world):
    world.write("t.csv", "a,b,label\n" + "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(40)))
    config = {"rounds": 2, "model": {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]},
              "training": {"learning_rate": 0.1}, "data": {"train": {"path": "t.csv"}}, "initial": {"path": "start.safetensors"}}
    path = world.write("run.json", config)

    def start(value):
        world.write("start.safetensors", harness.safetensors({"fc1.weight": ([2, 2], [value] * 4), "fc1.bias": ([2], [0, 0])}))
        return world.check(world.program("rondo-sim"), "--config", path, "--clients", 2, "--out", world.path("state"))
    assert "changed after" not in start(0.5)
    assert "changed after" not in start(0.5)
    told = start(0.25)
    assert re.search(r"changed after round 2: initial .* \(a run that has begun does not read it\)\n", told), told
    os.remove(world.path("start.safetensors"))  # it is not needed any more
    world.check(world.program("rondo-sim"), "--config", path, "--clients", 2, "--out", world.path("state"))


def test_who_missed_rounds_is_left_out_after_a_break_too(world):
    """Devices drop out at random: simulated in three pieces, each round asks whom it asks without a break."""
    def simulate(rounds, state):
        config = merged(PLAIN, {"rounds": rounds, "training": {"epochs": 3}, "cohort": {"select": "count", "count": 6},
                                "data": {"train": {"format": "synthetic", "alpha": 1, "beta": 1, "clients": 12}, "partition": {"scheme": "group"}},
                                "simulation": {"system": {"partial_work": {"fraction": 0.5, "drop": True}}}})
        config["model"] = {"preset": "softmax-regression", "input": 60, "classes": 10}
        world.check(world.program("rondo-sim"), "--config", world.write("run.json", config), "--quiet", "--out", world.path(state))
        return [(r["model_sha256"], r["selected"], r["late"], r["left_out"]) for r in world.rounds(state)]

    whole = simulate(16, "whole")
    assert sum(r[3] for r in whole) > 10, whole
    for rounds in (5, 11, 16):
        assert simulate(rounds, "pieces") == whole[:rounds + 1]


if __name__ == "__main__":
    harness.main()
