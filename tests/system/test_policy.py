#!/usr/bin/env python3
"""What a client does not let itself be asked for, against an aggregator that asks for it."""
import json
import os
import re

import harness
from harness import read, wait_for
from test_client import arrays, begin, ended

ROWS = 300


def with_policy(world, policy, config, *options, rounds=1):
    """A fake aggregator, and a client of it with that policy."""
    fake, client = begin(world, rounds=rounds, config=config)
    heading, rows = read(world.path("private.csv")).split("\n", 1)
    world.write("private.csv", heading + "\n" + rows * (ROWS // 3))
    return fake, client("--policy", world.write("policy.json", policy), *options)


def training(**more):
    return {"training": {"learning_rate": 1e-9, "batch_size": 1, **more}}


def test_runs_beyond_the_policy_are_refused_before_anything_is_told(world):
    for number, (policy, config, words) in enumerate([
            ({"max_epochs": 10}, training(epochs=11), "max_epochs: the aggregator asks for 11 epochs a round, allowed are 10"),
            ({"max_epochs": 10}, {**training(epochs=6), "personalisation": {"method": "ditto", "lambda": 0.1, "epochs": 5}}, "asks for 11 epochs"),
            ({"max_parameters": 3}, training(), "max_parameters: the aggregator's model has 4 parameters, allowed are 3"),
            ({"min_updates": 5}, training(), "min_updates: in this run 1 update may make a model, allowed are 5 and more"),
            ({"min_updates": 5}, {**training(), "cohort": {"min_updates": 4}}, "in this run 4 updates may make a model")]):
        fake, client = with_policy(world, policy, config)
        text = ended(client, 6, words, "policy.json")
        assert [f"{r.method} {r.path}" for r in fake.requests] == ["GET /v1/run"], (number, text)
    # Without one, whoever has samples that need no schema would join first.
    with open(world.path("numbers.safetensors"), "wb") as f:
        f.write(arrays(("x", "F32", [2, 3], "f", [1, 2, 3, 4, 5, 6]), ("y", "F32", [2], "f", [1, 0])))
    fake, _ = begin(world, config=training(epochs=11))
    client = world.client(fake, "alice", world.path("numbers.safetensors"), "--policy", world.write("policy.json", {"max_epochs": 10}))
    ended(client, 6, "max_epochs")
    assert [f"{r.method} {r.path}" for r in fake.requests] == ["GET /v1/run"]


def test_runs_within_the_policy_are_taken_part_in(world):
    limits = {"max_epochs": 11, "max_parameters": 4, "min_updates": 4, "max_round_seconds": 60}
    config = {**training(epochs=6), "personalisation": {"method": "ditto", "lambda": 0.1, "epochs": 5}, "cohort": {"min_updates": 4}}
    fake, client = with_policy(world, limits, config)
    ended(client, 0, "finished")
    assert len(fake.seen("POST /v1/rounds/1/train")) == 1


def test_training_ends_when_its_time_is_over(world):
    """A million epochs are not trained, the aggregator hears why, and the client stays."""
    fake, client = with_policy(world, {"max_round_seconds": 0.5}, training(epochs=1000000))
    wait_for(lambda: fake.seen("POST /v1/leave"), "the client passes", process=client)
    assert json.loads(fake.seen("POST /v1/leave")[0].body) == {"reason": "it may not train for so long"}
    fake.next_round = 2
    ended(client, 0, "round 1: it may not train for so long", "finished")
    assert not fake.seen("POST /v1/rounds")


def test_a_model_that_is_larger_than_memory_is_refused(world):
    """2,025 million parameters, 32 GB while they are trained."""
    if os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE") > 32e9:
        raise harness.Skip("this machine has memory for the largest model that there may be")
    layers = [{"type": "dense", "units": 45000, "activation": "relu"}] * 2 + [{"type": "dense", "units": 1}]
    fake, client = begin(world, config={"model": {"input": 3, "loss": "mse", "layers": layers}})
    ended(client(), 6, "the aggregator's model has 2025270001 parameters, which take about 32404 MB", "--policy")


def test_policies_that_are_wrong_are_refused(world):
    for policy, words in ((None, "No such file"), ("{\n  nonsense", "policy.json: line 2"), ("[1]", "expected a JSON object"),
                          ('{"max_epoch": 3}', "policy.json: max_epoch: unknown key"), ('{"max_epochs": 0}', "max_epochs: expected a whole number from 1"),
                          ('{"max_round_seconds": "long"}', "max_round_seconds: expected a number")):
        fake, client = begin(world)
        path = world.write("policy.json", policy) if policy is not None else world.path("absent.json")
        ended(client("--policy", path), 6, "--policy", words)
        assert not fake.requests


def test_keys_are_logged_for_who_asks_alone(world):
    """SSLKEYLOGFILE is heeded by libcurl, and who sets the environment would read along."""
    fake, client = begin(world)
    ended(client(env={**os.environ, "SSLKEYLOGFILE": world.path("leak")}), 0)
    assert not os.path.exists(world.path("leak"))
    fake.next_round = 1
    ended(client("--tls-key-log", world.path("keys")), 0)
    assert re.search("^(CLIENT_RANDOM|CLIENT_TRAFFIC_SECRET_0) ", read(world.path("keys")), re.M) and os.stat(world.path("keys")).st_mode & 0o077 == 0
    ended(client("--tls-key-log", world.path("absent/keys")), 2, "--tls-key-log", "No such file")


if __name__ == "__main__":
    harness.main()
