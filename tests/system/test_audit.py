#!/usr/bin/env python3
"""The account of a run: what is in it, computed again here from its text alone, and what is said of one that was changed."""
import base64
import hashlib
import json
import os
import sqlite3

import harness
from harness import read, safetensors, wait_exit, wait_for

MODEL = {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]}
RUN = {"rounds": 2, "model": MODEL, "training": {"learning_rate": 0.1}, "cohort": {"min_clients": 3, "deadline_seconds": 1.5 * harness.SLOW}}
TABLE = "a,b,label\n" + "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(40))


def update(round, value=0.25, samples=10):
    return safetensors({"fc1.weight": ([2, 2], [value] * 4), "fc1.bias": ([2], [value] * 2)}, {"round": str(round), "samples": str(samples)})


def account(world, *options, state="state"):
    text = world.check(world.program("rondo-inspect"), "audit", world.path(state), "--jsonl", *options)
    return [json.loads(line) for line in text.splitlines()]


def verify(world, *options, state="state"):
    return world.run(world.program("rondo-inspect"), "audit", world.path(state), "--verify", *options)


def simulate(world, rounds=4, state="state", **more):
    config = {"rounds": rounds, "model": MODEL, "training": {"learning_rate": 0.1}, "data": {"train": {"path": "table.csv"}}, **more}
    world.write("table.csv", TABLE)
    return [world.program("rondo-sim"), "--config", world.write("sim.json", config), "--clients", 3, "--out", world.path(state), "--quiet"]


def chained(entries):
    """SHA-256 of the last entry, from the entries' texts as they stand in the database."""
    before = "0" * 64
    for number, text, sha256 in entries:
        before = hashlib.sha256((before + text).encode()).hexdigest()
        assert before == sha256, number
    return before


def test_all_that_happens_is_in_it(world):
    world.certificates(["alice", "bob", "eve"])
    aggregator = world.aggregator(world.write("run.json", RUN), "--linger-seconds", 1)
    alice, bob, eve = (world.session(aggregator, name) for name in ("alice", "bob", "eve"))
    for session in (alice, bob, eve):
        assert session.join()[0] == 200
    for session in (alice, bob, eve):
        assert session.task()[0] == 200
    body = update(1)
    sent = hashlib.sha256(body)
    digest = base64.b64encode(sent.digest()).decode()
    assert alice.update(1, body, Content_Digest=f"sha-256=:{digest}:")[0] == 200
    assert eve.update(1, update(1, value=float("nan")))[0] == 422
    assert bob.request("POST", "/v1/leave", json.dumps({"reason": "training\u202e diverged"}))[0] == 204
    assert bob.join()[0] == 200
    for session in (alice, eve):
        assert session.task()[1]["round"] == 2
        assert session.update(2, update(2))[0] == 200
    assert wait_exit(aggregator) == 0, read(aggregator.log)

    entries = [line["entry"] for line in account(world)]
    events = [entry["event"] for entry in entries]
    assert events[0] == "begun" and entries[0]["config"]["model"] == MODEL and events[-1] == "finished", events
    assert {e["client"]: e["samples"] for e in entries if e["event"] == "joined"} == {"alice": 10, "bob": 10, "eve": 10}
    (refused,) = [e for e in entries if e["event"] == "refused"]
    assert refused["client"] == "eve" and "NaN" in refused["why"], refused
    (left,) = [e for e in entries if e["event"] == "left"]
    assert left["client"] == "bob" and left["why"] == "training??? diverged", left
    rounds = {e["round"]: e for e in entries if e["event"] == "round"}
    assert rounds[1]["counted"] == [["alice", 10, 10, sent.hexdigest()]] and rounds[1]["late"] == [], rounds[1]
    assert rounds[1]["failed"] == [["bob", "training??? diverged"], ["eve", refused["why"]]], rounds[1]
    assert [name for name, *_ in rounds[2]["counted"]] == ["alice", "eve"] and rounds[2]["late"] == ["bob"]
    assert [rounds[r]["model"] for r in (0, 1, 2)] == [r["model_sha256"] for r in world.rounds()]
    assert [line["entry"]["round"] for line in account(world, "--round", 1)] == [1]
    assert {line["entry"]["event"] for line in account(world, "--client", "bob")} == {"joined", "left", "round"}
    assert "round      {\"round\":2" in world.check(world.program("rondo-inspect"), "audit", world.path("state"))

    found = verify(world)
    with sqlite3.connect(world.path("state/rondo.db")) as database:
        last = chained(database.execute("SELECT number, entry, sha256 FROM audit ORDER BY number").fetchall())
    assert found.returncode == 0 and found.stdout.split()[-1] == last, found
    assert verify(world, "--expect", account(world)[2]["sha256"]).returncode == 0


CHANGES = {
    "entry": ("UPDATE audit SET entry = replace(entry, 'client-2', 'client-9') WHERE number = 5", "entry 5 is not what was written"),
    "hole": ("DELETE FROM audit WHERE number = 5", "entry 5 is not there"),
    "end": ("DELETE FROM audit WHERE number > 6", "round 3: the account has no entry of it"),
    "late": ("UPDATE participation SET status = 'late' WHERE round = 2 AND client = 1", "round 2: the account tells other things of who took part"),
    "samples": ("UPDATE participation SET samples = 99 WHERE round = 2 AND client = 1", "round 2: the account tells other things of who took part"),
    "gone": ("DELETE FROM participation WHERE round = 2 AND client = 1", "round 2: the account tells other things of who took part"),
    "rounds": ("DELETE FROM participation WHERE round > 3; DELETE FROM rounds WHERE round > 3", "the account has more rounds than the record"),
}


def change(world, state, script):
    """As somebody would who has the file."""
    with sqlite3.connect(world.path(state, "rondo.db")) as database:
        for trigger in ("audit_is_not_changed", "audit_is_not_cut"):
            database.execute(f"DROP TRIGGER IF EXISTS {trigger}")
        database.executescript(script)


def test_what_was_changed_is_named(world):
    world.check(*simulate(world, keep_every=1))
    events = [line["entry"]["event"] for line in account(world)]
    assert events == ["begun", "round", "schema", "uses", "round", "round", "round", "round", "finished"], events
    assert verify(world).returncode == 0
    for name, (script, words) in CHANGES.items():
        world.check("cp", "-r", world.path("state"), world.path(name))
        change(world, name, script)
        found = verify(world, state=name)
        assert found.returncode == 1 and words in found.stdout, (name, found)
        checked = world.run(world.program("rondo-aggregator"), "check", "--state", world.path(name))
        assert checked.returncode == 1 and words in checked.stdout, (name, checked)
    with open(world.path("state/models/000003.safetensors"), "r+b") as f:
        f.seek(-1, os.SEEK_END)
        f.write(b"\x42")
    found = verify(world)
    assert found.returncode == 1 and "000003.safetensors" in found.stdout, found


def test_entries_stay(world):
    """Not even a program with a fault of its own takes one back."""
    world.check(*simulate(world))
    with sqlite3.connect(world.path("state/rondo.db")) as database:
        for script in ("DELETE FROM audit WHERE number = 2", "UPDATE audit SET entry = '{}' WHERE number = 2"):
            try:
                database.execute(script)
            except sqlite3.IntegrityError as refused:
                assert "stay" in str(refused)
            else:
                raise AssertionError(script)


def test_an_account_that_was_written_anew(world):
    """All of it in order again: only who has noted a SHA-256 before can tell."""
    world.check(*simulate(world))
    noted = verify(world).stdout.split()[-1]
    with sqlite3.connect(world.path("state/rondo.db")) as database:
        entries = database.execute("SELECT number, entry FROM audit ORDER BY number").fetchall()
    before, script = "0" * 64, ""
    for number, text in entries:
        text = text.replace('"event":"uses"', '"event":"used"')
        before = hashlib.sha256((before + text).encode()).hexdigest()
        quoted = text.replace("'", "''")
        script += f"UPDATE audit SET entry = '{quoted}', sha256 = '{before}' WHERE number = {number};"
    change(world, "state", script)
    assert verify(world).returncode == 0
    found = verify(world, "--expect", noted)
    assert found.returncode == 1 and "none of its entries has the SHA-256" in found.stdout, found
    assert world.run(world.program("rondo-inspect"), "audit", world.path("state"), "--expect", noted).returncode == 2


def test_rounds_that_are_given_up_stay(world):
    """The run goes back a round, for a file is gone: both round 4s are in the account, and between them why."""
    world.check(*simulate(world, strategy={"name": "fedadam"}))
    os.remove(world.path("state/models/000004.server.safetensors"))
    world.check(*simulate(world, rounds=5, strategy={"name": "fedadam"}))
    events = [(e["entry"]["event"], e["entry"].get("round", e["entry"].get("key"))) for e in account(world)]
    assert [e for e in events if e[0] in ("round", "changed") and e[1] != 0] == [
        ("round", 1), ("round", 2), ("round", 3), ("round", 4), ("changed", 3), ("changed", 3), ("round", 4), ("round", 5)], events
    assert verify(world).returncode == 0


def test_it_agrees_after_kills(world):
    world.certificates(["one", "two"])
    config = world.write("run.json", {**RUN, "rounds": 100000, "cohort": {"min_clients": 2}})
    data = world.write("data.csv", TABLE)
    aggregator = world.aggregator(config)
    port = aggregator.port
    clients = [world.client(aggregator, name, data, "--quiet") for name in ("one", "two")]
    for kill in range(3):
        wait_for(lambda: len(world.rounds()) > 20 * (kill + 1), "rounds are committed", process=aggregator)
        world.kill_midway(aggregator, 100000)
        assert verify(world).returncode == 0, verify(world)
        aggregator = world.aggregator(config, port=port)
    assert all(client.poll() is None for client in clients)
    found = verify(world)  # while the run goes on
    assert found.returncode == 0, found


def test_nobody_fills_a_disk_with_it(world):
    """Of 300 updates that are refused as fast as they come some have an entry, and of the others the number is told."""
    world.certificates(["alice", "eve"])
    config = {**RUN, "rounds": 1, "cohort": {"min_clients": 2}}
    aggregator = world.aggregator(world.write("run.json", config), "--linger-seconds", 1)
    alice, eve = (world.session(aggregator, name) for name in ("alice", "eve"))
    for session in (alice, eve):
        assert session.join()[0] == 200
    for session in (alice, eve):
        assert session.task()[0] == 200
    for _ in range(300):
        assert eve.update(1, b"nothing")[0] == 400
    for session in (eve, alice):  # with alice's the round is over, unless eve's is still to come
        assert session.update(1, update(1))[0] == 200
    assert wait_exit(aggregator) == 0, read(aggregator.log)
    entries = [line["entry"] for line in account(world)]
    refused = sum(e["event"] == "refused" and e["client"] == "eve" for e in entries)
    unwritten = sum(int(e["why"].split()[0]) for e in entries if e["event"] == "unwritten")
    assert 64 <= refused < 300 and refused + unwritten == 300, (refused, unwritten)


if __name__ == "__main__":
    harness.main()
