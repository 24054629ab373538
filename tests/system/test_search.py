#!/usr/bin/env python3
"""rondo-sim search with real simulations: a grid, a kill in the middle, and the words for what cannot be searched."""
import json
import os
import struct
import time

import harness
from harness import safetensors, wait_for


def prepare(world, space, rounds=2, epochs=1):
    folder = world.check(os.path.join(harness.ROOT, "simulations/data/fetch.sh"), "digits").splitlines()[-1]
    config = world.write("run.json", {
        "rounds": rounds, "model": {"preset": "softmax-regression", "input": 64, "classes": 10},
        "training": {"learning_rate": 0.01, "batch_size": 10, "epochs": epochs}, "evaluation": {"holdout": 0.2},
        "data": {"train": {"path": os.path.relpath(os.path.join(folder, "digits.csv"), world.dir)}}})
    return ["search", "--config", config, "--space", world.write("space.json", space), "--clients", 4]


GRID = {"method": "grid", "objective": "holdout_loss", "keys": {"training.learning_rate": {"values": [0.0001, 0.001, 0.01]},
                                                                  "training.epochs": {"from": 1, "to": 2, "whole": True, "steps": 2}}}


def ranking(world, out):
    with open(world.path(out, "trials.jsonl")) as f:
        lines = [json.loads(line) for line in f if line.strip()]
    found = {line["trial"]: line["objective"] for line in lines if "objective" in line}
    return sorted(found, key=found.get), found


def test_a_grid_is_tried_and_ranked(world):
    command = prepare(world, GRID)
    text = world.check(world.program("rondo-sim"), *command, "--out", world.path("out"))
    order, found = ranking(world, "out")
    assert len(found) == 6, found
    table = [line.split() for line in text.split("rank")[1].splitlines()[1:7]]
    assert len({len(line) for line in text.split("rank")[1].splitlines()[1:7]}) == 1, "columns are not in line:\n" + text
    assert [int(row[1]) for row in table] == order, text
    best = world.rounds(f"out/trial-{order[0]:04d}")[-1]
    assert best["holdout"]["loss"] == found[order[0]]
    with open(world.path("out/best.json")) as f, open(world.path(f"out/trial-{order[0]:04d}.json")) as g:
        assert json.load(f) == json.load(g)
    world.check(world.program("rondo-sim"), "--config", world.path("out/best.json"), "--clients", 4, "--quiet")


def test_two_at_a_time_find_the_same_grid(world):
    command = prepare(world, GRID)
    world.check(world.program("rondo-sim"), *command, "--out", world.path("one"), "--quiet")
    world.check(world.program("rondo-sim"), *command, "--out", world.path("two"), "--parallel", 2, "--threads", 1, "--quiet")
    assert ranking(world, "one") == ranking(world, "two")


def test_kill_9_in_the_middle_changes_nothing(world):
    space = {"method": "bayesian", "trials": 12, "objective": "holdout_loss",
             "keys": {"training.learning_rate": {"from": 0.0001, "to": 0.1, "scale": "log"}, "training.batch_size": {"values": [5, 10, 20]}}}
    command = prepare(world, space, rounds=10, epochs=4)
    world.check(world.program("rondo-sim"), *command, "--out", world.path("whole"), "--quiet")
    for at_least in (2, 9):
        process = world.start(world.program("rondo-sim"), *command, "--out", world.path("killed"), "--quiet", log="search.log", start_new_session=True)
        wait_for(lambda: os.path.exists(world.path("killed/trials.jsonl")) and len(ranking(world, "killed")[1]) >= at_least, "some trials are done", process=process)
        os.killpg(process.pid, 9)
        assert process.wait() == -9, "it had ended before it was killed"
        assert len(ranking(world, "killed")[1]) < 12, "all trials were done before it was killed"
        time.sleep(0.2)
    world.check(world.program("rondo-sim"), *command, "--out", world.path("killed"), "--quiet")
    assert ranking(world, "whole") == ranking(world, "killed")


def test_what_cannot_be_searched(world):
    def refused(space, words, code=1, out="bad"):
        result = world.run(world.program("rondo-sim"), *prepare(world, space), "--out", world.path(out))
        assert result.returncode == code and words in result.stderr, result.stderr

    keys = lambda **k: {"objective": "holdout_loss", "trials": 1, "keys": k}
    refused(keys(**{"training.learning_rat": {"from": 0.1, "to": 1}}), "keys.training.learning_rat")
    refused(keys(**{"model.layers[3].units": {"values": [3]}}), "keys.model.layers[3].units: run.json has no such place")
    refused(keys(**{"training.epochs": {"from": 0, "to": 3, "whole": True}}), "training.epochs: expected a whole number from 1")
    refused(keys(**{"training.learning_rate": {"from": 0.1}}), "keys.training.learning_rate.to is missing")
    refused(keys(**{"training.learning_rate": {"values": [0.1]}}), "", 0, "mine")
    refused(keys(**{"training.learning_rate": {"values": [0.2]}}), "the search that it lists had another space.json", 1, "mine")
    result = world.run(world.program("rondo-sim"), "search", "--config", world.path("run.json"), "--clients", 4)
    assert result.returncode == 2 and "--space FILE is missing" in result.stderr, result.stderr


def test_an_objective_that_nothing_measures_is_refused_before_training(world):
    command = prepare(world, {"objective": "test_loss", "trials": 1, "keys": {"training.learning_rate": {"values": [0.1]}}})
    result = world.run(world.program("rondo-sim"), *command, "--out", world.path("out"))
    assert result.returncode == 1 and "objective: test_loss needs data.test in run.json" in result.stderr, result.stderr
    assert not os.path.exists(world.path("out/trial-0001"))


def test_more_trials_go_on_with_a_search(world):
    space = {"method": "random", "trials": 3, "objective": "holdout_loss", "keys": {"training.learning_rate": {"from": 0.0001, "to": 0.1, "scale": "log"}}}
    command = prepare(world, space)
    world.check(world.program("rondo-sim"), *command, "--out", world.path("out"), "--quiet")
    _, three = ranking(world, "out")
    world.check(world.program("rondo-sim"), *command, "--out", world.path("out"), "--quiet", "--trials", 5)
    _, five = ranking(world, "out")
    assert len(three) == 3 and len(five) == 5 and all(five[k] == three[k] for k in three), (three, five)


def test_a_damaged_list_of_trials_is_refused_by_its_line(world):
    command = prepare(world, {"method": "grid", "objective": "holdout_loss", "keys": {"training.learning_rate": {"values": [0.1, 0.01]}}})
    world.check(world.program("rondo-sim"), *command, "--out", world.path("out"), "--quiet")
    with open(world.path("out/trials.jsonl")) as f:
        lines = [json.loads(line) for line in f]

    def refused(words, number, **change):
        damaged = [dict(line, **change) if i == number else line for i, line in enumerate(lines)]
        world.write("out/trials.jsonl", "".join(json.dumps(line) + "\n" for line in damaged))
        result = world.run(world.program("rondo-sim"), *command, "--out", world.path("out"))
        assert result.returncode == 1 and f"trials.jsonl: line {number + 1}: {words}" in result.stderr, result.stderr

    refused("rounds: expected a whole number from 0 to 9007199254740992, found null", 2, rounds=None)
    refused('rounds: expected a whole number from 0 to 9007199254740992, found "two" (a string)', 2, rounds="two")
    refused("seconds: expected a number", 2, seconds=True)
    refused("objective: expected a number", 2, objective="good")
    refused("trial: expected a whole number from 1", 1, trial=0.5)
    refused("trial: expected one that has begun, found 7", 2, trial=7)
    refused("point: expected numbers from 0 to 1", 1, point=["half"])
    world.write("out/trials.jsonl", "".join(json.dumps(line) + "\n" for line in lines) + '{"trial": 3, "poi\n')
    world.check(world.program("rondo-sim"), *command, "--out", world.path("out"), "--quiet")


def test_a_trial_that_leaves_the_range_of_numbers_is_ranked_last(world):
    space = {"method": "grid", "objective": "holdout_loss", "keys": {"training.learning_rate": {"values": [1e6, 0.001]}}}
    text = world.check(world.program("rondo-sim"), *prepare(world, space), "--out", world.path("out"))
    last = text.split("rank")[1].splitlines()[2].split()
    assert last[1] == "1" and "failed" in last, text


def test_a_trial_finds_every_file_of_its_run(world):
    """run.json lies in one folder, the trials in another, and each path of the schema is relative to the first."""
    with open(os.path.join(harness.ROOT, "common", "config", "config.schema.json")) as f:
        schema = json.load(f)
    labels = lambda bright: struct.pack(">II", 0x801, 8) + bytes(bright)  # noqa: E731
    images = struct.pack(">IIII", 0x803, 8, 2, 2) + bytes(range(32))
    for part in ("train", "test", "root"):
        world.write(f"here/{part}.images", images)
        world.write(f"here/{part}.labels", labels([0, 1] * 4))
    world.write("here/devices.csv", "latency_seconds\n0.5\n")
    world.write("here/start.safetensors", safetensors({"fc1.weight": ([2, 4], [0.5] * 8), "fc1.bias": ([2], [0.0] * 2)}))
    config = {"rounds": 1, "model": {"input": 4, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]},
              "training": {"learning_rate": 0.1}, "strategy": {"name": "fltrust"}, "initial": {"path": "start.safetensors"},
              "data": {part: {"path": f"{part}.images", "labels": f"{part}.labels", "format": "idx"} for part in ("train", "test", "root")},
              "simulation": {"system": {"trace": "devices.csv"}}}
    # What the schema calls a path is among them.
    told = {key for part in [schema["$defs"]["source"]["else"], schema["properties"]["initial"], schema["properties"]["simulation"]["properties"]["system"]]
            for key in part["properties"] if key in ("path", "labels", "trace")}
    assert told == {"path", "labels", "trace"}
    space = world.write("space.json", {"method": "grid", "objective": "test_loss", "keys": {"training.learning_rate": {"values": [0.1, 0.2]}}})
    world.write("here/run.json", config)
    world.check(world.program("rondo-sim"), "search", "--config", "here/run.json", "--clients", 2, "--space", space, "--out", "there", cwd=world.dir)
    with open(world.path("there/trial-0001.json")) as f:
        trial = json.load(f)
    here = os.path.realpath(world.path("here"))
    assert trial["data"]["root"]["path"] == f"{here}/root.images" and trial["simulation"]["system"]["trace"] == f"{here}/devices.csv", trial
    assert len(ranking(world, "there")[1]) == 2
    # best.json is a run.json of its own, wherever one stands.
    world.check(world.program("rondo-sim"), "--config", world.path("there/best.json"), "--clients", 2, "--quiet", cwd="/")


if __name__ == "__main__":
    harness.main()
