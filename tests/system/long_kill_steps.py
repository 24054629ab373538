#!/usr/bin/env python3
"""Every step of test_kill_steps.py, of the simulator, the aggregator and a client, in turn with the others ahead and not."""
import harness
from test_kill_steps import CASES, KEPT, deploy, prepare, simulate


def every(name):
    def simulator(world):
        simulate(world, name, 1)

    def deployment(world, victim):
        prepared, step, kills = prepare(world, name), 1, 0
        while (kills == 0 or last > 0) and step < 1000:
            last = deploy(world, name, victim, [(step, step % 2 == 0)], prepared)
            kills, step = kills + last, step + 1
        print(f"# {name}: the {victim} killed before each of {kills} steps")
        assert kills > (10 if victim == "client" else 100), kills

    globals()[f"test_the_simulator_{name.replace(' ', '_')}"] = simulator
    globals()[f"test_the_aggregator_{name.replace(' ', '_')}"] = lambda world: deployment(world, "aggregator")
    if name in KEPT:
        globals()[f"test_a_client_{name.replace(' ', '_')}"] = lambda world: deployment(world, "client")


for case in CASES:
    every(case)

if __name__ == "__main__":
    harness.main()
