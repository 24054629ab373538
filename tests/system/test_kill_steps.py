#!/usr/bin/env python3
"""kill -9 before each step that a program makes on the disk, of the simulator, of the aggregator, of a client with --keep, for every
strategy in which somebody remembers something: started again, the run ends with the bits of one that nobody disturbed.

Killed at once, or when the rest of the world has come as far ahead of the step as it can: then the aggregator publishes round N and
never commits it, while clients train and deliver round N + 1. A sample by a seed; long_kill_steps.py takes every step."""
import os
import random
import signal
import time

import harness
from crash_images import RENAMED, read_journal
from harness import free_port, read, wait_exit, wait_for

CLIENTS, ROUNDS = 2, 4
LAYERS = [{"type": "dense", "name": "fc1", "units": 8, "activation": "relu"}, {"type": "dense", "name": "fc2", "units": 3}]


def model(**more):
    return {"model": {"input": 6, "loss": "softmax_cross_entropy", "layers": LAYERS, **more}}


CASES = {
    "fedavg": {},
    "fedavgm": {"strategy": {"name": "fedavgm"}},
    "fedadagrad": {"strategy": {"name": "fedadagrad"}},
    "fedadam": {"strategy": {"name": "fedadam"}},
    "fedyogi": {"strategy": {"name": "fedyogi"}},
    "scaffold": {"strategy": {"name": "scaffold"}},
    "ditto": {"personalisation": {"method": "ditto", "lambda": 0.5}, "evaluation": {"holdout": 0.2}},
    "scaffold with ditto": {"strategy": {"name": "scaffold"}, "personalisation": {"method": "ditto", "lambda": 0.5}, "evaluation": {"holdout": 0.2}},
    "local": model(fine_tuning={"local": ["fc2.*"]}),
    "frozen": model(fine_tuning={"freeze": ["*"], "lora": {"rank": 2, "targets": ["fc1.weight"]}}),
    "pruned": {"pruning": {"sparsity": 0.5, "from_round": 2, "to_round": 3}},
}
KEPT = ("scaffold", "ditto", "scaffold with ditto", "local")  # in which clients remember something, too


def preloaded(world):
    """Sanitizers want to be loaded first themselves."""
    if harness.SANITIZED:
        raise harness.Skip("sanitizers have a C library of their own")
    return os.path.join(world.build, "tests", "faults.so")


def prepare(world, name):
    """Its configuration, and what an undisturbed run comes to."""
    draw = random.Random(3)
    rows = "".join(",".join("%.3f" % draw.gauss(i % 3, 1) for _ in range(6)) + f",{i % 3}\n" for i in range(60))
    table = world.write("rows.csv", rows)
    config = {"seed": 5, "rounds": ROUNDS, **model(), "training": {"learning_rate": 0.05, "batch_size": 10, "epochs": 2},
              "cohort": {"min_clients": CLIENTS, "deadline_seconds": 300}, "data": {"train": {"path": table, "header": False}}, **CASES[name]}
    path = world.write(f"{name}.json", config)
    world.check(*simulator(world, path, f"{name} whole"))
    return path, records(world, f"{name} whole")


def records(world, state):
    """What a change in anything that somebody remembers would show in."""
    found = [(r["model_sha256"], r["personal"]) for r in world.rounds(state)]
    assert len({digest for digest, _ in found}) == ROUNDS + 1, found
    return found


def simulator(world, path, state):
    return [world.program("rondo-sim"), "--config", path, "--clients", CLIENTS, "--threads", 1, "--out", world.path(state), "--quiet"]


def watched(world, under, **settings):
    return ["env", f"LD_PRELOAD={preloaded(world)}", f"FAULTS_UNDER={world.path(under)}", *(f"FAULTS_{k.upper()}={v}" for k, v in settings.items())]


def steps_of(world, under, command):
    """How many there are in a run."""
    journal = world.path(f"{under} journal")
    world.check(*watched(world, under, journal=journal), *command)
    return len(read_journal(journal))


def simulate(world, name, stride):
    """Killed before one step of so many."""
    path, expected = prepare(world, name)
    count = steps_of(world, f"{name} steps", simulator(world, path, f"{name} steps"))
    assert count > 100, count
    chosen = range(random.Random(name).randint(1, stride), count + 1, stride)
    for step in chosen:
        state = f"{name} {step}"
        killed = world.run(*watched(world, state, kill=step), *simulator(world, path, state))
        assert killed.returncode == -signal.SIGKILL, (name, step, killed)
        world.check(*simulator(world, path, state))
        assert records(world, state) == expected, (name, step)
    print(f"# {name}: killed before {len(chosen)} of {count} steps")


class Deployment:
    """An aggregator and clients, of which one is started again whenever it has been killed."""

    def __init__(self, world, path, state, victim):
        self.world, self.path, self.state, self.victim, self.port = world, path, state, victim, free_port()
        if not os.path.exists(world.path("certs")):
            world.certificates([f"client-{i + 1}" for i in range(CLIENTS)])
        self.private = path + " private"
        if not os.path.exists(self.private):
            world.check(world.program("rondo-sim"), "partition", "--config", path, "--clients", CLIENTS, "--out", self.private, "--quiet")
        self.processes = {}

    def prefix(self, settings):
        """In front of a command that is not to be left alone."""
        return watched(self.world, f"{self.state} keep 1" if self.victim == "client" else self.state, **settings)

    def start(self, who, **settings):
        world, prefix = self.world, self.prefix(settings) if settings else []
        if who == "aggregator":
            command = [world.program("rondo-aggregator"), "serve", "--config", self.path, "--state", world.path(self.state),
                       "--listen", f"127.0.0.1:{self.port}", *world.tls("aggregator")]
        else:
            name = f"client-{who}"
            command = [world.program("rondo-client"), "--aggregator", f"https://127.0.0.1:{self.port}", *world.tls(name),
                       "--data", f"{self.private}/{name}.safetensors", "--keep", world.path(f"{self.state} keep {who}"), "--retry-seconds", 30 * harness.SLOW]
        self.processes[who] = world.start(*prefix, *command, log=f"{self.state} {who}.log")

    def heard(self):
        return [os.path.getsize(p.log) for p in self.processes.values()]

    def settle(self):
        """Nobody says anything new any more."""
        before, since = self.heard(), time.monotonic()
        while time.monotonic() < since + 0.1:
            time.sleep(0.01)
            if self.heard() != before:
                before, since = self.heard(), time.monotonic()

    def kill(self, who, step, hold):
        """Starts it, to be killed before that step; False: it came to its end before."""
        held = self.world.path("held")
        self.start(who, **({"hold": step, "held": held} if hold else {"kill": step}))
        if hold:
            for other in range(1, CLIENTS + 1):
                if other not in self.processes:
                    self.start(other)
            wait_for(lambda: os.path.exists(held) or self.processes[who].poll() is not None, "the step is reached", process=None)
            if os.path.exists(held):
                os.remove(held)
                self.settle()
                self.processes[who].kill()
        else:
            for other in range(1, CLIENTS + 1):
                if other not in self.processes:
                    self.start(other)
        code = wait_exit(self.processes[who])
        assert code in (0, -signal.SIGKILL), read(self.processes[who].log)
        return code != 0

    def finish(self):
        for process in self.processes.values():
            assert wait_exit(process) == 0, "".join(f"\n{p.log}: {p.poll()}\n{read(p.log)}" for p in self.processes.values())
        return records(self.world, self.state)


def deploy(world, name, victim, lives, prepared=None):
    """Each life of the victim ends before the step that is told, with the others ahead or not."""
    path, expected = prepared or prepare(world, name)
    d = Deployment(world, path, f"{name} {victim} {'-'.join(str(step) for step, _ in lives)}", victim)
    who = "aggregator" if victim == "aggregator" else 1
    if who == 1:
        d.start("aggregator")
    kills = 0
    for step, hold in lives:
        if not d.kill(who, step, hold):
            break
        kills += 1
    else:
        d.start(who)
    found = d.finish()
    assert found == expected, (name, victim, lives, [i for i, (a, b) in enumerate(zip(found, expected)) if a != b])
    for i in range(1, CLIENTS + 1):
        assert "not there any more" not in read(world.path(f"{d.state} {i}.log")), (name, victim, lives)
    return kills


def test_the_simulator(world):
    for name in CASES:
        simulate(world, name, 10 if name == "fedavg" else 60)


def test_the_aggregator(world):
    draw = random.Random(6)
    for name in ("scaffold", "scaffold with ditto", "fedadam"):
        lives = [(draw.randint(60, 150), True), (draw.randint(30, 60), True), (draw.randint(30, 60), False)]
        kills = deploy(world, name, "aggregator", lives)
        print(f"# {name}: the aggregator killed {kills} times")


def test_nobody_hears_of_the_end_before_the_last_round_is_committed(world):
    """The aggregator is held up in that commit, and killed: clients have to be there when the round is repeated."""
    (path, expected), journal, held = prepare(world, "fedavg"), world.path("last journal"), world.path("held")
    whole = Deployment(world, path, "fedavg whole deployment", "aggregator")
    whole.start("aggregator", journal=journal)
    d = Deployment(world, path, "fedavg last", "aggregator")
    world.check(os.path.join(harness.ROOT, "certs", "make-certs"), world.path("certs"), "client", "client-3")
    for client in range(1, CLIENTS + 1):
        whole.start(client)
    assert whole.finish() == expected
    published = max(i for i, step in enumerate(read_journal(journal), 1) if step[0] == RENAMED and step[4].endswith(f"{ROUNDS:06d}.safetensors".encode()))
    d.start("aggregator", hold=published + 4, held=held)
    for client in range(1, CLIENTS + 1):
        d.start(client)
    wait_for(lambda: os.path.exists(held), "the commit is under way", process=d.processes["aggregator"])
    observer = harness.Session(world, d.port, "client-3")
    assert observer.join()[0] == 200
    status, task, _ = observer.task(wait=0)
    assert status == 204, (status, task)
    d.processes["aggregator"].kill()
    d.processes["aggregator"].wait()  # it is gone, and so is its lock
    d.start("aggregator")
    assert d.finish() == expected


def test_a_client(world):
    draw = random.Random(7)
    for name in ("scaffold", "local"):
        kills = deploy(world, name, "client", [(draw.randint(2, 6), True), (draw.randint(1, 4), True), (draw.randint(1, 4), False)])
        print(f"# {name}: a client killed {kills} times")


if __name__ == "__main__":
    harness.main()
