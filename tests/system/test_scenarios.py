#!/usr/bin/env python3
"""Every scenario and every space in simulations/ loads and runs, one round each, on small stand-ins for its data.

The stand-ins have the formats and names of what simulations/data/fetch.sh puts there, and are the same on every machine.

    test_scenarios.py BUILD_DIR --digests [test...]

prints a line "# NAME SHA-256" for each model that comes out, to compare a program with the one before a change.
"""
import glob
import gzip
import json
import os
import random
import struct
import sys

import harness

SIMULATIONS = os.path.join(harness.ROOT, "simulations")
CLIENTS = 30  # the concurrency of fedbuff; bulyan with byzantine 5 needs 23
DIGESTS = "--digests" in sys.argv


# ---- stand-ins ----

def images(seed, count):
    """Two IDX files: dim pictures of 28x28 with a bright row that says the class."""
    draw = random.Random(seed)
    pixels, labels = bytearray(), bytearray()
    for i in range(count):
        label = i % 10
        picture = bytearray(draw.randrange(60) for _ in range(784))
        picture[28 * (4 + 2 * label):28 * (5 + 2 * label)] = bytes([250]) * 28
        pixels += picture
        labels.append(label)
    return struct.pack(">IIII", 0x803, count, 28, 28) + pixels, struct.pack(">II", 0x801, count) + labels


def table(seed, features, classes, rows):
    draw = random.Random(seed)
    lines = [",".join([f"f{i}" for i in range(features)] + ["label"])]
    for i in range(rows):
        label = i % classes
        lines.append(",".join([str(draw.randrange(8) + (8 if j % classes == label else 0)) for j in range(features)] + [str(label)]))
    return "\n".join(lines) + "\n"


def play():
    """Six speakers, each with enough to say for windows of 80 symbols in both of his parts."""
    draw = random.Random(3)
    words = "the king and a crown, my lord; what is love? O, speak no more! thou art gone".split()
    speeches = []
    for turn in range(24):
        text = " ".join(draw.choice(words) for _ in range(60))
        speeches.append(f"{'ROMEO JULIET KENT LEAR BRUTUS PUCK'.split()[turn % 6]}:\n{text}\n")
    return "\n".join(speeches)


def stand_ins(world):
    """{name of a file: its path}"""
    files = {"digits.csv": table(1, 64, 10, 200), "iris.csv": table(2, 4, 3, 90), "tinyshakespeare.txt": play()}
    for part, seed, count in (("train", 4, 300), ("t10k", 5, 40)):
        files[f"{part}-images-idx3-ubyte"], files[f"{part}-labels-idx1-ubyte"] = images(seed, count)
    paths = {}
    for name, content in files.items():
        paths[name] = world.write(f"data/{name}", content)
        if name.endswith("ubyte"):
            paths[name + ".gz"] = world.write(f"data/{name}.gz", gzip.compress(content, mtime=0))
    return paths


# ---- one round ----

def place(config, paths):
    """Lets the paths of a run.json name the stand-ins."""
    for part in config["data"].values():
        for key in ("path", "labels"):
            if key in part:
                part[key] = paths[os.path.basename(part[key])]


def shorten(config):
    """As few rounds as have everything of the scenario in them, and few rows."""
    partial = "partial_work" in json.dumps(config)  # of ten clients, with the chance 0.9 each, all can drop out of a round
    config["rounds"] = 5 if partial else 1
    if "continual" in config:
        config["continual"]["rounds_per_task"] = 1
        config["rounds"] = len(config["continual"]["tasks"])
    if "pruning" in config:
        config["pruning"].update(from_round=1, to_round=1)
    if "samples" in config["data"]["partition"]:
        config["data"]["partition"]["samples"] = 20
    if "cohort" in config:
        config["cohort"].pop("min_clients", None)
    config.pop("$schema", None)


def load(name):
    with open(os.path.join(SIMULATIONS, name)) as f:
        return json.load(f)


def names(folder):
    found = sorted(os.path.basename(p)[:-5] for p in glob.glob(os.path.join(SIMULATIONS, folder, "*.json")))
    assert found, folder
    return found


def last_round(world, name, state):
    record = world.rounds(state)[-1]
    assert record["counted"] > 0 and record["round"] > 0, (name, record)
    if DIGESTS:
        print(f"# {name} {record['model_sha256']}", flush=True)
    return record


def how_many(config):
    """--clients, where the data do not say it."""
    return [] if config["data"]["partition"]["scheme"] == "group" else ["--clients", CLIENTS if "test" in config["data"] else 5]


def test_each_scenario_runs(world):
    paths = stand_ins(world)
    first = ["pretrain"]  # others start from its model
    for name in first + [n for n in names("scenarios") if n not in first]:
        config = load(f"scenarios/{name}.json")
        place(config, paths)
        shorten(config)
        if "initial" in config:
            assert config["initial"]["path"] == "../../out/runs/pretrain/models/000012.safetensors", name
            config["initial"]["path"] = world.path("runs/pretrain/models/000001.safetensors")
        world.check(world.program("rondo-sim"), "--config", world.write(f"{name}.json", config), *how_many(config),
                    "--threads", 1, "--quiet", "--out", world.path("runs", name))
        record = last_round(world, name, f"runs/{name}")
        assert (record["test"] is not None) == ("test" in config["data"]), (name, record)


def scenario_of(space):
    """Its name begins that of the space, but for digits.json."""
    if space == "digits":
        return "search-digits"
    return max((s for s in names("scenarios") if space.startswith(s)), key=len)


def test_each_space_runs(world):
    """Every point of a grid, three trials of another search."""
    paths = stand_ins(world)
    for name in names("spaces"):
        space, config = load(f"spaces/{name}.json"), load(f"scenarios/{scenario_of(name)}.json")
        place(config, paths)
        shorten(config)
        if "rounds" in space["keys"]:
            space["keys"]["rounds"] = {"values": [1]}
        if space["method"] != "grid":
            space["trials"] = 3
        trials = 1
        for key in space["keys"].values():
            trials *= len(key.get("values", [])) if space["method"] == "grid" else 1
        trials = trials if space["method"] == "grid" else space["trials"]
        world.check(world.program("rondo-sim"), "search", "--config", world.write(f"{name}.run.json", config), "--space",
                    world.write(f"{name}.json", space), *how_many(config), "--threads", 1, "--parallel", 2, "--quiet",
                    "--out", world.path("runs", name))
        for i in range(trials):
            last_round(world, f"{name}/{i + 1}", f"runs/{name}/trial-{i + 1:04d}")
        with open(world.path(f"runs/{name}/best.json")) as f:
            assert json.load(f)["rounds"] == config["rounds"], name


if __name__ == "__main__":
    sys.argv = [a for a in sys.argv if a != "--digests"]
    harness.main()
