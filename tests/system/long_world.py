#!/usr/bin/env python3
"""test_world.py with 20 clients and 50 kills."""
import harness
from test_world import as_simulated

CLIENTS, KILLS = 20, 50


def of(seed):
    return lambda world: as_simulated(world, CLIENTS, 4 * KILLS, KILLS, seed)


for number in (1, 2):
    globals()[f"test_seed_{number}"] = of(number)

if __name__ == "__main__":
    harness.main()
