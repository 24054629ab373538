#!/usr/bin/env python3
"""Power is lost after each step that a run makes on the disk, and what had not been waited for is dropped, kept or garbled: the run goes
on from a round that is no earlier than the last one that was certain, and ends with the bits of a run that nobody disturbed.

A sample by a seed; long_power.py takes every step."""
import json
import os
import random
import re
import shutil
import sqlite3

import harness
from crash_images import SYNCED, Disk, read_journal
from test_kill_steps import CASES, prepare, records, simulator, watched

VARIANTS = (("old", "old"), ("new", "old"), ("new", "database"), ("new", "new"), ("new", "random"), ("random", "random"))


def newest(folder, what):
    """The newest round of the database of that image for which that holds; None: there is none."""
    path = os.path.join(folder, "state/rondo.db")
    if not os.path.exists(path):
        return None
    copy = folder + " copy"
    os.makedirs(copy)
    for ending in ("", "-wal", "-journal"):
        if os.path.exists(path + ending):
            shutil.copyfile(path + ending, os.path.join(copy, "rondo.db" + ending))
    try:
        with sqlite3.connect(os.path.join(copy, "rondo.db")) as database:
            return database.execute(f"SELECT max(round) FROM rounds WHERE {what}").fetchone()[0]
    except sqlite3.OperationalError as error:
        assert "no such table" in str(error), error
        return None
    finally:
        database.close()
        shutil.rmtree(copy)


def lose_power(world, name, stride, seed):
    path, expected = prepare(world, name)
    root, journal = world.path(f"{name} disk"), world.path(f"{name} journal")
    os.makedirs(root)
    half = world.write("half.json", {**json.load(open(path)), "rounds": 2})
    for config in (half, path):  # two processes, one after the other
        world.check(*watched(world, f"{name} disk", journal=journal), *simulator(world, config, f"{name} disk/state"))
    steps, disk, draw = read_journal(journal), Disk(root), random.Random(seed)
    certain, images, back = -1, 0, 0
    for number, step in enumerate(steps, 1):
        disk.step(*step)
        if step[0] == SYNCED and step[1].endswith("rondo.db-wal"):
            disk.build(world.path("acknowledged"), "new", "new", 0)
            found = newest(world.path("acknowledged"), "synced")
            certain = found if found is not None else certain
            shutil.rmtree(world.path("acknowledged"))
        for variant in VARIANTS:
            if draw.randrange(stride):
                continue
            image, what = f"{name} {number} {'-'.join(variant)}", (name, number, step[:2], variant)
            disk.build(world.path(image), *variant, f"{seed} {number}")
            there = newest(world.path(image), "true")
            assert certain < 0 or (there is not None and there >= certain), (what, there, certain)
            result = world.run(*[part for part in simulator(world, path, f"{image}/state") if part != "--quiet"])
            assert result.returncode == 0, (what, result.stderr)
            told = [int(n) for n in re.findall(r"^changed after round (\d+): state", result.stdout, re.M)]
            assert len(told) < 2 and all(n >= certain for n in told), (what, result.stdout)
            assert records(world, f"{image}/state") == expected, (what, result.stdout)
            back += len(told)
            images += 1
            shutil.rmtree(world.path(image))
    assert certain == len(expected) - 1, certain
    print(f"# {name}: {images} images of {len(steps)} steps; {back} went back to an older round, and said so")


def test_power_is_lost(world):
    for name in ("fedadam", "scaffold", "frozen", "pruned"):
        lose_power(world, name, 120, name)


if __name__ == "__main__":
    harness.main()
