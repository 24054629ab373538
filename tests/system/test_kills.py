#!/usr/bin/env python3
"""kill -9 in mid-run: of the aggregator, of a client with --keep, of the simulator. The program is seen to be at work, with rounds left,
when it is killed; started again by the same command it ends with the bits of a run that nobody disturbed. The cases here take a
minute; long_kills.py has the whole matrix."""
import os
import time

import harness
from harness import free_port, wait_exit, wait_for

CLIENTS, ROUNDS = 3, 60
DENSE = [{"type": "dense", "name": "fc1", "units": 16, "activation": "relu"}, {"type": "dense", "name": "fc2", "units": 10}]


def model(**more):
    return {"model": {"input": 64, "loss": "softmax_cross_entropy", "layers": DENSE, **more}}


CASES = {
    "dense": {},
    "lora": model(fine_tuning={"freeze": ["*"], "train": ["fc2.*"], "lora": {"rank": 2, "alpha": 4, "targets": ["fc1.weight"]}}),
    "local": model(fine_tuning={"local": ["fc2.*"]}),
    "pruned": {"pruning": {"sparsity": 0.5, "from_round": 3, "to_round": 12}},
    "scaffold": {"strategy": {"name": "scaffold"}},
    "fedadam": {"strategy": {"name": "fedadam", "server_learning_rate": 0.01}},
}


def configure(world, name):
    digits = os.path.join(world.check(os.path.join(harness.ROOT, "simulations/data/fetch.sh"), "digits").splitlines()[-1], "digits.csv")
    config = {"seed": 5, "rounds": ROUNDS, **model(), "training": {"learning_rate": 0.001, "batch_size": 10, "epochs": 8}, "cohort": {"min_clients": CLIENTS, "deadline_seconds": 300},
              "data": {"train": {"path": digits}}, **CASES[name]}
    return world.write(f"{name}.json", config)


def digests(world, state):
    records = world.rounds(state)
    assert all(r["aggregated"] and r["late"] == r["failed"] == 0 for r in records), records
    return [r["model_sha256"] for r in records]


def undisturbed(world, name):
    path = configure(world, name)
    world.check(world.program("rondo-sim"), "--config", path, "--clients", CLIENTS, "--out", world.path(f"{name}-whole"), "--quiet")
    found = digests(world, f"{name}-whole")
    assert len(set(found)) == ROUNDS + 1, found
    return path, found


def rounds_so_far(world, state):
    return world.run(world.program("rondo-inspect"), "rounds", world.path(state), "--jsonl").stdout.count("\n") - 1


def kill_in_mid_run(world, process, state, least):
    """After so many rounds. It was at work until then, and there was more to do."""
    wait_for(lambda: rounds_so_far(world, state) >= least or process.poll() is not None, f"{least} rounds are over")
    assert process.poll() is None, harness.read(process.log)
    process.kill()
    assert process.wait() == -9
    done = rounds_so_far(world, state)
    assert least <= done < ROUNDS, f"killed after {done} of {ROUNDS} rounds"


def deploy(world, name, path, victim):
    """A deployment in which the aggregator, or one client, is killed twice."""
    if not os.path.exists(world.path("certs")):
        world.certificates([f"client-{i + 1}" for i in range(CLIENTS)])
    private, state, port = world.path(f"{name}-private"), f"{name}-{victim}", free_port()
    if not os.path.exists(private):
        world.check(world.program("rondo-sim"), "partition", "--config", path, "--clients", CLIENTS, "--out", private, "--quiet")

    def serve():
        return world.aggregator(path, state=state, log=f"{state}.log", port=port)

    def participate(i):
        return world.client(aggregator, f"client-{i}", f"{private}/client-{i}.safetensors", "--keep", world.path(f"{state}-keep-{i}"))

    aggregator = serve()
    clients = {i: participate(i) for i in range(1, CLIENTS + 1)}
    for least in (2, 7):
        if victim == "aggregator":
            kill_in_mid_run(world, aggregator, state, least)
            aggregator = serve()
        else:
            kill_in_mid_run(world, clients[2], state, least)
            assert aggregator.poll() is None
            clients[2] = participate(2)
    for process in [*clients.values(), aggregator]:
        assert wait_exit(process, 120) == 0, harness.read(process.log)
    return digests(world, state)


def simulate(world, name, path):
    command = [world.program("rondo-sim"), "--config", path, "--clients", CLIENTS, "--threads", 1, "--out", world.path(f"{name}-killed"), "--quiet"]
    for least in (2, 7):
        process = world.start(*command, log=f"{name}-killed.log")
        kill_in_mid_run(world, process, f"{name}-killed", least)
    world.check(*command)
    return digests(world, f"{name}-killed")


def check(world, name, *victims):
    path, expected = undisturbed(world, name)
    for victim in victims:
        started = time.monotonic()
        found = simulate(world, name, path) if victim == "simulator" else deploy(world, name, path, victim)
        assert found == expected, (name, victim, [i for i, (a, b) in enumerate(zip(found, expected)) if a != b])
        print(f"# {name}, {victim} killed twice: the same bits, after {time.monotonic() - started:.1f} s")


def test_the_aggregator(world):
    check(world, "dense", "aggregator")
    check(world, "fedadam", "aggregator")


def test_a_client_that_keeps(world):
    check(world, "scaffold", "client")


def test_the_simulator(world):
    check(world, "local", "simulator")
    check(world, "pruned", "simulator")


if __name__ == "__main__":
    harness.main()
