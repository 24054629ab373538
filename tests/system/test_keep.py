#!/usr/bin/env python3
"""What a client keeps between rounds: it is of one run, client and strategy, and a client that is killed goes on where its update last
counted, so that the run ends with the simulation's bits."""
import os
import random
import time

import harness
from harness import read, wait_exit, wait_for

CLIENTS = 2
STRATEGIES = {
    "scaffold": {"strategy": {"name": "scaffold"}},
    "ditto": {"personalisation": {"method": "ditto", "lambda": 0.5}},
    "fedper": {"model": {"input": 6, "loss": "softmax_cross_entropy", "fine_tuning": {"local": ["fc2.*"]}, "layers": [
        {"type": "dense", "name": "fc1", "units": 8, "activation": "relu"}, {"type": "dense", "name": "fc2", "units": 3}]}},
}


def base(world, epochs=5, **changes):
    draw = random.Random(3)
    rows = "".join(",".join("%.3f" % draw.gauss(i % 3, 1) for _ in range(6)) + f",{i % 3}\n" for i in range(240))
    table = world.write("rows.csv", rows)
    return {"seed": 5, "rounds": 12, "model": {"input": 6, "loss": "softmax_cross_entropy", "layers": [
                {"type": "dense", "name": "fc1", "units": 8, "activation": "relu"}, {"type": "dense", "name": "fc2", "units": 3}]},
            "training": {"learning_rate": 0.01, "batch_size": 10, "epochs": epochs}, "cohort": {"min_clients": CLIENTS, "deadline_seconds": 300},
            "evaluation": {"holdout": 0.2}, "data": {"train": {"path": table, "header": False}, "partition": {"scheme": "iid"}}, **changes}


def records(world, state):
    """What a change in anything that clients keep would show in: the models, and the clients' own on their hold-out rows."""
    return [(r["model_sha256"], r["personal"]) for r in world.rounds(state)]


def simulate(world, config):
    """The simulation's records, and its clients' data in private/."""
    path = world.write("run.json", config)
    world.check(world.program("rondo-sim"), "--config", path, "--clients", CLIENTS, "--out", world.path("simulated"), "--quiet")
    world.check(world.program("rondo-sim"), "partition", "--config", path, "--clients", CLIENTS, "--out", world.path("private"), "--quiet")
    return path, records(world, "simulated")


def client(world, aggregator, number, *options):
    return world.client(aggregator, f"client-{number}", world.path("private", f"client-{number}.safetensors"), *options)


def keeping(world, aggregator, number, name="kept"):
    return client(world, aggregator, number, "--keep", world.path(f"{name}-{number}"))


def finish(world, path, state, *options):
    """One run, to its end, with what clients have in kept-N."""
    aggregator = world.aggregator(path, state=state, log=f"{state}.log")
    processes = [keeping(world, aggregator, n) for n in (1, 2)]
    for process in processes + [aggregator]:
        assert wait_exit(process) == 0, read(process.log)
    return records(world, state)


def test_the_file_of_an_earlier_run_is_set_aside(world):
    """The same command for a second run: as if there were nothing, with the same bits, and a line that says so."""
    world.certificates(["client-1", "client-2"])
    for name, changes in STRATEGIES.items():
        path, simulated = simulate(world, base(world, **changes))
        assert finish(world, path, f"first-{name}") == simulated, name
        assert finish(world, path, f"second-{name}") == simulated, name
        for number in (1, 2):
            log = read(world.path(f"client-{number}.log"))
            assert log.count("was kept in another run") == 1, log
            aside = [f for f in os.listdir(world.dir) if f.startswith(f"kept-{number}.")]
            assert len(aside) == 1 and aside[0] in log, (aside, log)
            for file in (*aside, f"kept-{number}", f"client-{number}.log"):
                os.remove(world.path(file))
        world.check("rm", "-r", world.path("simulated"), world.path("private"))


def test_a_file_that_is_not_this_clients_is_refused(world):
    world.certificates(["client-1", "client-2"])
    path, _ = simulate(world, base(world, rounds=1000, **STRATEGIES["ditto"]))
    aggregator = world.aggregator(path)
    first = keeping(world, aggregator, 1)
    wait_for(lambda: os.path.exists(world.path("kept-1")), "the file is made", process=first)
    second = client(world, aggregator, 2, "--keep", world.path("kept-1"))
    assert wait_exit(second) == 6
    assert "another program is using it" in read(second.log)
    first.terminate()
    assert wait_exit(first) == 143
    before = read(world.path("kept-1"))
    os.remove(second.log)
    second = client(world, aggregator, 2, "--keep", world.path("kept-1"))
    assert wait_exit(second) == 6
    assert "for client 'client-1', and this is 'client-2'" in read(second.log), read(second.log)
    assert read(world.path("kept-1")) == before
    table = world.write("table.csv", "a,b\n")
    os.remove(second.log)
    second = client(world, aggregator, 2, "--keep", table)
    assert wait_exit(second) == 6 and table in read(second.log), read(second.log)
    assert read(table) == "a,b\n"
    os.remove(second.log)
    second = client(world, aggregator, 2, "--keep", world.path("nowhere", "kept"))
    assert wait_exit(second) == 1 and "nowhere/kept" in read(second.log), read(second.log)


def test_a_simulation_takes_nothing_that_another_run_has_kept(world):
    path, simulated = simulate(world, base(world, **STRATEGIES["ditto"]))
    command = [world.program("rondo-sim"), "--config", path, "--clients", CLIENTS, "--quiet", "--out"]
    world.check(*command, world.path("other"))
    os.rename(world.path("other", "clients.keep"), world.path("simulated", "clients.keep"))
    for part in ("rondo.db", "models"):
        world.check("rm", "-r", world.path("simulated", part))
    result = world.run(*command, world.path("simulated"))
    assert result.returncode == 1 and "clients.keep: it was kept in run '" in result.stderr, result
    os.remove(world.path("simulated", "clients.keep"))
    world.check("rm", "-r", world.path("simulated"))
    world.check(*command, world.path("simulated"))
    assert records(world, "simulated") == simulated


def test_the_option_without_use_is_reported(world):
    world.certificates(["client-1", "client-2"])
    path, simulated = simulate(world, base(world, rounds=2))
    assert finish(world, path, "state") == simulated
    for number in (1, 2):
        assert f"kept-{number} is not used: in this run clients keep nothing between rounds" in read(world.path(f"client-{number}.log"))
        assert not os.path.exists(world.path(f"kept-{number}"))


def live(world, state, seconds):
    """Sleeps so long, but no longer than until two more rounds are recorded."""
    end, before = time.monotonic() + seconds, len(world.rounds(state))
    while time.monotonic() < end and len(world.rounds(state)) < before + 2:
        time.sleep(0.005)


def test_killed_clients_change_no_bit(world):
    """kill -9 at any moment, in training and between delivery and the next task, and the same command again."""
    world.certificates(["client-1", "client-2"])
    draw = random.Random(8)
    for name, changes in STRATEGIES.items():
        path, simulated = simulate(world, base(world, epochs=1500, **changes))
        state = f"killed-{name}"
        aggregator = world.aggregator(path, state=state, log=f"{state}.log")
        steady, restless, kills = keeping(world, aggregator, 1), keeping(world, aggregator, 2), 0
        # Kills are counted while rounds are left, so that each of them could do harm. A round waits for both clients, so
        # one that lives for two rounds at most is killed several times in the twelve, however fast the machine is.
        while kills < 8 and len(world.rounds(state)) <= 12:
            live(world, state, draw.uniform(0.02, 0.25))
            if restless.poll() is not None:
                break
            restless.kill()
            restless.wait()
            kills += 1
            assert aggregator.poll() is None, "rounds are left"
            restless = keeping(world, aggregator, 2)
        for process in (steady, restless, aggregator):
            assert wait_exit(process) == 0, read(process.log)
        print(f"# {name}: killed {kills} times")
        assert kills >= 4, (name, kills)
        assert records(world, state) == simulated, name
        log = read(world.path("client-2.log"))
        assert "is not there any more" not in log and "another run" not in log, log
        for number in (1, 2):
            os.remove(world.path(f"kept-{number}"))
            os.remove(world.path(f"client-{number}.log"))
        world.check("rm", "-r", world.path("simulated"), world.path("private"))


def test_a_client_that_leaves_and_comes_back_changes_no_bit(world):
    """SIGTERM in the middle of a round: the round goes on without it, so this holds where all are asked for: min_clients waits."""
    world.certificates(["client-1", "client-2"])
    path, simulated = simulate(world, base(world, epochs=300, **STRATEGIES["scaffold"]))
    aggregator = world.aggregator(path)
    steady, restless = keeping(world, aggregator, 1), keeping(world, aggregator, 2)
    wait_for(lambda: "round 2: delivered" in read(restless.log), "two rounds", process=restless)
    restless.terminate()
    assert wait_exit(restless) == 143
    again = keeping(world, aggregator, 2)
    for process in (steady, again, aggregator):
        assert wait_exit(process) == 0, read(process.log)
    rounds = world.rounds()
    assert len(rounds) == 13 and rounds[-1]["counted"] == 2
    failed = [r["round"] for r in rounds[1:] if r["counted"] < 2]
    assert len(failed) <= 1, failed
    if not failed:
        assert records(world, "state") == simulated


def test_what_was_kept_and_is_lost_is_reported(world):
    """Without --keep a client that is started again begins anew, and says so."""
    world.certificates(["client-1", "client-2"])
    path, _ = simulate(world, base(world, epochs=300, **STRATEGIES["ditto"]))
    aggregator = world.aggregator(path)
    steady, restless = client(world, aggregator, 1), client(world, aggregator, 2)
    wait_for(lambda: "round 2: delivered" in read(restless.log), "two rounds", process=restless)
    restless.kill()
    restless.wait()
    again = client(world, aggregator, 2)
    for process in (steady, again, aggregator):
        assert wait_exit(process) == 0, read(process.log)
    assert read(again.log).count("what this client kept, without --keep, is not there any more, and is begun anew") == 1, read(again.log)
    assert "not there any more" not in read(steady.log)


def test_a_killed_aggregator_and_what_clients_have_kept(world):
    """A round is published before it is committed: after kill -9 it comes again, while clients have kept it, and the one after it, too."""
    world.certificates(["client-1", "client-2"])
    draw = random.Random(4)
    config = base(world, epochs=60, **STRATEGIES["scaffold"])
    config["data"]["test"] = {"path": world.write("test.csv", read(config["data"]["train"]["path"]) * 400), "header": False}  # commits take a while
    path, simulated = simulate(world, config)
    aggregator = world.aggregator(path)
    clients = [keeping(world, aggregator, n) for n in (1, 2)]
    kills = 0
    while kills < 6:
        live(world, "state", draw.uniform(0.1, 0.4))
        if aggregator.poll() is not None:
            break
        aggregator.kill()
        aggregator.wait()
        kills += 1
        aggregator = world.aggregator(path, port=aggregator.port)
    for process in clients + [aggregator]:
        assert wait_exit(process) == 0, read(process.log)
    print(f"# killed {kills} times")
    assert kills >= 3
    assert records(world, "state") == simulated
    for process in clients:
        assert "is not there any more" not in read(process.log), read(process.log)


if __name__ == "__main__":
    harness.main()
