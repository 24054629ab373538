#!/usr/bin/env python3
"""Every step of test_power.py, with every one of what may be on the disk after it."""
import harness
from test_power import lose_power


def of(name):
    return lambda world: lose_power(world, name, 1, name)


for case in ("fedavg", "fedadam", "scaffold", "scaffold with ditto", "local", "frozen", "pruned"):
    globals()[f"test_{case.replace(' ', '_')}"] = of(case)

if __name__ == "__main__":
    harness.main()
