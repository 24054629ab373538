#!/usr/bin/env python3
"""Two programs under one certificate: one is the client, the other is told so, and a client that crashed gets in again at once."""
import os
import re
import signal
import time

import harness
from fake_aggregator import FakeAggregator, refusal
from harness import SLOW, read, wait_exit, wait_for

MODEL = {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]}


def begin(world, rounds=5, **cohort):
    """An aggregator, and two tables of 100 and 300 rows."""
    world.certificates(["one", "two"])
    for name, rows in (("a", 100), ("b", 300)):
        world.write(name + ".csv", "x,y,label\n" + "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(rows)))
    return world.aggregator(world.write("run.json", {"rounds": rounds, "model": MODEL, "training": {"learning_rate": 0.01}, "cohort": cohort}))


def client(world, aggregator, data, log, *options, name="one"):
    return world.start(world.program("rondo-client"), "--aggregator", aggregator.url, *world.tls(name), "--data", world.path(data + ".csv"), *options,
                       log=log)


def joined(process):
    return wait_for(lambda: "joined run" in read(process.log), "the client joins", process=process)


def refused(process, *words):
    assert wait_exit(process, 30) == 3, read(process.log)
    text = read(process.log)
    for word in ("another client with this certificate", "127.0.0.1:", *words):
        assert word in text, (word, text)
    return text


def test_a_second_client_under_one_certificate_is_refused(world):
    """The first keeps its place: its rows count in every round, and both sides read why the other one is out."""
    aggregator = begin(world, rounds=3, min_clients=2)
    first = client(world, aggregator, "a", "first.log")
    joined(first)
    second = client(world, aggregator, "b", "second.log", "--retry-seconds", "2")
    text = refused(second, "is in the run, from 127.0.0.1:")
    assert text.count("asking again") == 1, text
    text = read(aggregator.log)
    assert len(re.findall(r"one from 127.0.0.1:\d+ refused: another client with this certificate is in the run, from 127.0.0.1:", text)) == 1, text
    other = client(world, aggregator, "b", "other.log", name="two")
    for process in (first, other, aggregator):
        assert wait_exit(process) == 0, read(process.log)
    for number in (1, 2, 3):
        table = world.check(world.program("rondo-inspect"), "clients", world.path("state"), "--round", number)
        assert re.search(r"one\s+counted\s+100", table) and re.search(r"two\s+counted\s+300", table), table


def test_a_client_that_was_killed_gets_in_again_at_once(world):
    aggregator = begin(world, min_clients=2)
    first = client(world, aggregator, "a", "first.log")
    joined(first)
    first.kill()
    first.wait()
    started = time.monotonic()
    again = client(world, aggregator, "a", "again.log")
    joined(again)
    assert time.monotonic() - started < 5 * SLOW
    assert "refused" not in read(aggregator.log)


def test_who_was_replaced_is_told(world):
    """Sessions as PROTOCOL.md has them, by Python's own HTTPS."""
    aggregator = begin(world, min_clients=3)
    sessions = {name: world.session(aggregator, "one") for name in "abc"}

    def ask(name, method, path, word=None):
        body = '{"protocol": 1, "samples": 10}' if path == "/v1/join" else None
        status, data, _ = sessions[name].request(method, path, body, {"Rondo-Session": word} if word is not None else {})
        return status, data["error"] if isinstance(data, dict) and "error" in data else None

    assert ask("a", "POST", "/v1/join", "first") == (200, None)
    assert ask("a", "POST", "/v1/join", "first") == (200, None), "joining again is harmless"
    assert ask("b", "POST", "/v1/join", "second") == (409, "in-use")
    assert ask("b", "POST", "/v1/join") == (409, "in-use"), "a program that sends no session is another one"
    assert ask("c", "GET", "/v1/task?wait=0", "first") == (204, None), "a second connection of the same session"
    sessions["a"].connection.close()
    assert ask("b", "POST", "/v1/join", "second") == (409, "in-use"), "one of its connections is still open"
    sessions["c"].connection.close()
    wait_for(lambda: ask("b", "POST", "/v1/join", "second") == (200, None), "the aggregator sees that the first is gone")
    for path in ("/v1/task?wait=0", "/v1/model/0"):
        assert ask("a", "GET", path, "first") == (409, "replaced")
    assert ask("a", "POST", "/v1/leave", "first") == (409, "replaced")
    assert ask("b", "GET", "/v1/task?wait=0", "second") == (204, None), "and does not do the second one any harm"
    assert ask("b", "GET", "/v1/task?wait=0", "x" * 65) == (400, "format")
    assert re.search(r"one from 127.0.0.1:\d+ is out of the run: another client with this certificate has joined, from 127.0.0.1:\d+", read(aggregator.log))
    # A program of its own connection with each request, as curl is: no session, and never in its own way.
    sessions["b"].connection.close()
    wait_for(lambda: ask("c", "POST", "/v1/join") == (200, None), "the second is gone")
    assert ask("a", "GET", "/v1/task?wait=0") == (204, None)
    assert ask("a", "POST", "/v1/join") == (200, None)
    for session in sessions.values():
        session.connection.close()
    # Of several programs that join at the same moment one is the client.
    found = []
    names = "defgh"
    for name in names:
        sessions[name] = world.session(aggregator, "two")
        found.append(ask(name, "POST", "/v1/join", name)[0])
    assert found == [200, 409, 409, 409, 409], found


def test_a_replaced_client_ends(world):
    world.certificates(["alice"])
    world.write("a.csv", "a,b,c,y\n1,2,3,4\n5,6,7,8\n")
    fake = FakeAggregator(world)
    told = "another client with this certificate has joined, from 127.0.0.1:99"
    fake.script["POST /v1/rounds/1/train"] = [(409, refusal("replaced", told))]
    process = world.client(fake, "alice", world.path("a.csv"), "--regression")
    assert told in refused(process)
    assert "POST /v1/leave" not in fake.order(), "the other one's place is not given up"
    words = {r.headers["Rondo-Session"] for r in fake.requests}
    assert len(words) == 1 and re.fullmatch("[0-9a-f]{32}", *words), words
    os.remove(process.log)
    wait_exit(world.client(fake, "alice", world.path("a.csv"), "--regression"))
    assert len({r.headers["Rondo-Session"] for r in fake.requests}) == 2, "each program draws its own"


if __name__ == "__main__":
    harness.main()
