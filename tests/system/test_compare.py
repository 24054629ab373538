#!/usr/bin/env python3
"""rondo-inspect on runs without a test set, and on folders of several seeds; a target that was missed."""
import os
import re

import harness

MODEL = {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]}


def simulate(world, name, *options, **change):
    world.write("table.csv", "a,b,label\n" + "".join(f"{i % 7},{i % 5},{int(i % 7 > i % 5)}\n" for i in range(70)))
    config = {"rounds": 6, "model": MODEL, "training": {"learning_rate": 0.02}, "data": {"train": {"path": "table.csv"}}}
    config.update(change)
    path = world.write(name + ".json", config)
    return world.check(world.program("rondo-sim"), "--config", path, "--clients", 3, "--out", world.path(name), *options)


def inspect(world, *arguments):
    return world.run(world.program("rondo-inspect"), *arguments)


def curve(world, picture):
    """The points of the first curve of an SVG that gnuplot made, as y in pixels; smaller is higher."""
    paths = re.findall(r"<path stroke='rgb\(  0, 114, 178\)'\s+d='M([^']*)'", harness.read(world.path(picture)))
    return [float(pair.split(",")[1]) for pair in re.split(r"[ML ]+", max(paths, key=len)) if "," in pair]


def test_runs_without_a_test_set_are_compared_by_what_they_have(world):
    simulate(world, "held", evaluation={"holdout": 0.2})
    simulate(world, "bare")
    simulate(world, "told", evaluation={"train_loss": True})
    rounds = world.rounds("held")
    for names, metric, axis in ((("held", "held"), "hold-out accuracy", "Accuracy on the participants' hold-out rows"),
                                (("told", "told"), "training loss", "Loss on the participants' training rows"),
                                (("held", "bare"), "clients' loss", "Participants' loss while training")):
        result = inspect(world, "compare", *(world.path(n) for n in names), "--out", world.path("c.svg"))
        assert result.returncode == 0 and result.stderr == "", result
        assert result.stdout.endswith(f"{world.path('c.svg')}: {metric} by round\n"), result.stdout
        assert axis in harness.read(world.path("c.svg")).replace("&#39;", "'")
    # A named metric, and who has not measured it.
    result = inspect(world, "compare", world.path("held"), world.path("bare"), "--metric", "holdout_loss", "--out", world.path("d.svg"))
    assert result.stdout.endswith(f": hold-out loss by round; not measured by {world.path('bare')}\n"), result
    heights = curve(world, "d.svg")[-6:]  # before them the sample in the key
    losses = [r["holdout"]["loss"] for r in rounds[1:]]
    assert [a > b for a, b in zip(heights, heights[1:])] == [a < b for a, b in zip(losses, losses[1:])], (heights, losses)
    # The model before a round is what it tells of.
    best = max(r["holdout"]["accuracy"] for r in rounds[1:])
    first = next(r["round"] for r in rounds[1:] if r["holdout"]["accuracy"] >= best)
    shown = inspect(world, "compare", world.path("held"), "--target", best).stdout.splitlines()
    assert re.split(r"\s{2,}", shown[0])[1:4] == ["rounds", "best", "rounds to target"], shown
    assert re.split(r"\s{2,}", shown[1])[2:4] == [f"{100 * best:.2f} %", str(first - 1)], shown
    for arguments, words in ((("bare", "--target", "0.9"), "none of the runs has measured an accuracy"),
                             (("bare", "--metric", "loss", "--out", world.path("x.png")), "none of the runs has measured its test loss"),
                             (("bare", "--metric", "lose"), "holdout_accuracy")):
        result = inspect(world, "compare", world.path(arguments[0]), *arguments[1:])
        assert result.returncode != 0 and words in result.stderr, (arguments, result)
    result = inspect(world, "plot", world.path("bare"), "--out", world.path("e.svg"))
    assert result.stdout == f"{world.path('e.svg')}: loss by round (participants while training)\n", result
    assert "clients' loss" in harness.read(world.path("e.svg")).replace("&#39;", "'")
    result = inspect(world, "plot", world.path("held"), "--out", world.path("f.png"))
    assert result.stdout.endswith("(participants' hold-out data) and accuracy\n"), result
    with open(world.path("f.png"), "rb") as f:
        assert f.read(8) == b"\x89PNG\r\n\x1a\n"


def test_a_folder_of_seeds(world):
    simulate(world, "runs", "--seeds", 11)
    result = inspect(world, "rounds", world.path("runs"))
    titles = re.findall(r"^(\S+): run \(run [0-9a-f]{8}\): 6 of 6 rounds, finished$", result.stdout, re.M)
    assert titles == [world.path("runs", f"seed-{n + 1}") for n in range(11)], result.stdout
    assert result.stdout.count("\n    6 ") == 11
    assert inspect(world, "compare", world.path("runs")).returncode == 0
    for arguments in (["rounds", "--csv"], ["rounds", "--jsonl"], ["rounds", "--follow"], ["clients"],
                      ["plot", "--out", world.path("x.png")], ["export", "--out", world.path("x")], ["model"]):
        result = inspect(world, arguments[0], world.path("runs"), *arguments[1:])
        assert result.returncode != 0 and "runs" in result.stderr and world.path("runs", "seed-1") in result.stderr, result


def test_a_target_that_was_not_reached_is_reported(world):
    data = {"train": {"path": "table.csv"}, "test": {"path": "table.csv"}}
    told = simulate(world, "missed", data=data, evaluation={"target_accuracy": 0.999})
    accuracies = [r["test"]["accuracy"] for r in world.rounds("missed")]
    best = max(accuracies)
    line = f"target_accuracy 0.999 was not reached: best {best:.4f} in round {accuracies.index(best)}"
    assert best < 0.999 and told.splitlines()[-1] == line, told
    # An aggregator says it, too.
    world.certificates(["one"])
    config = {"rounds": 2, "model": MODEL, "training": {"learning_rate": 0.02}, "evaluation": {"target_accuracy": 0.999},
              "data": {"test": {"path": "table.csv"}}}
    aggregator = world.aggregator(world.write("run.json", config), "--linger-seconds", 1)
    world.client(aggregator, "one", world.path("table.csv"))
    assert harness.wait_exit(aggregator) == 0
    assert re.search(r"^target_accuracy 0\.999 was not reached: best 0\.\d{4} in round [012]$", harness.read(aggregator.log), re.M)
    assert os.path.exists(world.path("state", "models"))


if __name__ == "__main__":
    harness.main()
