#!/usr/bin/env python3
"""A bad network and kill -9 of everybody, by one seed: clients behind links that are slow, break and are cut off for a
while, the aggregator and the clients killed at any time, and started again. Every round has the bits of the simulator's,
of the same participants. long_world.py is the same with more of all.

Kernels need not have netem, so the links are bad in user space (`Weather`): bytes are held up, connections broken in the
middle, clients cut off for a while, which is what TCP makes of delay, loss and partitions.
"""
import asyncio
import json
import random
import re
import threading
import time
import types

import harness
from harness import SLOW, free_port, read, wait_exit, wait_for
from test_rounds import data_of, make_config, partition, same_result, simulate

PIECE = 16384


class Weather:
    """Links between clients and the aggregator, a port each; what happens to them is drawn by a seed."""

    def __init__(self, upstream, names, seed):
        self.upstream, self.random = upstream, random.Random(seed)
        self.delay = {name: self.random.choice([0.0, 0.002, 0.01, 0.03]) for name in names}
        self.cut_off = {name: 0.0 for name in names}  # until then nothing passes
        self.urls, self.broken, self.away = {}, 0, 0
        self.ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self.blow(names)), daemon=True).start()
        assert self.ready.wait(20 * SLOW), "the links are there"

    async def blow(self, names):
        servers = []
        for name in names:
            server = await asyncio.start_server(lambda r, w, name=name: self.link(name, r, w), "127.0.0.1", 0)
            self.urls[name] = types.SimpleNamespace(url=f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            servers.append(server)
        self.ready.set()
        await asyncio.gather(*(server.serve_forever() for server in servers))

    async def link(self, name, near, to_near):
        try:
            far, to_far = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            to_near.transport.abort()
            return
        await asyncio.gather(self.pass_on(name, near, to_far, to_near), self.pass_on(name, far, to_near, to_far))

    async def pass_on(self, name, source, target, back):
        try:
            while data := await source.read(PIECE):
                await asyncio.sleep(self.delay[name] * self.random.uniform(0.5, 1.5))
                while (left := self.cut_off[name] - time.monotonic()) > 0:
                    await asyncio.sleep(left)
                if self.random.random() < 0.002:  # in the middle of whatever it is
                    self.broken += 1
                    target.write(data[:len(data) // 2])
                    await target.drain()
                    back.transport.abort()
                    break
                target.write(data)
                await target.drain()
        except OSError:
            pass
        target.transport.abort() if back.transport.is_closing() else target.close()

    def partition(self, names, seconds):
        self.away += 1
        for name in names:
            self.cut_off[name] = time.monotonic() + seconds


def rounds_told(process):
    return max((int(n) for n in re.findall(r"round (\d+)/", read(process.log))), default=0)


def configure(world, rounds, clients, cohort, **more):
    with open(make_config(world, rounds=rounds, clients=clients, cohort=cohort, training={"momentum": 0})) as f:
        return world.write("run.json", {**json.load(f), **more})


def live_through(world, config, rounds, clients, kills, seed, most_away=1.0):
    """Until the run is over. Returns how many of the kills were of the aggregator, and the weather."""
    chance = random.Random(seed)
    names = partition(world, config, clients)
    world.certificates(names)
    port = free_port()
    aggregator = world.aggregator(config, port=port)
    weather = Weather(port, names, seed)

    def participate(name):
        return world.client(weather.urls[name], name, data_of(world, name), *(["--keep", world.path(f"keep-{name}")] if keeps else []))

    keeps = "scaffold" in read(config)
    processes = {name: participate(name) for name in names}
    killed = 0
    for kill in range(kills):
        least = (kill + 1) * (rounds - 2) // (kills + 1)  # since the last kill some rounds are over
        wait_for(lambda: rounds_told(aggregator) >= least or aggregator.poll() is not None, f"round {least} is over", 120)
        assert rounds_told(aggregator) < rounds and aggregator.poll() is None, ("there is more to do", read(aggregator.log))
        if most_away > 1 or chance.random() < 0.4:
            weather.partition(chance.sample(names, 1 + chance.randrange(clients // 2)), chance.uniform(0.1, most_away))
        time.sleep(chance.uniform(0, 0.05))  # in any step of a round
        if chance.random() < 0.4:
            world.kill_midway(aggregator, rounds)
            killed += 1
            aggregator = world.aggregator(config, port=port)
            continue
        name = chance.choice(names)
        processes[name].kill()
        assert processes[name].wait() == -9, read(processes[name].log)
        time.sleep(chance.uniform(0, 0.3))  # others go on meanwhile, or wait for it
        processes[name] = participate(name)
    for process in [aggregator, *processes.values()]:
        assert wait_exit(process, 240) == 0, (f"seed {seed}", read(process.log))
    assert 0 < killed < kills, "of both"
    return killed, weather


def as_simulated(world, clients, rounds, kills, seed):
    """Nobody is given up: each round has the cohort that the simulator has, too."""
    begin = time.monotonic()
    cohort = {"select": "count", "count": clients * 2 // 3, "min_clients": clients, "deadline_seconds": 300 * SLOW}
    config = configure(world, rounds, clients, cohort, strategy={"name": "scaffold"})  # whose clients keep something
    expected = simulate(world, config, clients, 1, "sim")
    killed, weather = live_through(world, config, rounds, clients, kills, seed)
    found = world.rounds()
    assert all(r["aggregated"] and r["late"] == r["failed"] == 0 for r in found), (f"seed {seed}", found)
    same_result(expected, found)
    print(f"# {clients} clients, {kills} kills, {killed} of the aggregator, {weather.broken} connections broken, {weather.away} times cut off, "
          f"{time.monotonic() - begin:.0f} s: the simulator's bits")


def test_everybody_is_killed_in_bad_weather(world):
    clients, kills = (3, 3) if harness.SANITIZED else (6, 10)
    as_simulated(world, clients, 5 * kills, kills, 7)


def test_clients_are_cut_off_beyond_the_deadline(world):
    """Who is late is chance, which a simulation does not have: each round is made once more of the updates that are recorded."""
    if harness.SANITIZED:
        raise harness.Skip("deadlines that sanitizers can keep take minutes to pass")
    begin = time.monotonic()
    clients, rounds, kills = 5, 20, 4
    cohort = {"min_clients": 3, "min_updates": 2, "max_abandoned": 1000, "deadline_seconds": 0.7}
    config = configure(world, rounds, clients, cohort, keep_updates=rounds)
    killed, _ = live_through(world, config, rounds, clients, kills, 3, 1.8)
    found = world.rounds()
    late = sum(r["late"] for r in found)
    assert late > 0 and {r["counted"] for r in found[1:] if r["aggregated"]} != {clients}, found
    inspect = world.program("rondo-inspect")
    for r in found[1:]:
        if r["aggregated"]:
            replayed = world.run(inspect, "replay", world.path("state"), "--round", r["round"])
            assert replayed.returncode == 0 and r["model_sha256"] in replayed.stdout, (r, replayed.stdout, replayed.stderr)
    world.check(inspect, "audit", world.path("state"), "--verify")
    print(f"# {kills} kills, {killed} of the aggregator, {late} parts late, {time.monotonic() - begin:.0f} s: every round once more")


if __name__ == "__main__":
    harness.main()
