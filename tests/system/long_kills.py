#!/usr/bin/env python3
"""The whole of test_kills.py's matrix: what is trained x who is killed."""
import harness
from test_kills import CASES, check

VICTIMS = ("aggregator", "client", "simulator")


def of(name):
    return lambda world: check(world, name, *VICTIMS)


for case in CASES:
    globals()[f"test_{case}"] = of(case)

if __name__ == "__main__":
    harness.main()
