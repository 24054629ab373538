#!/usr/bin/env python3
"""test_no_memory.py with every allocation of the simulator, and every 50th of the aggregator and a client: they have tens of thousands,
most of them of TLS."""
import harness
from test_no_memory import deploy, simulate


def test_the_simulator(world):
    for name in ("fedadam", "scaffold", "frozen", "pruned"):
        simulate(world, name, 1)


def test_the_aggregator(world):
    for name in ("fedadam", "scaffold"):
        deploy(world, name, "aggregator", 50, name)


def test_a_client(world):
    deploy(world, "scaffold", "client", 50, "scaffold")


if __name__ == "__main__":
    harness.main()
