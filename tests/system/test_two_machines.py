#!/usr/bin/env python3
"""Separate machines: aggregator and clients in network namespaces of their own, joined by virtual cables.

Needs root and the ip command; where they are missing the tests say SKIP.
"""
import os
import shutil
import subprocess
import time

import harness
from harness import read, wait_exit, wait_for

AGGREGATOR, CLIENTS = "10.77.0.1", ["10.77.0.11", "10.77.0.12"]


class Machines:
    """One namespace for the aggregator, one for each client, on a common bridge inside the first."""

    def __init__(self, world):
        self.world = world
        self.names = [f"rd{os.getpid()}-{i}" for i in range(3)]

    def ip(self, *arguments):
        self.world.check("ip", *arguments)

    def __enter__(self):
        hub = self.names[0]
        for name in self.names:
            self.ip("netns", "add", name)
        self.ip("-n", hub, "link", "add", "hub", "type", "bridge")
        self.ip("-n", hub, "addr", "add", AGGREGATOR + "/24", "dev", "hub")
        self.ip("-n", hub, "link", "set", "hub", "up")
        for i, address in enumerate(CLIENTS):
            self.ip("-n", hub, "link", "add", f"port{i}", "type", "veth", "peer", "name", "wire", "netns", self.names[i + 1])
            self.ip("-n", hub, "link", "set", f"port{i}", "master", "hub", "up")
            self.ip("-n", self.names[i + 1], "addr", "add", address + "/24", "dev", "wire")
            self.ip("-n", self.names[i + 1], "link", "set", "wire", "up")
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


def need_namespaces():
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise harness.Skip("needs root and the ip command")
    name = f"rd{os.getpid()}-try"
    # In a chroot that is no mount point a namespace can be made, but not entered.
    usable = all(subprocess.run(["ip", *command], capture_output=True).returncode == 0 for command in (
        ["netns", "add", name], ["netns", "exec", name, "true"], ["-n", name, "link", "add", "hub", "type", "bridge"]))
    subprocess.run(["ip", "netns", "delete", name], capture_output=True)
    if not usable:
        raise harness.Skip("no network namespaces here")


def start(world, machines, rounds):
    """The README's first job, on three machines."""
    table = world.write("table.csv", "a,b,y\n" + "".join(f"{i % 7},{i % 5},{(i % 7 > 3) + 0}\n" for i in range(200)))
    config = world.write("run.json", {"rounds": rounds, "model": {"preset": "softmax-regression", "input": 2, "classes": 2},
                                      "training": {"learning_rate": 0.05, "batch_size": 10}, "cohort": {"min_clients": 2, "deadline_seconds": 120},
                                      "data": {"train": {"path": table}}})
    make = os.path.join(harness.ROOT, "certs", "make-certs")
    world.check(make, world.path("certs"), "ca")
    world.check(make, world.path("certs"), "aggregator", "aggregator", "--san", "IP:" + AGGREGATOR)
    world.check(make, world.path("certs"), "client", "client-1", "client-2")
    world.check(world.program("rondo-sim"), "partition", "--config", config, "--clients", 2, "--out", world.path("private"), "--quiet")
    aggregator = world.start("ip", "netns", "exec", machines.names[0], world.program("rondo-aggregator"), "serve", "--config", config,
                             "--state", world.path("state"), "--listen", "0.0.0.0:8443", *world.tls("aggregator"), log="aggregator.log")
    wait_for(lambda: "listening" in read(aggregator.log), "the aggregator listens", process=aggregator)
    clients = [world.start("ip", "netns", "exec", machines.names[i + 1], world.program("rondo-client"), "--aggregator",
                           f"https://{AGGREGATOR}:8443", *world.tls(f"client-{i + 1}"), "--data", world.path("private", f"client-{i + 1}.safetensors"),
                           log=f"client-{i + 1}.log") for i in range(2)]
    return config, aggregator, clients


def same_as_simulated(world, config, aggregator, clients):
    assert wait_exit(aggregator, 120) == 0, read(aggregator.log)
    for c in clients:
        assert wait_exit(c) == 0, read(c.log)
    world.check(world.program("rondo-sim"), "--config", config, "--clients", 2, "--out", world.path("sim"), "--quiet")
    assert world.rounds()[-1]["model_sha256"] == world.rounds("sim")[-1]["model_sha256"]


def test_two_machines(world):
    need_namespaces()
    with Machines(world) as machines:
        same_as_simulated(world, *start(world, machines, 5))


def test_a_cable_is_pulled_and_put_back(world):
    need_namespaces()
    with Machines(world) as machines:
        config, aggregator, clients = start(world, machines, 400)
        wait_for(lambda: len(world.rounds()) > 20, "some rounds are done", process=aggregator)
        machines.ip("-n", machines.names[0], "link", "set", "port1", "down")
        before = len(world.rounds())
        time.sleep(3)
        assert len(world.rounds()) <= before + 2, "rounds went on without a client that is not late yet"
        machines.ip("-n", machines.names[0], "link", "set", "port1", "up")
        same_as_simulated(world, config, aggregator, clients)


if __name__ == "__main__":
    harness.main()
