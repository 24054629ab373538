#!/usr/bin/env python3
"""Statistics of one value: what has no variance, no ranks or no mean is left alone, shown as unknown, or refused, and
never a number that nobody measured."""
import json
import math

import harness
from harness import read_safetensors

DENSE = lambda units: {"type": "dense", "units": units}


def simulate(world, config, clients=1, out="state"):
    world.check(world.program("rondo-sim"), "--config", world.write(out + ".json", config), "--clients", clients, "--out", world.path(out))
    last = world.rounds(out)[-1]
    with open(world.path(out, f"models/{last['round']:06d}.safetensors"), "rb") as f:
        return last, {name: list(values) for name, (_, values) in read_safetensors(f.read()).items()}


def refused(world, config, words, clients=1):
    result = world.run(world.program("rondo-sim"), "--config", world.write("bad.json", config), "--clients", clients)
    assert result.returncode == 1 and words in result.stderr, (words, result.stdout, result.stderr)


def test_batch_norm_learns_nothing_of_a_last_batch_of_one_row(world):
    """Of 1, 4 and 10 two go first, in one batch; the running statistics are theirs, with the variance over n - 1."""
    rows = world.write("rows.csv", "x,y\n1,0\n4,1\n10,0\n")
    config = {"rounds": 1, "model": {"input": 1, "loss": "mse", "layers": [{"type": "batch_norm"}, DENSE(1)]},
              "training": {"learning_rate": 1e-30, "batch_size": 2}, "data": {"train": {"path": rows, "regression": True}}}
    _, model = simulate(world, config)
    found = (model["bn1.running_mean"][0], model["bn1.running_var"][0])
    pairs = [(0.1 * mean, 0.9 + 0.1 * variance) for mean, variance in ((2.5, 4.5), (7, 18), (5.5, 40.5))]
    assert any(all(abs(a - b) < 1e-6 for a, b in zip(found, pair)) for pair in pairs), (found, pairs)
    refused(world, dict(config, training={"learning_rate": 0.1, "batch_size": 1}), "training.batch_size: one row says nothing of how features vary")
    whole = dict(config, training={"learning_rate": 1e-30, "batch_size": 0})
    _, model = simulate(world, whole, out="whole")
    assert abs(model["bn1.running_var"][0] - (0.9 + 0.1 * 21)) < 1e-6, model
    # An image has many numbers a channel, even alone.
    pixels = world.write("pixels.csv", "a,b,c,d,label\n1,2,3,4,0\n3,1,0,1,1\n5,6,1,2,1\n")
    image = dict(config, model={"input": [1, 2, 2], "loss": "softmax_cross_entropy", "layers": [{"type": "batch_norm"}, {"type": "flatten"}, DENSE(2)]},
                 training={"learning_rate": 1e-30, "batch_size": 1}, data={"train": {"path": pixels}})
    _, model = simulate(world, image, out="image")
    assert model["bn1.running_mean"][0] > 0


def test_single_numbers_are_not_normalised(world):
    rows = world.write("rows.csv", "a,b,label\n1,2,0\n3,1,1\n")
    config = {"rounds": 1, "training": {"learning_rate": 0.1}, "data": {"train": {"path": rows}}}
    base = {"input": 2, "loss": "softmax_cross_entropy"}
    refused(world, dict(config, model=dict(base, layers=[DENSE(1), {"type": "layer_norm"}, DENSE(2)])),
            "model.layers[1]: layer 'ln1' would normalise single numbers, of which nothing is left")
    refused(world, dict(config, model=dict(base, input=[2, 1, 1], layers=[{"type": "group_norm", "groups": 2}, {"type": "flatten"}, DENSE(2)])),
            "layer 'gn1' would normalise single numbers")


def test_scores_without_a_value_are_refused(world):
    two = world.write("two.csv", "x,label\n1,0\n2,1\n3,1\n")
    config = {"rounds": 1, "model": {"input": 1, "loss": "softmax_cross_entropy", "layers": [DENSE(2)]}, "training": {"learning_rate": 0.1},
              "data": {"train": {"path": two}}}

    def on(rows, metrics, **more):
        path = world.write("test.csv", rows)
        return dict(config, evaluation={"metrics": metrics}, data={"train": {"path": two}, "test": {"path": path}}, **more)

    refused(world, on("x,label\n1,1\n2,1\n", ["auc", "f1"]), "data.test: evaluation.metrics: auc needs rows of class 0, but there is none")
    refused(world, on("x,label\n1,0\n2,0\n", ["auc"]), "data.test: evaluation.metrics: auc needs rows of class 1, but there is none")
    refused(world, on("x,label\n1,0\n2,0\n", ["f1"]), "data.test: evaluation.metrics: f1 needs rows of class 1, but there is none")
    last, _ = simulate(world, on("x,label\n1,1\n2,1\n", ["f1"]))
    assert last["test"]["f1"] in (0, 1), last
    line = world.write("line.csv", "x,y\n1,2\n2,4\n")
    constant = world.write("constant.csv", "x,y\n1,5\n2,5\n3,5\n")
    regression = {"rounds": 1, "model": {"input": 1, "loss": "mse", "layers": [DENSE(1)]}, "training": {"learning_rate": 0.1},
                  "evaluation": {"metrics": ["r2", "rmse"]},
                  "data": {"train": {"path": line, "regression": True}, "test": {"path": constant, "regression": True}}}
    refused(world, regression, "data.test: evaluation.metrics: r2 needs targets that differ")


def test_one_client_differs_from_nobody_and_one_seed_has_no_interval(world):
    two = world.write("two.csv", "x,label\n1,0\n2,1\n3,1\n4,0\n")
    config = {"rounds": 2, "model": {"input": 1, "loss": "softmax_cross_entropy", "layers": [DENSE(2)]}, "training": {"learning_rate": 0.1},
              "data": {"train": {"path": two}}}
    last, _ = simulate(world, config)
    assert last["spread"]["deviation"] is None and last["spread"]["mean"] == last["spread"]["worst"], last["spread"]
    last, _ = simulate(world, config, 2, "both")
    assert last["spread"]["deviation"] > 0, last["spread"]
    out = world.check(world.program("rondo-sim"), "--config", world.path("state.json"), "--clients", 2, "--seeds", 1, "--out", world.path("seeds"))
    interval = [line.split() for line in out.splitlines() if line.startswith("+-95 %")]
    assert interval and set(interval[0][2:]) == {"-"}, out


def test_a_class_that_nobody_has_is_never_said(world):
    """Its prior is 0 rows of n: a number, so that the model can be read again, and so low that no row belongs to it."""
    rows = world.write("rows.csv", "a,b,label\n" + "5,0,0\n4,0,0\n0,6,2\n0,5,2\n" * 3)
    for kind, prior in (("multinomial", "class_log_prior"), ("bernoulli", "class_log_prior"), ("gaussian", "class_prior")):
        config = {"rounds": 1, "model": {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": kind + "_naive_bayes", "classes": 3}]},
                  "data": {"train": {"path": rows}, "test": {"path": rows}}}
        last, model = simulate(world, config, 2, kind)
        assert all(math.isfinite(x) for values in model.values() for x in values), model
        values = model["nb1." + prior]
        assert values[1] < -8e6 if "log" in prior else values[1] == 0, values
        assert abs(values[0] - (math.log(0.5) if "log" in prior else 0.5)) < 1e-6, values
        assert last["test"]["accuracy"] == 1 and last["test"]["loss"] < 1, (kind, last["test"])


def test_a_task_without_rows_is_not_measured(world):
    """Three tasks, of which the data to look at have rows of the first and the last: the mean is over the first alone."""
    rows = world.write("rows.csv", "x,label\n" + "".join(f"{k},{k}\n" for k in (0, 1, 2)) * 8)
    config = {"rounds": 6, "keep_every": 1, "model": {"input": 1, "loss": "softmax_cross_entropy", "layers": [DENSE(3)]},
              "training": {"learning_rate": 0.5}, "data": {"train": {"path": rows}},
              "continual": {"tasks": [[0], [1], [2]], "rounds_per_task": 2}}
    simulate(world, config)
    forgetting = lambda data: world.check(world.program("rondo-inspect"), "forgetting", world.path("state"), "--data", world.write("some.csv", data))
    some = forgetting("x,label\n0,0\n2,2\n0,0\n")
    table = [line.split() for line in some.splitlines() if line.startswith("after task")]
    assert len(table) == 3 and all(line[5] == "-" for line in table) and "nan" not in some, some
    assert all(line[3].replace(".", "").isdigit() for line in table), some
    points = 100 * (max(float(line[3]) for line in table[:2]) - float(table[2][3])) / 100
    assert f"mean forgetting over 1 task: {points:.2f} points" in some, (some, points)
    whole = forgetting("x,label\n0,0\n1,1\n2,2\n")
    assert "mean forgetting over 2 tasks: " in whole, whole


if __name__ == "__main__":
    harness.main()
