#!/usr/bin/env python3
"""Options that no other file of tests has a reason to use."""
import os
import re
import ssl
import struct

import harness

TABLE = "a,b,y\n" + "".join(f"{i % 7},{i % 5},{(i % 7 > 3) + 0}\n" for i in range(140))


def configure(world, **changes):
    data = {"path": world.write("table.csv", TABLE)}
    config = {"rounds": 2, "model": {"preset": "softmax-regression", "input": 2, "classes": 2}, "training": {"learning_rate": 0.1, "batch_size": 10},
              "data": {"train": data, "test": data}, **changes}
    return world.write("run.json", config)


def test_max_connections(world):
    """The third connection is closed at once; a place that becomes free is given to the next."""
    world.certificates(["a", "b", "c"])
    aggregator = world.aggregator(configure(world, cohort={"min_clients": 3}), "--max-connections", 2)
    first, second, third = (world.session(aggregator, name) for name in "abc")
    assert first.join()[0] == 200 and second.join()[0] == 200
    try:
        answer = third.join()
        raise AssertionError(f"a third connection was served: {answer}")
    except (ssl.SSLError, OSError):
        pass
    assert "too many connections" in harness.read(aggregator.log)
    first.connection.close()

    def joined():
        third.connection.close()
        try:
            return third.join()[0] == 200
        except (ssl.SSLError, OSError):
            return False

    harness.wait_for(joined, "the third has a place", process=aggregator)


def test_how_a_file_is_to_be_read_is_said_everywhere(world):
    """A table as Excel writes it in Germany, with and without its heading; and images whose labels lie elsewhere."""
    rows = [(i % 7 / 2, i % 5 / 4, "high" if i % 7 > 3 else "low") for i in range(70)]
    plain = world.write("plain.csv", "a,b,y\n" + "".join(f"{a},{b},{y}\n" for a, b, y in rows))
    german = "".join(f"{y};{a};{b}\n".replace(".", ",") for a, b, y in rows)
    bare, headed = world.write("bare.txt", german), world.write("headed.txt", "y;a;b\n" + german)
    data = {"path": plain, "label_column": "y"}
    config = configure(world, rounds=4, keep_every=2, continual={"tasks": [[0], [1]], "rounds_per_task": 2}, data={"train": data, "test": data})
    world.check(world.program("rondo-sim"), "--config", config, "--clients", 2, "--out", world.path("state"), "--quiet")
    inspect, read_as = world.program("rondo-inspect"), ["--format", "csv", "--separator", ";", "--decimal", ",", "--label-column"]
    for command in ("predict", "forgetting"):
        expected = world.check(inspect, command, world.path("state"), "--data", plain)
        assert world.check(inspect, command, world.path("state"), "--data", headed, *read_as, "y", "--header") == expected, command
        refused = world.run(inspect, command, world.path("state"), "--data", bare, *read_as, "1", "--no-header")
        assert refused.returncode == 1 and "without a heading" in refused.stderr, refused
        refused = world.run(inspect, command, world.path("state"), "--data", bare, "--labels", "x", "--format", "idx")
        assert refused.returncode == 1 and "bare.txt" in refused.stderr, refused
    world.certificates(["one"])
    aggregator = world.aggregator(configure(world, data={}), "--linger-seconds", 0, state="served")
    client = world.client(aggregator, "one", headed, *read_as, "y", "--header")
    assert (harness.wait_exit(aggregator), harness.wait_exit(client)) == (0, 0), harness.read(client.log)


def test_workers(world):
    """A thread each."""
    world.certificates([])
    threads = {}
    for workers in (1, 4):
        aggregator = world.aggregator(configure(world), "--workers", workers, state=f"state-{workers}")
        threads[workers] = len(os.listdir(f"/proc/{aggregator.pid}/task"))
    assert threads[4] == threads[1] + 3, threads


def test_client_memory_changes_no_bit(world):
    """Control variates of 40 clients, 4 MB in all, with room for one of them and for all."""
    model = {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 5000}, {"type": "dense", "units": 2}]}
    config = configure(world, model=model, strategy={"name": "scaffold"}, rounds=3)
    ends = []
    for options in ([], ["--client-memory", 1]):
        output = world.check(world.program("rondo-sim"), "--config", config, "--clients", 40, "--threads", 2, *options)
        ends.append(re.search(r"model SHA-256 (\w{64})", output).group(1))
    assert ends[0] == ends[1], ends


def test_method_and_trials_of_a_search_overrule_the_file(world):
    space = world.write("space.json", {"method": "grid", "objective": "train_loss",
                                       "keys": {"training.learning_rate": {"from": 0.01, "to": 1, "steps": 4, "scale": "log"}}})
    search = [world.program("rondo-sim"), "search", "--config", configure(world, evaluation={"train_loss": True}), "--space", space, "--clients", 2]
    world.check(*search, "--out", world.path("grid"))
    world.check(*search, "--out", world.path("random"), "--method", "random", "--trials", 7)
    rates = {}
    for name in ("grid", "random"):
        lines = harness.read(world.path(name, "trials.jsonl")).splitlines()
        rates[name] = {float(m) for line in lines for m in re.findall(r'"training.learning_rate": ?([\d.e-]+)', line)}
    assert len(rates["grid"]) == 4 and len(rates["random"]) == 7, rates
    assert all(0.01 <= r <= 1 for r in rates["random"]) and not rates["random"] <= rates["grid"]
    refused = world.run(*search, "--out", world.path("none"), "--method", "guess")
    assert refused.returncode == 2 and "guess" in refused.stderr, refused.stderr


def test_profile_shares_out_the_time(world):
    output = world.check(world.program("rondo-sim"), "--config", configure(world, rounds=20), "--clients", 5, "--threads", 1, "--profile")
    shares = [float(s) for s in re.findall(r"([\d.]+) %", output[output.rindex("round 20"):])]
    assert len(shares) >= 3 and max(shares) <= 100, output


def picture_size(path):
    with open(path, "rb") as f:
        head = f.read(24)
    assert head[:8] == b"\x89PNG\r\n\x1a\n", path
    return struct.unpack(">II", head[16:])


def test_pictures_have_the_size_asked_for(world):
    for name in ("one", "two"):
        world.check(world.program("rondo-sim"), "--config", configure(world), "--clients", 2, "--out", world.path(name), "--quiet")
    inspect = world.program("rondo-inspect")
    world.check(inspect, "plot", world.path("one"), "--out", world.path("plot.png"), "--width", 640, "--height", 333)
    assert picture_size(world.path("plot.png")) == (640, 333)
    world.check(inspect, "compare", world.path("one"), world.path("two"), "--out", world.path("compare.png"), "--width", 777, "--height", 555)
    assert picture_size(world.path("compare.png")) == (777, 555)
    for arguments in (["plot", world.path("one")], ["compare", world.path("one"), world.path("two")]):
        for words in (["--width", "0"], ["--height", "x"], ["--width", "1e9"]):
            refused = world.run(inspect, *arguments, "--out", world.path("no.png"), *words)
            assert refused.returncode == 2 and words[0] in refused.stderr, refused
    assert not os.path.exists(world.path("no.png"))


if __name__ == "__main__":
    harness.main()
