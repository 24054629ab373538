#!/usr/bin/env python3
"""Clients with certificates, whose updates and words are accepted one by one, and who mean harm."""
import json
import os

import harness
from test_updates import body, committed, model, start


def rounds_with(sessions, number, updates):
    for session, update in zip(sessions, updates):
        assert session.task()[1]["round"] == number
        status, answer, _ = session.update(number, update)
        assert status == 200, answer


def test_no_model_is_published_that_clients_must_refuse(world):
    """Two accepted updates of 2^23 - 1 would make one: that round is abandoned, who did it is named, and the others go on."""
    aggregator, sessions = start(world, ["mallory", "alice"], rounds=4)
    for number, value in ((1, 8388607), (2, 8388607), (3, 1)):
        rounds_with(sessions, number, (body(value, 0, number), body(1, 0, number)))
        committed(world, aggregator, number)
    records = world.rounds()
    assert [r["aggregated"] for r in records] == [True, True, False, True], records
    assert records[2]["model_sha256"] == records[1]["model_sha256"]
    why = records[2]["abandoned"]
    assert "the global model diverged: element 0 of fc1.weight is 2^23 or more" in why, why
    assert "; far beyond the others: mallory (values up to 8.38861e+06; half of the clients: 1)" in why and "alice" not in why, why
    assert abs(model(world, 3)[0] - model(world, 1)[0] - 1) < 1, (model(world, 1), model(world, 3))
    harness.wait_for(lambda: "mallory (values up to" in harness.read(aggregator.log), "the log names it")


def test_claims_are_bounded_by_what_join_told(world):
    """One client's number of samples or steps is its weight; those of its hold-out rows decide when a run ends early."""
    aggregator, (mallory, alice) = start(world, ["mallory", "alice"], strategy={"name": "fednova"}, cohort={"max_samples": 12},
                                         training={"learning_rate": 0.125, "batch_size": 4, "epochs": 2})
    status, answer, _ = mallory.join(samples=13)
    assert (status, answer) == (422, {"error": "range", "message": "samples: expected at most 12 (cohort.max_samples), found 13"}), answer
    assert mallory.join(samples=12)[0] == 200 and mallory.join(samples=10)[0] == 200
    for session in (mallory, alice):
        assert session.task()[1]["round"] == 1
    joined = ", the samples that the client joined with, found "
    for claims, words in (({"samples": "11"}, "metadata 'samples': expected at most 10" + joined + "11"),
                          ({"samples": "2147483647"}, "metadata 'samples': expected at most 10" + joined),
                          ({"before_samples": "11", "before_loss": "1"}, "metadata 'before_samples': expected at most 10" + joined),
                          ({"holdout_samples": "2147483647", "holdout_loss": "0"}, "metadata 'holdout_samples': expected at most 10" + joined),
                          ({"personal_samples": "11", "personal_loss": "0"}, "metadata 'personal_samples': expected at most 10" + joined),
                          ({"steps": "7"}, "metadata 'steps': expected at most 6 with 10 samples, training.epochs 2 and training.batch_size 4, found 7"),
                          ({"steps": "5", "samples": "8"}, "metadata 'steps': expected at most 4 with 8 samples")):
        status, answer, _ = mallory.update(1, body(1, 0, **{"steps": "1", **claims}))
        assert status == 422 and words in answer["message"], (claims, answer)
    for session in (mallory, alice):
        assert session.update(1, body(1, 0, steps="6"))[0] == 200
    assert committed(world, aggregator, 1)["counted"] == 2


def test_nobody_outweighs_all_the_others(world):
    """One of five tells of 1,000,000 samples, the others of 10: it counts 40, so that the mean of four 1 and one -3 is -1. So it
    does where it tells of them only when the round has begun."""
    names = ["mallory", "alice", "bob", "carol", "dave"]
    aggregator, sessions = start(world, names, rounds=3, keep_updates=2)
    assert sessions[0].join(samples=1000000)[0] == 200  # in round 1 all had told of 10
    for number in (1, 2):
        rounds_with(sessions, number, [body(-3, 5, number, samples="1000000")] + [body(1, 1, number) for _ in range(4)])
        record = committed(world, aggregator, number)
        assert record["weight_limit"] == 40 and record["samples"] == 1000040, record
        moved = [b - a for a, b in zip(model(world, number - 1), model(world, number))]
        assert max(abs(moved[0] + 1), abs(moved[1] - 3)) < 1e-6, moved
    harness.wait_for(lambda: harness.read(aggregator.log).count("; counted as 40: mallory (1000000 samples)") == 2, "the log names it")
    again = world.check(world.program("rondo-inspect"), "replay", world.path("state"), "--round", "2")
    assert "recorded" in again, again
    shown = world.check(world.program("rondo-inspect"), "clients", world.path("state"), "--round", "2", "--jsonl")
    assert [(p["client"], p["samples"], p["weight"]) for p in map(json.loads, shown.splitlines()) if p["weight"] != 10] == \
        [("mallory", 1000000, 40)], shown


def test_robust_rules_do_not_believe_in_weights(world):
    """One of five has as many samples as anybody may have, it says."""
    names = ["mallory", "alice", "bob", "carol", "dave"]
    aggregator, sessions = start(world, names, strategy={"name": "geometric_median"})
    assert sessions[0].join(samples=10000000)[0] == 200
    rounds_with(sessions, 1, [body(1000, 1000, samples="10000000")] + [body(1 + i / 100, 1, samples="10") for i in range(4)])
    committed(world, aggregator, 1)
    before, after = model(world, 0), model(world, 1)
    assert abs(after[0] - before[0] - 1) < 0.1 and abs(after[1] - before[1] - 1) < 0.1, (before, after)


def test_clipping_bounds_what_one_client_does_whatever_it_claims(world):
    """Four of five say (1, 1), and the one that says the opposite is cut to the length of 1.5: a mean of 0.59."""
    names = ["mallory", "alice", "bob", "carol", "dave"]
    aggregator, sessions = start(world, names, strategy={"name": "norm_clipping", "clip_norm": 1.5})
    assert sessions[0].join(samples=10000000)[0] == 200
    rounds_with(sessions, 1, [body(-1000, -1000, samples="10000000")] + [body(1, 1, samples="10") for _ in range(4)])
    committed(world, aggregator, 1)
    moved = [b - a for a, b in zip(model(world, 0), model(world, 1))]
    assert all(abs(m - (4 - 1.5 / 2 ** 0.5) / 5) < 1e-6 for m in moved), moved


def test_a_run_of_abandoned_rounds_is_given_up(world):
    """One client that refuses everything would burn all rounds; those that are left are there when it is gone."""
    aggregator, (mallory,) = start(world, ["mallory"], rounds=50, cohort={"max_abandoned": 3})
    for number in range(1, 4):
        task = mallory.task()[1]
        assert (task["task"], task["round"]) == ("train", number), task
        assert mallory.request("POST", "/v1/leave", '{"reason": "no"}')[0] == 204
        committed(world, aggregator, number)
    assert harness.wait_exit(aggregator) == 4
    log = harness.read(aggregator.log)
    assert "given up after round 3: the last 3 rounds were abandoned (cohort.max_abandoned)" in log, log
    assert "the run was given up after round 3: its last 3 rounds were abandoned (a larger cohort.max_abandoned continues it)" in log, log
    again, (mallory,) = start(world, ["mallory"], rounds=50, cohort={"max_abandoned": 4})
    assert "changed after round 3: cohort.max_abandoned 3 -> 4" in harness.read(again.log)
    assert mallory.task()[1]["round"] == 4
    assert mallory.update(4, body(1, 0, 4))[0] == 200
    assert mallory.task()[1]["round"] == 5


def test_who_misses_rounds_holds_up_few(world):
    """One of three refuses, or lets the deadline pass, whenever it is asked. From round 2 on it is there: that is in rounds 2, 4, 7 and
    12, although the aggregator was killed between, and the others hold their rounds alone meanwhile."""
    names, held = ["alice", "bob", "mallory"], []
    how = {"rounds": 13, "cohort": {"min_clients": 2, "deadline_seconds": 3 * harness.SLOW}}
    aggregator, (*honest, mallory) = start(world, names, **how)
    for number in range(1, 13):
        if number == 10:
            committed(world, aggregator, 9)
            aggregator.kill()
            aggregator.wait()
            aggregator, (*honest, mallory) = start(world, names, **how)
        for session in honest:
            assert session.task()[1]["round"] == number
        if mallory.task(wait=0)[0] == 200:
            held.append(number)
            if number != 7:
                assert mallory.request("POST", "/v1/leave", '{"reason": "not in the mood"}')[0] == 204
        mallory.task(wait=0)  # it is there, when the next round begins
        rounds_with(honest, number, [body(1, 1, number)] * 2)
        if number == 7:
            committed(world, aggregator, 7)
            mallory.task(wait=0)
    assert held == [2, 4, 7, 12], held
    committed(world, aggregator, 12)
    records = world.rounds()[1:]
    assert [r["round"] for r in records if r["failed"] + r["late"] > 0] == held, records
    # Round 8 began before it was back, round 10 before it had joined.
    assert [r["round"] for r in records if r["left_out"] == 1] == [3, 5, 6, 9, 11], records
    log = harness.read(aggregator.log)
    assert "; failed: mallory (not in the mood)" in log and "; left out of next rounds: mallory (8)" in log, log
    shown = world.check(world.program("rondo-inspect"), "clients", world.path("state"), "--round", "7", "--jsonl")
    assert {p["client"]: (p["status"], p["missed"]) for p in map(json.loads, shown.splitlines())} == \
        {"mallory": ("late", 3), "alice": ("counted", 0), "bob": ("counted", 0)}, shown


def test_who_has_nothing_to_train_on_misses_nothing(world):
    """Each of four has samples of one task of two: it passes in the other's rounds, and is asked again in the next, deployed as
    simulated. Who says so where all samples are for every round is not believed."""
    rows = [f"{label},{i % 5},{label + 2 * half}" for label in (0, 1) for half in (0, 1) for i in range(8)]
    table = world.write("table.csv", "label,x,group\n" + "\n".join(rows) + "\n")
    config = {
        "seed": 3, "rounds": 8, "model": {"preset": "softmax-regression", "input": 1, "classes": 2},
        "training": {"learning_rate": 0.1}, "continual": {"tasks": [[0], [1]], "rounds_per_task": 4},
        "data": {"train": {"path": table, "label_column": "label", "group_column": "group"}, "partition": {"scheme": "group"}}}
    world.check(world.program("rondo-sim"), "--config", world.write("sim.json", config), "--out", world.path("sim"), "--quiet")
    simulated = world.rounds("sim")
    assert [[r[k] for k in ("selected", "counted", "failed", "left_out")] for r in simulated[1:]] == [[4, 2, 2, 0]] * 8, simulated
    config = world.write("run.json", {**config, "cohort": {"min_clients": 4}})  # so that all are in round 1
    world.check(world.program("rondo-sim"), "partition", "--config", config, "--out", world.path("private"), "--quiet")
    names = [f"client-{i + 1}" for i in range(4)]
    world.certificates(names)
    aggregator = world.aggregator(config)
    clients = [world.client(aggregator, name, world.path("private", name + ".safetensors")) for name in names]
    for process in [aggregator, *clients]:
        assert harness.wait_exit(process) == 0, harness.read(process.log)
    deployed = world.rounds()
    assert [r["model_sha256"] for r in deployed] == [r["model_sha256"] for r in simulated], (deployed, simulated)
    for state in ("state", "sim"):
        text = world.check(world.program("rondo-inspect"), "clients", world.path(state), "--round", 8, "--jsonl")
        assert sorted((p["reason"], p["missed"]) for p in map(json.loads, text.splitlines())) == \
            [("", 0)] * 2 + [("none of its samples are for this round", 0)] * 2, text


def test_that_nothing_is_to_be_done_is_not_believed_everywhere(world):
    aggregator, (alice, bob, mallory) = start(world, ["alice", "bob", "mallory"], rounds=4, cohort={"min_clients": 2})
    for number in (1, 2, 3):  # round 1 has begun before all were there
        for session in (alice, bob):
            assert session.task()[1]["round"] == number
        assert mallory.task(wait=0)[0] == (200 if number == 2 else 204)
        if number == 2:
            assert mallory.request("POST", "/v1/leave", '{"reason": "no", "idle": true}')[0] == 204
            mallory.task(wait=0)
        rounds_with((alice, bob), number, [body(1, 1, number)] * 2)
    assert [committed(world, aggregator, n)["left_out"] for n in (1, 2, 3)] == [0, 0, 1]


def test_joining_again_costs_no_write(world):
    aggregator, (mallory,) = start(world, ["mallory"])
    harness.wait_for(lambda: "mallory joined" in harness.read(aggregator.log), "it has joined", process=aggregator)
    wal = world.path("state", "rondo.db-wal")
    before = os.path.getsize(wal)
    for _ in range(300):
        assert mallory.join()[0] == 200
    assert os.path.getsize(wal) == before
    for i in range(300):
        assert mallory.join(samples=11 + i)[0] == 200
    assert os.path.getsize(wal) - before < 100000, (before, os.path.getsize(wal))
    assert harness.read(aggregator.log).count("mallory joined") <= 2 + 1, harness.read(aggregator.log)
    harness.wait_for(lambda: "mallory joined with 310 samples" in harness.read(aggregator.log), "the last is written in the end", process=aggregator)


def test_a_join_on_a_full_disk_waits_for_room(world):
    with world.small_disk() as fill:
        aggregator, _ = start(world, ["alice", "bob"], cohort={"min_clients": 3})
        world.check(os.path.join(harness.ROOT, "certs", "make-certs"), world.path("certs"), "client", *(f"c{i}" for i in range(40)))
        harness.wait_for(lambda: "bob joined" in harness.read(aggregator.log), "both have joined", process=aggregator)
        filler = fill()
        for i in range(40):  # a page or two may be left in the log
            assert world.session(aggregator, f"c{i}").join()[0] == 200
            if "trying again" in harness.read(aggregator.log):
                break
        harness.wait_for(lambda: "trying again" in harness.read(aggregator.log), "the aggregator says that the disk is full", 20, aggregator)
        os.remove(filler)
        harness.wait_for(lambda: f"c{i} joined" in harness.read(aggregator.log), "it is written after all", 20, aggregator)
        aggregator.kill()
        aggregator.wait()


def begin_upload(session, round, update, size):
    """Sends the head and some bytes of it."""
    session.name_of_model()
    session.connection.putrequest("POST", f"/v1/rounds/{round}/train")
    for name, value in (("Rondo-Model", session.model), ("Content-Length", str(len(update)))):
        session.connection.putheader(name, value)
    session.connection.endheaders()
    session.connection.send(update[:size])


def test_one_update_of_a_client_is_under_way_and_ends_with_its_round(world):
    aggregator, (mallory, alice) = start(world, ["mallory", "alice"], cohort={"deadline_seconds": 4, "grace_seconds": 0})
    for session in (mallory, alice):
        assert session.task()[1]["round"] == 1
    second = world.session(aggregator, "mallory")
    assert second.task()[1]["round"] == 1
    begin_upload(mallory, 1, body(1, 0), 100)
    harness.wait_for(lambda: second.update(1, body(1, 0))[0] == 503, "the first has arrived")
    status, answer, headers = second.update(1, body(1, 0))
    assert (status, answer["error"]) == (503, "busy") and "another update of this client is under way" in answer["message"] and headers["Retry-After"], answer
    assert alice.update(1, body(1, 0))[0] == 200
    assert committed(world, aggregator, 1)["late"] == 1
    mallory.connection.send(body(1, 0)[100:101])  # the answer comes with this byte: it is not needed any more
    answer = mallory.connection.getresponse()
    assert answer.status == 409 and b"round 1 is over" in answer.read()
    for session in (second, alice):
        assert session.task()[1]["round"] == 2
        assert session.update(2, body(1, 0, 2))[0] == 200
    assert committed(world, aggregator, 2)["counted"] == 2


def test_what_clients_say_is_plain_in_logs_and_exports(world):
    aggregator, (mallory,) = start(world, ["mallory"], rounds=3)
    assert mallory.task()[1]["round"] == 1
    status, answer, _ = mallory.update(1, body(1, 0), Content_Digest=b"\xe2\x80\xae")
    assert status == 400 and "found '???" in answer["message"], answer
    assert mallory.task()[1]["round"] == 2
    assert mallory.request("POST", "/v1/leave", '{"reason": "=cmd|\u202e\u200bx"}'.encode())[0] == 204
    committed(world, aggregator, 2)
    with open(aggregator.log, "rb") as f:
        log = f.read().decode()
    assert not [c for c in log if c in "\x1b\u202e\u200b"], log
    exported = world.check(world.program("rondo-inspect"), "clients", world.path("state"), "--round", 2, "--csv")
    assert not [c for c in exported if c in "\x1b\u202e\u200b"] and ",\"'=cmd|??????x\"," in exported, exported


if __name__ == "__main__":
    harness.main()
