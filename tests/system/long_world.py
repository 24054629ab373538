#!/usr/bin/env python3
"""test_world.py with 20 clients and 50 kills, for several seeds; RONDO_WORLD_SEEDS="1 2 3" names others."""
import os
import time

import harness
from test_world import live_through, tell

CLIENTS, KILLS = 20, 50


def of(seed):
    def test(world):
        begin = time.monotonic()
        killed, weather = live_through(world, CLIENTS, 4 * KILLS, KILLS, seed)
        tell(CLIENTS, KILLS, killed, weather, begin)
    return test


for number in os.environ.get("RONDO_WORLD_SEEDS", "1 2").split():
    globals()[f"test_seed_{number}"] = of(int(number))

if __name__ == "__main__":
    harness.main()
