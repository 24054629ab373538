#!/usr/bin/env python3
"""What a run that stands still waits for is told; SIGHUP reads the list of clients again; so are too many connections."""
import os
import re
import signal
import time

import harness
from harness import read, wait_exit, wait_for

RUN = {"rounds": 1000, "model": {"input": 1, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]},
       "training": {"learning_rate": 0.1}, "cohort": {"min_clients": 2, "deadline_seconds": 300}}


def begin(world, *options, **changes):
    world.certificates(["one", "two"])
    world.write("t.csv", "a,label\n1,0\n2,1\n")
    return world.aggregator(world.write("run.json", {**RUN, **changes}), *options)


def says(process, text, count=1):
    return wait_for(lambda: len(re.findall(text, read(process.log))) >= count and read(process.log), f"it says {text}", process=process)


def test_waiting_is_reported_at_the_beginning_and_in_mid_run(world):
    aggregator = begin(world)
    says(aggregator, "waiting: 0 of 2 clients are there")
    one = world.client(aggregator, "one", world.path("t.csv"))
    says(aggregator, "waiting: 1 of 2 clients are there")
    time.sleep(3)
    text = read(aggregator.log)
    assert text.count("waiting: ") == 2, "the same thing is not told again and again:\n" + text
    two = world.client(aggregator, "two", world.path("t.csv"))
    says(aggregator, "round 3/1000")
    two.send_signal(signal.SIGTERM)
    assert wait_exit(two) == 143
    text = says(aggregator, "waiting: 1 of 2 clients are there", 2)
    assert text.rindex("round ") < text.rindex("waiting: 1 of 2"), text
    two = world.client(aggregator, "two", world.path("t.csv"))
    so_far = len(re.findall("round ", text))
    wait_for(lambda: len(re.findall("round ", read(aggregator.log))) > so_far + 3, "the run goes on", process=aggregator)


def test_an_open_round_says_whom_it_waits_for(world):
    aggregator = begin(world)
    sessions = [world.session(aggregator, name) for name in ("one", "two")]
    for session in sessions:
        assert session.join()[0] == 200
    assert sessions[0].task()[0] == 200
    text = wait_for(lambda: "missing after" in read(aggregator.log) and read(aggregator.log), "a minute is over", seconds=90, process=aggregator)
    assert re.search(r"round 1: 2 updates are missing after 6\d s; waiting for (one, two|two, one) \(the deadline is in 2[34]\d s\)", text), text


def test_hangup_reads_the_list_of_clients_again(world):
    listed = world.write("clients", "one\ntwo\n")
    aggregator = begin(world, "--allow", listed)
    one, two = (world.client(aggregator, name, world.path("t.csv")) for name in ("one", "two"))
    says(aggregator, "round 2/1000")
    world.write("clients", "one\n")
    aggregator.send_signal(signal.SIGHUP)
    assert wait_exit(two) == 3 and "not in the aggregator's list" in read(two.log)
    text = says(aggregator, "waiting: 1 of 2 clients are there")
    assert f"SIGHUP: {listed} read again: 1 client may take part" in text and "two refused: this client is not in the aggregator's list" in text, text
    for content in ("", "one,two\n"):
        world.write("clients", content)
        aggregator.send_signal(signal.SIGHUP)
        wait_for(lambda: "the list as it was stays in force" in read(aggregator.log), "the bad list is told", process=aggregator)
        again = world.client(aggregator, "two", world.path("t.csv"))
        assert wait_exit(again) == 3
    os.remove(listed)
    aggregator.send_signal(signal.SIGHUP)
    assert one.poll() is None and aggregator.poll() is None
    says(aggregator, "stays in force", 3)
    world.write("clients", "one\ntwo\n")
    aggregator.send_signal(signal.SIGHUP)
    says(aggregator, "read again: 2 clients may take part")
    rounds = len(re.findall("round ", read(aggregator.log)))
    world.client(aggregator, "two", world.path("t.csv"))
    wait_for(lambda: len(re.findall("round ", read(aggregator.log))) > rounds + 2, "two is back", process=aggregator)


def test_hangup_is_never_a_silent_death(world):
    aggregator = begin(world, cohort={"min_clients": 1})
    for number in range(3):
        aggregator.send_signal(signal.SIGHUP)
        says(aggregator, r"SIGHUP: --cert \S+ read again: it is good until", number + 1)
    one = world.client(aggregator, "one", world.path("t.csv"))
    says(one, "round 2: delivered")
    one.send_signal(signal.SIGHUP)
    one.send_signal(signal.SIGHUP)  # a terminal that is closed sends two
    assert wait_exit(one) == 129 and "left the run" in read(one.log), read(one.log)
    world.write("nohup.log", "")
    kept = world.start("nohup", world.program("rondo-client"), "--aggregator", aggregator.url, *world.tls("one"), "--data", world.path("t.csv"), log="nohup.log")
    says(kept, "round \\d+: delivered")
    kept.send_signal(signal.SIGHUP)
    seen = len(re.findall("delivered", read(kept.log)))
    wait_for(lambda: len(re.findall("delivered", read(kept.log))) > seen + 3, "it goes on under nohup", process=kept)
    table = world.write("train.csv", "".join(f"{i % 7},{i % 2}\n" for i in range(2000)))
    config = world.write("sim.json", {**RUN, "rounds": 100000, "cohort": {}, "data": {"train": {"path": table, "header": False}}})
    simulation = world.start(world.program("rondo-sim"), "--config", config, "--clients", 5, "--out", world.path("sim"), log="sim.log")
    says(simulation, "round 3/")
    simulation.send_signal(signal.SIGHUP)
    assert wait_exit(simulation) == 3, simulation.returncode
    assert len(world.rounds("sim")) > 3


def test_more_connections_than_allowed_are_closed_and_told_once(world):
    aggregator = begin(world, "--max-connections", "2")
    held = [world.session(aggregator, name) for name in ("one", "two")]
    for session in held:
        assert session.join()[0] == 200
    one = world.client(aggregator, "one", world.path("t.csv"), "--retry-seconds", "60")
    says(one, f"{aggregator.url}.*; trying for 60 s")
    says(aggregator, "too many connections: new ones are closed")
    held[0].connection.close()
    held[1].request("POST", "/v1/leave")
    says(one, "joined run")
    assert read(aggregator.log).count("too many connections") == 1


if __name__ == "__main__":
    harness.main()
