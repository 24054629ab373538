#!/usr/bin/env python3
"""What may enter the sum of a round, and what becomes of a round of which nothing can be made: the same in a deployment and in a simulation."""
import json
import math
import os
import shutil
import sys

import harness
from harness import read_safetensors, safetensors, wait_exit, wait_for

MODEL = {"preset": "linear-regression", "input": 1}
RATE = 0.125


def start(world, clients, rounds=2, strategy=None, cohort=None, **changes):
    """An aggregator with clients written by hand, who have all been given round 1."""
    world.certificates(clients)
    config = {"rounds": rounds, "model": MODEL, "training": {"learning_rate": RATE, "batch_size": 0}, "strategy": strategy or {"name": "fedavg"},
              "cohort": {"min_clients": len(clients), "deadline_seconds": 300, **(cohort or {})}, **changes}
    aggregator = world.aggregator(world.write("run.json", config), "--linger-seconds", "0")
    sessions = [world.session(aggregator, name) for name in clients]
    for session in sessions:
        assert session.join()[0] == 200
    return aggregator, sessions


def body(weight, bias, round=1, **metadata):
    return safetensors({"fc1.weight": ([1, 1], [weight]), "fc1.bias": ([1], [bias])}, {"round": str(round), "samples": "10", **metadata})


def model(world, version):
    with open(world.path(f"state/models/{version:06}.safetensors"), "rb") as f:
        tensors = read_safetensors(f.read())
    return tensors["fc1.weight"][1][0], tensors["fc1.bias"][1][0]


def committed(world, aggregator, round):
    wait_for(lambda: len(world.rounds()) > round, f"round {round} is committed", process=aggregator)
    return world.rounds()[round]


def reasons(world, state, round):
    text = world.check(world.program("rondo-inspect"), "clients", world.path(state), "--round", round, "--jsonl")
    return {p["client"]: p["reason"] for p in map(json.loads, text.splitlines())}


def test_one_delta_without_length_does_not_carry_fltrust_away(world):
    """Its direction is that of the server's own, but its norm is no normal float: it counts nothing."""
    world.write("root.csv", "x,y\n1,3\n2,5\n")
    aggregator, (mallory, alice) = start(world, ["mallory", "alice"], rounds=1, strategy={"name": "fltrust"}, data={"root": {"path": world.path("root.csv"), "regression": True}})
    committed(world, aggregator, 0)  # when what the columns mean is settled
    w, b = model(world, 0)
    errors = [(w * x + b - y, x) for x, y in ((1, 3), (2, 5))]
    server = [-RATE * sum(2 * e * x for e, x in errors) / 2, -RATE * sum(2 * e for e, _ in errors) / 2]
    for session, update in ((mallory, (math.copysign(1e-40, server[0]), 0)), (alice, server)):
        assert session.task()[1]["round"] == 1
        assert session.update(1, body(*update))[0] == 200
    committed(world, aggregator, 1)
    after = model(world, 1)
    assert abs(after[0] - w - server[0]) < 1e-5 and abs(after[1] - b - server[1]) < 1e-5, (after, w, b, server)


def test_what_only_the_whole_update_shows_is_refused_and_may_be_made_good(world):
    aggregator, (alice, bob) = start(world, ["alice", "bob"], strategy={"name": "q-fedavg", "q": 1}, evaluation={"train_loss": True})
    loss = {"before_loss": "1", "before_samples": "10"}
    for session in (alice, bob):
        assert session.task()[1]["round"] == 1
    status, answer, _ = alice.update(1, body(1e6, 0, **loss))  # h = |L d|^2 + ... = (8e6)^2
    assert status == 422 and "below 2^40 expected" in answer["message"], answer
    status, answer, _ = alice.update(1, body(1, 0, **dict(loss, before_loss="1048576")))
    assert status == 200, answer
    status, answer, _ = bob.update(1, body(2.0 ** 22, 0, **dict(loss, before_loss="1048576")))
    assert status == 422 and "multiplies the update by 1.04858e+06" in answer["message"], answer
    record = committed(world, aggregator, 1)
    assert (record["counted"], record["failed"], record["samples"]) == (1, 1, 10), record
    assert "multiplies the update" in reasons(world, "state", 1)["bob"]
    w = model(world, 0)[0]
    expected = w + 8 * 2 ** 20 / (8 ** 2 + 8 * 2 ** 20)  # L F d / (q |L d|^2 + L F) with L = 8, d = 1
    assert abs(model(world, 1)[0] - expected) < 1e-5, (model(world, 1), expected)


def test_a_round_of_which_nothing_can_be_made_is_abandoned(world):
    """multi_krum averages the best four: with three the model stays, and the run goes on."""
    names = ["alice", "bob", "carol", "dave"]
    aggregator, sessions = start(world, names, strategy={"name": "multi_krum", "byzantine": 0, "chosen": 4})
    for number in (1, 2):
        for session in reversed(sessions):  # dave first: whoever left is asked again when it has been seen again
            status, task, _ = session.task(wait=0 if session is sessions[3] else 20)
            assert status in (200, 204) and (status == 204 or task["round"] == number), (status, task)
        assert sessions[0].task()[1]["round"] == number
        for session in sessions[:3]:
            status, answer, _ = session.update(number, body(1, 2, number))
            assert status == 200, answer
        if number == 1:
            for body_of_leave in ('{"reason": 5}', '{"reason": ""}', '{"why": "x"}', json.dumps({"reason": "x" * 160})):
                assert sessions[3].request("POST", "/v1/leave", body_of_leave)[0] == 400, body_of_leave
            assert sessions[3].request("POST", "/v1/leave", json.dumps({"reason": "x" * 159}))[0] == 204
        else:
            assert sessions[3].update(2, body(1, 2, 2))[0] == 200
        committed(world, aggregator, number)
    assert [r["aggregated"] for r in world.rounds()] == [True, False, True], world.rounds()
    assert [r["abandoned"] for r in world.rounds()] == [None, None, None]  # too few: the counts say so
    w, b = model(world, 0)
    assert abs(model(world, 2)[0] - w - 1) < 1e-6 and abs(model(world, 2)[1] - b - 2) < 1e-6


def test_nobody_to_trust_abandons_the_round(world):
    world.write("root.csv", "x,y\n1,3\n2,5\n")
    aggregator, (alice,) = start(world, ["alice"], rounds=1, strategy={"name": "fltrust"}, data={"root": {"path": world.path("root.csv"), "regression": True}})
    committed(world, aggregator, 0)  # when what the columns mean is settled
    assert alice.task()[1]["round"] == 1
    assert alice.update(1, body(0, 0))[0] == 200
    assert committed(world, aggregator, 1)["aggregated"] is False
    assert world.rounds()[-1]["abandoned"] == "none of 1 updates is trusted", world.rounds()[-1]
    assert "model kept: none of 1" in world.check(world.program("rondo-inspect"), "rounds", world.path("state"))
    wait_for(lambda: "none of 1 updates is trusted: model kept" in harness.read(aggregator.log), "the log says why")


def test_an_update_counts_only_for_the_model_it_was_trained_from(world):
    """The power fails, and the last round is lost: it is repeated with other updates, so the same version is another model."""
    world.certificates(["alice", "bob"])
    path = world.write("run.json", {"rounds": 3, "model": MODEL, "training": {"learning_rate": RATE}, "cohort": {"min_clients": 2}})
    aggregator = world.aggregator(path)
    aggregator.terminate()
    wait_exit(aggregator)
    shutil.copytree(world.path("state"), world.path("lost"))

    def life(state, values):
        """Round 1 with these deltas; round 2 is open then."""
        running = world.aggregator(path, state=state, log=f"{state}.log")
        sessions = [world.session(running, name) for name in ("alice", "bob")]
        for session in sessions:
            assert session.join()[0] == 200
        for session, value in zip(sessions, values):
            assert session.task()[1]["round"] == 1
            assert session.update(1, body(value, 0))[0] == 200
        for session in sessions:
            task = session.task()[1]
            assert (task["round"], task["model"]) == (2, 1), task
        return running, sessions

    before, (alice, _) = life("state", (1, 3))
    old, run = alice.name_of_model(), alice.join()[1]["run"]
    assert old.strip('"').rsplit("-", 2)[:2] == [run, "1"], old
    before.kill()
    before.wait()
    after, (alice, bob) = life("lost", (2, 4))
    assert alice.join()[1]["run"] == run
    update = body(1, 1, 2)
    for name, status, kind, words in ((old, 409, "state", "was trained from model " + old), (old.replace(run, "0" * len(run)), 409, "state", "0000"),
                                      (old.replace("-1-", "-0-"), 409, "state", "-0-"), (alice.name_of_model()[:-2], 409, "state", "fetch the model again"), ("", 409, "state", ""),
                                      (None, 400, "format", "Rondo-Model is missing")):
        got, answer, _ = alice.update(2, update, Rondo_Model=name)
        assert (got, answer["error"]) == (status, kind) and words in answer["message"], (name, got, answer)
        if kind == "state":
            assert alice.task()[1]["round"] == 2, "it may still train from the right one"
    # A 400 is a failure, which something better makes good; and the name may come without its quotes.
    assert alice.update(2, update, Rondo_Model=alice.name_of_model().strip('"'))[0] == 200
    assert bob.update(2, update)[0] == 200
    wait_for(lambda: len(world.rounds("lost")) == 3, "round 2 is committed", process=after)
    assert world.rounds("lost")[2]["counted"] == 2


def test_asynchronous_updates_name_the_model_of_their_task(world):
    """fedbuff: the model may have moved on, and an update still is of the one that came with its task; most_staleness rounds later it is too old."""
    strategy = {"name": "fedbuff", "buffer_size": 1, "concurrency": 2, "most_staleness": 1}
    aggregator, (alice, bob) = start(world, ["alice", "bob"], rounds=6, strategy=strategy)
    w = model(world, 0)[0]
    assert alice.task()[1] == {"task": "train", "round": 1, "model": 0}
    old = alice.name_of_model()
    for number in (1, 2):
        assert bob.task()[1]["round"] == number
        assert bob.update(number, body(1, 0, number))[0] == 200
        committed(world, aggregator, number)
        if number == 1:  # one round has passed: it counts 1 / sqrt(2)
            assert alice.update(1, body(1, 0), Rondo_Model=bob.name_of_model().replace("-0-", "-1-"))[0] == 409
            assert alice.update(1, body(1, 0), Rondo_Model=old)[0] == 200
            committed(world, aggregator, 2)
            break
    assert abs(model(world, 2)[0] - w - 1 - 2 ** -0.5) < 1e-6, (model(world, 2), w)
    assert alice.task()[1]["round"] == 3
    for number in (3, 4):
        assert bob.task()[1]["round"] == number
        assert bob.update(number, body(1, 0, number))[0] == 200
        committed(world, aggregator, number)
    status, answer, _ = alice.update(3, body(1, 0, 3))  # two rounds have passed
    assert (status, answer["error"]) == (409, "stale"), answer
    assert alice.task()[1]["round"] == 5
    assert alice.update(5, body(1, 0, 5))[0] == 200
    assert abs(model(world, 4)[0] - w - 3 - 2 ** -0.5) < 1e-6
    assert committed(world, aggregator, 5)["counted"] == 1


def test_robust_rules_make_of_twenty_updates_what_numpy_makes(world):
    """Over the wire, in a random order, four of them far away."""
    try:
        import numpy as np
    except ImportError:
        raise harness.Skip("needs python3-numpy") from None
    sys.path.insert(0, os.path.join(harness.ROOT, "tests/reference"))
    import make_robust
    count, inputs = 20, 9
    names = [f"c{i}" for i in range(count)]
    world.certificates(names)
    keys = {"median": {}, "trimmed_mean": {"byzantine": 4}, "krum": {"byzantine": 4}, "multi_krum": {"byzantine": 4, "chosen": 9}, "bulyan": {"byzantine": 4}, "geometric_median": {"iterations": make_robust.ITERATIONS, "weighting": "samples"}}
    random = np.random.default_rng(5)
    for number, (rule, more) in enumerate(keys.items()):
        updates = random.normal(size=(count, inputs + 1)).astype(np.float32)
        updates[:4] += np.float32(20)
        weights = random.integers(1, 50, size=count)
        path = world.write("run.json", {"rounds": 1, "model": {"preset": "linear-regression", "input": inputs}, "training": {"learning_rate": RATE}, "strategy": {"name": rule, **more}, "cohort": {"min_clients": count}})
        aggregator = world.aggregator(path, "--linger-seconds", "0", state=rule, log=f"{rule}.log")
        sessions = [world.session(aggregator, name) for name in names]
        for session in sessions:
            assert session.join(samples=50)[0] == 200
        for i in random.permutation(count):
            assert sessions[i].task()[1]["round"] == 1
            update = safetensors({"fc1.weight": ([1, inputs], updates[i, :inputs].tolist()), "fc1.bias": ([1], updates[i, inputs:].tolist())}, {"round": "1", "samples": str(weights[i])})
            status, answer, _ = sessions[i].update(1, update)
            assert status == 200, answer
        wait_for(lambda: len(world.rounds(rule)) == 2, "the round is committed", process=aggregator)
        models = []
        for version in (0, 1):
            with open(world.path(f"{rule}/models/{version:06}.safetensors"), "rb") as f:
                tensors = read_safetensors(f.read())
            models.append(np.array([*tensors["fc1.weight"][1], *tensors["fc1.bias"][1]]))
        expected = make_robust.RULES[number](updates.astype(np.float64), weights, more.get("byzantine", 0), more.get("chosen", 0))
        assert np.abs(models[1] - models[0] - expected).max() < 1e-6, (rule, models[1] - models[0], expected)
        aggregator.kill()


def simulate(world, name, clients=4, **changes):
    rows = "".join(f"{x / 7},{20 * x / 7 + 1}\n" for x in range(40))
    config = {"rounds": 2, "model": MODEL, "training": {"learning_rate": 0.1, "batch_size": 0}, "data": {"train": {"path": world.write("train.csv", "x,y\n" + rows), "regression": True}}, **changes}
    path = world.write(f"{name}.json", config)
    return world.run(world.program("rondo-sim"), "--config", path, "--clients", clients, "--out", world.path(name))


def test_simulated_attackers_meet_the_same_gate(world):
    """Deltas times a million are failed clients, in each round that asks them, and the others' round is as if there were no others."""
    attack = {"attack": {"type": "sign_flip", "fraction": 0.25, "scale": 1e6}}
    local = {"model": {"input": 1, "loss": "mse", "fine_tuning": {"local": ["fc2.*"]}, "layers": [{"type": "dense", "name": "fc1", "units": 2}, {"type": "dense", "name": "fc2", "units": 1}]}}
    for name, changes in {"fedavg": {}, "scaffold": {"strategy": {"name": "scaffold"}}, "median": {"strategy": {"name": "median"}}, "clip": {"strategy": {"name": "norm_clipping", "clip_norm": 1}},
                          "nova": {"strategy": {"name": "fednova"}}, "fedper": local}.items():
        result = simulate(world, name, simulation=attack, cohort={"max_backoff": 0}, **changes)
        assert result.returncode == 0 and "failed: the update holds" in result.stdout, (name, result.stdout, result.stderr)
        for record in world.rounds(name)[1:]:
            assert (record["counted"], record["failed"]) == (3, 1), (name, record)
            assert record["update_norm"] < 1e6, (name, record)
        told = [r for r in reasons(world, name, 2).values() if r]
        assert len(told) == 1 and "2^23 or more" in told[0] or "infinite" in told[0], told


def test_a_server_that_cannot_train_abandons_its_rounds(world):
    """From round 2 on the warmed-up learning rate is too much for data.root, though not for the clients: nobody is trusted, and nothing ends."""
    root = world.write("root.csv", "x,y\n10,30.5\n-10,-29.5\n")
    train = world.write("small.csv", "x,y\n" + "".join(f"{i / 10},{3 * i / 10 + 0.5}\n" for i in range(10)))
    simulate(world, "root", rounds=3, strategy={"name": "fltrust"}, training={"learning_rate": 0.015, "batch_size": 0, "epochs": 200, "schedule": {"type": "constant", "warmup_rounds": 1}},
             data={"train": {"path": train, "regression": True}, "root": {"path": root, "regression": True}})
    records = world.rounds("root")
    assert [r["aggregated"] for r in records] == [True, True, False, False], records
    assert records[3]["counted"] == 4 and records[3]["model_sha256"] == records[1]["model_sha256"] != records[0]["model_sha256"]


def test_a_pull_that_would_overshoot_is_refused(world):
    for changes, words in (({"strategy": {"name": "fednova", "proximal": 20}}, "strategy.proximal: with training.learning_rate 0.1 it must be below 20, found 20"),
                           ({"strategy": {"name": "fedprox", "proximal": 30}}, "strategy.proximal: with training.learning_rate 0.1 it must be below 20, found 30"),
                           ({"personalisation": {"method": "ditto", "lambda": 25}}, "personalisation.lambda: with training.learning_rate 0.1 it must be below 20, found 25")):
        result = simulate(world, "refused", **changes)
        assert result.returncode == 1 and words in result.stderr, (result.stdout, result.stderr)
    assert simulate(world, "fine", strategy={"name": "fednova", "proximal": 15}).returncode == 0


if __name__ == "__main__":
    harness.main()
