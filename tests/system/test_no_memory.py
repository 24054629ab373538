#!/usr/bin/env python3
"""One allocation fails, of the simulator, the aggregator, a client: it says that there is no memory and ends with an exit code, or does
without it; started again, the run ends with the bits of one that nobody disturbed. An aggregator in which a request fails serves the next.

A sample by a seed; long_no_memory.py takes every allocation."""
import os
import random
import re
import signal

import harness
from harness import read, wait_exit
from test_kill_steps import Deployment, prepare, records, simulator


def preloaded(world, **settings):
    if harness.SANITIZED:
        raise harness.Skip("sanitizers have an allocator of their own")
    library = os.path.join(world.build, "tests", "count_malloc.so")
    return ["env", f"LD_PRELOAD={library}", *(f"MALLOC_{k.upper()}={v}" for k, v in settings.items())]


def check_end(code, text, what):
    """It has gone on, or says what was missing."""
    assert code == 0 or (0 < code < 100 and "memory" in text), (what, code, text)


def ended_in_openssl(code, text):
    """OpenSSL sets itself up at the first connection, once for a process. Without memory then it stays unusable, whatever is
    asked of it later, which the client finds out and says; or it crashes in its own code (3.0: RAND_get0_primary)."""
    if code == -signal.SIGSEGV:
        frames = [os.path.basename(x) for x in re.findall(r"^(\S+?)\(.*\[0x[0-9a-f]+\]$", text, re.M)]
        others = [x for x in frames if not x.startswith(("count_malloc.so", "libc.so"))]
        return bool(others) and others[0].startswith(("libcrypto.so", "libssl.so"))
    return code == 4 and re.search(r"the connection to \S+ failed: .* \(tried for", text) is not None


def chosen(seed, count, stride):
    return range(random.Random(seed).randint(1, stride), count + 1, stride)


def simulate(world, name, stride):
    path, expected = prepare(world, name)
    told = world.path("told")
    world.check(*preloaded(world, count=told), *simulator(world, path, f"{name} counted"))
    count, failed = int(read(told)), 0
    assert count > 1000, count
    numbers = [*range(5, 80, 15), *chosen(name, count, stride)]  # the first are of run.json
    for number in numbers:
        state = f"{name} {number}"
        result = world.run(*preloaded(world, fail=number), *simulator(world, path, state))
        check_end(result.returncode, result.stderr, (name, number))
        if result.returncode != 0:
            failed += 1
            world.check(*simulator(world, path, state))
        assert records(world, state) == expected, (name, number)
    print(f"# {name}: of {len(numbers)} of {count} allocations {failed} ended the simulator")


class Short(Deployment):
    """One of whose programs has MALLOC_... set."""

    def prefix(self, settings):
        return preloaded(self.world, **settings)


def deploy(world, name, victim, stride, seed):
    """Without memory once, the victim goes on, or is started again."""
    path, expected = prepare(world, name)
    who, told = "aggregator" if victim == "aggregator" else 1, world.path(f"told {victim}")
    whole = Short(world, path, f"{name} {victim} counted", victim)
    for each in ("aggregator", 1, 2):
        whole.start(each, **({"count": told} if each == who else {}))
    assert whole.finish() == expected
    count, ended, without, unusable = int(read(told)), 0, 0, 0
    for number in chosen(seed, count, stride):
        d = Short(world, path, f"{name} {victim} {number}", victim)
        for each in ("aggregator", 1, 2):
            d.start(each, **({"fail": number} if each == who else {}))
        process = d.processes[who]
        code, text = wait_exit(process), read(process.log)
        if victim == "client" and ended_in_openssl(code, text):
            unusable += 1
        else:
            check_end(code, text, (name, victim, number))
        if code != 0:
            ended += 1
            d.start(who)
        found = d.finish()
        refused = [r for r in world.rounds(d.state)[1:] if r["failed"]]  # a round went on without an update
        assert refused or found == expected, (name, victim, number)
        without += len(refused)
    print(f"# {name}: of {len(chosen(seed, count, stride))} of {count} allocations {ended} ended the {victim}, {without} a client's part in a round; "
          f"{unusable} made OpenSSL unusable")
    assert unusable <= 1 + len(chosen(seed, count, stride)) // 20, "of some tens of thousands there are a few hundred that do"


def test_the_simulator(world):
    for name in ("fedadam", "scaffold", "pruned"):
        simulate(world, name, 400)


def test_the_aggregator(world):
    deploy(world, "fedadam", "aggregator", 9000, 1)


def test_a_client(world):
    deploy(world, "scaffold", "client", 4000, 2)


if __name__ == "__main__":
    harness.main()
