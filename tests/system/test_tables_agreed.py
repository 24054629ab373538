#!/usr/bin/env python3
"""What columns and classes mean is settled by the run: tables of several clients, of the test set, of the simulator and of
whoever predicts are one table, however each is written. What is right is computed here: means and deviations by exact
sums (math.fsum, fractions), classes by hand."""
import csv
import io
import json
import math
import os
import random
import struct

import harness
from harness import read, wait_exit, wait_for

CENTRES = {"a": (-4.0, 0.0), "b": (4.0, 0.0), "c": (0.0, 5.0)}


def softmax(features, classes):
    return {"input": features, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": classes}]}


def base(features, classes, rounds=8, **more):
    return {"rounds": rounds, "model": softmax(features, classes), "training": {"learning_rate": 0.3, "epochs": 3}, **more}


def table(columns, rows, order=None, separator=","):
    """A CSV text of rows (dictionaries) with these columns in this order."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator="\n")
    writer.writerow(order or columns)
    for row in rows:
        writer.writerow([row[c] for c in order or columns])
    return out.getvalue()


def accuracy(world, state="state"):
    return world.rounds(state)[-1]["test"]["accuracy"]


def sha(world, state="state"):
    return world.rounds(state)[-1]["model_sha256"]


def deploy(world, config, tables, state="state", options=(), names=None):
    """Runs an aggregator and a client for each table to the end; returns the logs."""
    names = names or [f"client-{i + 1}" for i in range(len(tables))]
    aggregator = world.aggregator(config, state=state, log=state + ".log")
    clients = [world.client(aggregator, name, path, *options) for name, path in zip(names, tables)]
    for c in clients:
        assert wait_exit(c, 120) == 0, read(c.log)
    assert wait_exit(aggregator, 120) == 0, read(aggregator.log)
    return read(aggregator.log)


def clinic_rows(seed, words, count, clinic):
    """The class follows from x and y; `colour` repeats the class of a third of the rows; some values are missing."""
    draw = random.Random(seed)
    rows = []
    for i in range(count):
        word = words[i % len(words)]
        x, y = (1000 + 10 * (CENTRES[word][k] + draw.gauss(0, 0.3)) for k in (0, 1))
        rows.append({"x": f"{x:.3f}" if i % 11 else "NA", "y": f"{y:.3f}", "colour": draw.choice(["red", "blue"] + (["green"] if clinic == 3 else [])),
                     "clinic": str(clinic), "kind": word})
    return rows


def settling_run(world):
    """A model of 560 kB, a test set that is a table, and the tables of two clients; the run is to be settled by the second."""
    layers = [{"type": "dense", "units": 20000, "activation": "relu"}, {"type": "dense", "units": 2}]
    rows = [{"x": i % 7 - (i % 2) * 9, "y": i % 5, "kind": "ab"[i % 2]} for i in range(40)]
    test = world.write("test.csv", table(["x", "y", "kind"], rows))
    world.certificates(["alice", "bob"])
    config = world.write("run.json", {"rounds": 1, "model": {"input": 2, "loss": "softmax_cross_entropy", "layers": layers},
                                      "training": {"learning_rate": 0.01}, "cohort": {"min_clients": 2}, "data": {"test": {"path": test}}})
    aggregator = world.aggregator(config, "--linger-seconds", 1)
    alice = world.client(aggregator, "alice", world.write("alice.csv", table(["x", "y", "kind"], rows[:20])))
    wait_for(lambda: "alice joined" in read(aggregator.log), "the first has joined", process=aggregator)
    return aggregator, alice, test, lambda: world.client(aggregator, "bob", world.write("bob.csv", table(["x", "y", "kind"], rows[20:])))


def test_a_disk_that_is_full_when_columns_are_settled_is_waited_for(world):
    """There is room for a join, and none for the model of round 0."""
    with world.small_disk() as fill:
        aggregator, alice, _, bob_comes = settling_run(world)
        filler = fill()
        os.truncate(filler, os.path.getsize(filler) - 400000)
        bob = bob_comes()
        wait_for(lambda: "trying again" in read(aggregator.log), "the aggregator says that the disk is full", 30, aggregator)
        assert "bob joined" in read(aggregator.log) and "settled what" not in read(aggregator.log), read(aggregator.log)
        os.remove(filler)
        assert wait_exit(aggregator) == 0, read(aggregator.log)
        assert read(aggregator.log).count("settled what the tables' 2 columns mean") == 1, read(aggregator.log)
        assert [r["round"] for r in world.rounds() if r["test"]["samples"] == 40] == [0, 1], world.rounds()
        assert wait_exit(alice) == 0 and wait_exit(bob) == 0


def test_a_test_set_that_is_gone_when_columns_are_settled_ends_the_run(world):
    aggregator, _, test, bob_comes = settling_run(world)
    os.remove(test)
    bob_comes()
    assert wait_exit(aggregator) not in (0, None), read(aggregator.log)
    assert test in read(aggregator.log).splitlines()[-1] and "trying again" not in read(aggregator.log), read(aggregator.log)


def test_three_clinics_are_one_federation(world):
    """Other orders of columns, other class words, missing values, a category that one of them alone has."""
    clinics = [clinic_rows(1, "ab", 66, 1), clinic_rows(2, "bc", 77, 2), clinic_rows(3, "ca", 55, 3)]
    orders = [["x", "y", "colour", "kind"], ["kind", "colour", "y", "x"], ["colour", "y", "kind", "x"]]
    test = [row for row in clinic_rows(4, "abc", 90, 3) if row["x"] != "NA"]
    paths = [world.write(f"{i}.csv", table(None, rows, order)) for i, (rows, order) in enumerate(zip(clinics, orders))]
    world.write("test.csv", table(None, test, ["kind", "x", "y", "colour"]))
    schema = {"scale": "standard", "columns": [{"name": "x", "type": "number", "missing": "mean", "scale": "standard"}, {"name": "y"},
                                               {"name": "colour", "unseen": "missing", "type": "category", "missing": "category"}],
              "label": {"name": "kind"}}
    run = base(6, 3, data={"schema": schema, "test": {"path": "test.csv"}}, cohort={"min_clients": 3, "min_updates": 3})
    world.certificates(["client-1", "client-2", "client-3"])
    log = deploy(world, world.write("run.json", run), paths)
    assert "6 features, classes a, b, c" in log, log
    assert accuracy(world) == 1.0, log

    # Simulated from one file: the same bits.
    everybody = [row for rows in clinics for row in rows]
    world.write("all.csv", table(None, everybody, ["x", "y", "colour", "clinic", "kind"]))
    simulated = {**run, "data": {**run["data"], "train": {"path": "all.csv", "group_column": "clinic"}, "partition": {"scheme": "group"}}}
    world.check(world.program("rondo-sim"), "--config", world.write("sim.json", simulated), "--clients", 3, "--out", world.path("sim"))
    assert sha(world, "sim") == sha(world)

    # With the means of the concatenated table written into run.json: the same bits, and nothing is asked of anybody.
    def known(name):
        values = [float(row[name]) for row in everybody if row[name] != "NA"]
        mean = math.fsum(values) / len(values)
        return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / len(values))
    settled = {"columns": [{"name": n, "type": "number", "scale": {"mean": known(n)[0], "deviation": known(n)[1]},
                            "missing": {"mean": known(n)[0]} if n == "x" else "refuse"} for n in ("x", "y")]
               + [{"name": "colour", "type": "category", "words": ["blue", "green", "red"], "unseen": "missing", "missing": "category"}],
               "label": {"name": "kind", "classes": ["a", "b", "c"]}}
    told = world.write("told.json", {**run, "data": {"schema": settled, "test": {"path": "test.csv"}}})
    deploy(world, told, paths, state="told")
    assert sha(world, "told") == sha(world)
    for name in ("client-1", "client-2", "client-3"):
        assert "told the aggregator sums" not in read(world.path(name + ".log")).split("run is finished")[-2]

    # Rows without a label, in another order, with a word nobody has seen: names come out.
    rows = world.write("new.csv", table(None, test[:9] + [{**test[9], "colour": "pink"}], ["colour", "x", "y"]))
    out = world.check(world.program("rondo-inspect"), "predict", world.path("state"), "--data", rows)
    assert [line.split(",")[1] for line in out.splitlines()[1:]] == [row["kind"] for row in test[:10]], out

    # The exported model says what its inputs mean.
    world.check(world.program("rondo-inspect"), "export", world.path("state"), "--out", world.path("m.safetensors"))
    with open(world.path("m.safetensors"), "rb") as f:
        metadata = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))["__metadata__"]
    exported = json.loads(metadata["schema"])
    assert exported["label"]["classes"] == ["a", "b", "c"] and exported["columns"][0]["scale"]["mean"] == known("x")[0]


def test_scale_is_the_whole_runs(world):
    """Clients far apart: with a mean of each file's own nothing could be told from these tables."""
    rows = [[{"x": f"{base_x + k}", "label": int(base_x + k > 1700000050)} for k in range(50)] for base_x in (1700000000, 1700000051)]
    paths = [world.write(f"{i}.csv", table(["x", "label"], r)) for i, r in enumerate(rows)]
    test = world.write("test.csv", table(["x", "label"], [r for part in rows for r in part[::3]]))
    world.certificates(["client-1", "client-2"])
    for scale in ("standard", "minmax"):
        run = base(1, 2, rounds=60, data={"schema": {"scale": scale}, "test": {"path": "test.csv"}}, cohort={"min_clients": 2, "min_updates": 2})
        run["training"] = {"learning_rate": 1.0, "epochs": 5}
        deploy(world, world.write(f"{scale}.json", run), paths, state=scale)
        assert accuracy(world, scale) > 0.95, (scale, accuracy(world, scale))
    # "standardise" of a source, and of a client, ask for the same.
    run["data"] = {"test": {"path": "test.csv", "standardise": True}}
    deploy(world, world.write("source.json", run), paths, state="source", options=["--standardise"])
    assert sha(world, "source") == sha(world, "standard")
    assert test


def test_numbers_mean_the_same_in_every_file(world):
    """-1 and 1 in one file, 0 and 1 in another: three classes. One NA does not turn numbers into words."""
    minus = [{"x": f"{k}", "label": k} for k in (-1, 1) for _ in range(20)]
    zero = [{"x": f"{k}", "label": k} for k in (0, 1) for _ in range(20)] + [{"x": "0", "label": "NA"}]
    paths = [world.write("minus.csv", table(["x", "label"], minus)), world.write("zero.csv", table(["x", "label"], zero))]
    world.write("test.csv", table(["x", "label"], [{"x": k, "label": k} for k in (-1, 0, 1)]))
    world.certificates(["client-1", "client-2"])
    run = base(1, 3, rounds=300, data={"schema": {"label": {"missing": "leave_out"}}, "test": {"path": "test.csv"}}, cohort={"min_clients": 2})
    log = deploy(world, world.write("run.json", run), paths)
    assert "classes -1, 0, 1" in log and accuracy(world) == 1.0, log
    assert "1 rows with missing values are left out" in read(world.path("client-2.log"))
    ten = [{"x": k, "label": k} for k in range(11)] * 4  # 10 is the last class, not the one behind 1
    paths = [world.write("ten.csv", table(["x", "label"], ten)), world.write("one.csv", table(["x", "label"], ten[:40] + [{"x": 0, "label": ""}]))]
    world.write("test.csv", table(["x", "label"], ten[:11]))
    deploy(world, world.write("ten.json", {**run, "rounds": 1, "model": softmax(1, 11)}), paths, state="ten")
    out = world.check(world.program("rondo-inspect"), "predict", world.path("ten"), "--data", world.path("ten.csv"))
    assert len(out.splitlines()) == 45


def test_who_comes_later_reads_the_schema_as_it_is(world):
    """Frozen before round 1: what does not fit is refused by column, word, file and line."""
    two = [{"x": "1", "colour": c, "kind": k} for c, k in (("red", "a"), ("blue", "b"))]
    first = world.write("first.csv", table(["x", "colour", "kind"], two * 10))
    world.certificates(["client-1", "late", "lacking", "headless"])
    run = base(3, 2, rounds=100000, cohort={"deadline_seconds": 60})
    aggregator = world.aggregator(world.write("run.json", run))
    client = world.client(aggregator, "client-1", first)
    wait_for(lambda: len(world.rounds()) > 3, "rounds are done", process=aggregator)
    for name, text, code, words in (
            ("late", table(None, two + [{"x": "1", "colour": "green", "kind": "a"}], ["x", "colour", "kind"]), 5, ["late.csv", "line 4", "colour", "green"]),
            ("late", table(None, two + [{"x": "1", "colour": "red", "kind": "z"}], ["x", "colour", "kind"]), 5, ["late.csv", "line 4", "kind", "'z'"]),
            ("late", table(None, two + [{"x": "no", "colour": "red", "kind": "a"}], ["x", "colour", "kind"]), 5, ["late.csv", "line 4", "x ('no')"]),
            ("lacking", "x,kind\n1,a\n", 5, ["lacking.csv", "'colour'"]),
            ("headless", "1,red,a\n2,red,b\n3,red,b\n", 5, ["headless.csv", "without a heading", "'x'"])):
        process = world.client(aggregator, name, world.write(name + ".csv", text))
        assert wait_exit(process) == code, read(process.log)
        for word in words:
            assert word in read(process.log), (word, read(process.log))
    # A restart keeps what was settled, and another table that fits joins.
    aggregator.terminate()
    assert wait_exit(aggregator) == 3
    client.terminate()
    wait_exit(client)
    again = world.aggregator(world.path("run.json"))
    late = world.client(again, "late", world.write("more.csv", table(None, two, ["kind", "colour", "x"])))
    wait_for(lambda: "round" in read(late.log).split("more.csv")[-1], "it trains", process=late)


def test_descriptions_hold_no_row(world):
    """What a client tells: names, words of categories, classes, sums. A column like a name is refused, not told."""
    rows = [{"name": f"person {i}", "x": str(i), "kind": "ab"[i % 2]} for i in range(300)]
    world.certificates(["client-1"])
    aggregator = world.aggregator(world.write("run.json", base(1, 2, rounds=1)))
    process = world.client(aggregator, "client-1", world.write("people.csv", table(["name", "x", "kind"], rows)))
    assert wait_exit(process) == 5 and "column 1, name holds more than 100 different words" in read(process.log), read(process.log)
    aggregator.terminate()
    wait_exit(aggregator)
    ignoring = base(1, 2, rounds=1, data={"schema": {"columns": [{"name": "name", "type": "ignored"}, {"name": "x"}]}})
    deploy(world, world.write("ignoring.json", ignoring), [world.path("people.csv")], state="ignoring")


def test_files_of_a_partition_carry_their_schema(world):
    """What `rondo-sim partition` writes of a table is scaled already: deployed, it is not scaled twice."""
    draw = random.Random(7)
    rows = [{"x": f"{1000 + 50 * (k or -1) + draw.gauss(0, 10):.2f}", "y": "NA" if i % 9 == 0 else f"{draw.gauss(0, 1):.3f}", "kind": "no yes".split()[k]}
            for i in range(120) for k in [i % 2]]
    world.write("train.csv", table(["x", "y", "kind"], rows))
    world.write("test.csv", table(["kind", "y", "x"], [r for r in rows[:40] if r["y"] != "NA"]))
    run = base(2, 2, data={"schema": {"scale": "standard", "missing": "mean"}, "train": {"path": "train.csv"}, "test": {"path": "test.csv", "label_column": "kind"}},
               cohort={"min_clients": 2, "min_updates": 2})
    config = world.write("run.json", run)
    world.check(world.program("rondo-sim"), "partition", "--config", config, "--clients", 2, "--out", world.path("private"), "--quiet")
    world.check(world.program("rondo-sim"), "--config", config, "--clients", 2, "--out", world.path("sim"), "--quiet")
    world.certificates(["client-1", "client-2", "client-3"])
    deploy(world, config, [world.path("private", f"client-{i}.safetensors") for i in (1, 2)])
    assert sha(world) == sha(world, "sim") and accuracy(world) == 1.0
    # Of another partition: another schema, and refused by name.
    world.write("train.csv", table(["x", "y", "kind"], rows[:50]))
    world.check(world.program("rondo-sim"), "partition", "--config", config, "--clients", 2, "--out", world.path("other"), "--quiet")
    aggregator = world.aggregator(config, state="mixed")
    world.client(aggregator, "client-1", world.path("private", "client-1.safetensors"))
    wait_for(lambda: "client-1 joined" in read(aggregator.log), "the first has joined", process=aggregator)
    process = world.client(aggregator, "client-3", world.path("other", "client-2.safetensors"))
    assert wait_exit(process) == 3 and "another schema" in read(process.log), read(process.log)


def test_a_table_comes_when_nobody_had_one(world):
    """The first client brings samples without columns; the first table then says what columns are."""
    world.certificates(["client-1", "client-2"])
    aggregator = world.aggregator(world.write("run.json", base(2, 2, rounds=2, cohort={"min_clients": 1})))
    assert world.session(aggregator, "client-1").join()[0] == 200
    wait_for(lambda: "joined" in read(aggregator.log), "somebody has joined", process=aggregator)
    other = world.client(aggregator, "client-2", world.write("two.csv", "x,y,kind\n1,2,0\n2,1,1\n"))
    wait_for(lambda: "round 1" in read(other.log) or "joined run" in read(other.log), "the table is taken", process=other)


def test_predict_takes_the_labels_column_by_the_runs_schema(world):
    """The label is the first column, features are scaled: predict knows from the state directory."""
    rows = [{"label": i % 2, "x1": f"{1000 + (50 if i % 2 else -50) + i % 7}", "x2": str(i % 5)} for i in range(200)]
    world.write("train.csv", table(["label", "x1", "x2"], rows))
    config = base(2, 2, data={"train": {"path": "train.csv", "label_column": "label", "standardise": True}})
    world.check(world.program("rondo-sim"), "--config", world.write("run.json", config), "--clients", 2, "--out", world.path("state"), "--quiet")
    for order in (["label", "x1", "x2"], ["x2", "x1"], ["x1", "x2", "label"]):
        rows_of = world.write("new.csv", table(None, rows[:50], order))
        out = world.check(world.program("rondo-inspect"), "predict", world.path("state"), "--data", rows_of)
        assert [int(line.split(",")[1]) for line in out.splitlines()[1:]] == [row["label"] for row in rows[:50]], order


def test_a_first_schema_is_written_from_a_file(world):
    """What `schema` and `--describe` print is a data.schema that a run takes, and the run is the one that agreed by itself."""
    rows = [{"x": f"{i % 7}", "colour": ["red", "blue"][i % 2], "kind": "ab"[i % 2]} for i in range(40)]
    path = world.write("rows.csv", table(["x", "colour", "kind"], rows))
    written = world.check(world.program("rondo-sim"), "schema", path)
    assert json.loads(written) == {"columns": [{"name": "x", "type": "number", "scale": "none", "missing": "refuse"},
                                               {"name": "colour", "type": "category", "words": ["blue", "red"], "missing": "refuse"}],
                                   "label": {"name": "kind", "type": "class", "classes": ["a", "b"], "missing": "refuse"}}
    assert world.check(world.program("rondo-client"), "--describe", "--data", path) == written
    run = base(3, 2, data={"train": {"path": path}})
    for name, data in (("agreed", run["data"]), ("given", {"schema": json.loads(written), **run["data"]})):
        world.check(world.program("rondo-sim"), "--config", world.write(name + ".json", {**run, "data": data}), "--clients", 2, "--out", world.path(name))
    assert sha(world, "agreed") == sha(world, "given")
    target = world.write("target.csv", "x;y\n1,5;0,25\n2;-7\n")
    assert json.loads(world.check(world.program("rondo-sim"), "schema", target))["label"]["type"] == "target"
    for words, code in ((["schema"], 2), (["schema", world.path("none.csv")], 1), (["schema", path, "--separator", "xy"], 2)):
        assert world.run(world.program("rondo-sim"), *words).returncode == code, words


def test_categories_as_tokens_of_an_embedding(world):
    """Words of several columns are numbered one behind the other; the model begins with an embedding."""
    rows = [{"shape": s, "colour": c, "kind": "yes" if (s == "round") == (c == "red") else "no"} for s in ("round", "square", "long") for c in ("red", "blue")] * 20
    world.write("rows.csv", table(["shape", "colour", "kind"], rows))
    column = {"type": "category", "encoding": "token"}
    run = {"rounds": 60, "training": {"learning_rate": 0.5, "epochs": 3},
           "model": {"input": {"tokens": 2, "vocabulary": 5}, "loss": "softmax_cross_entropy",
                     "layers": [{"type": "embedding", "units": 8}, {"type": "flatten"}, {"type": "dense", "units": 16, "activation": "relu"}, {"type": "dense", "units": 2}]},
           "data": {"schema": {"columns": [{"name": "shape", **column}, {"name": "colour", **column}]}, "train": {"path": "rows.csv"}, "test": {"path": "rows.csv"}}}
    world.check(world.program("rondo-sim"), "--config", world.write("run.json", run), "--clients", 3, "--out", world.path("state"))
    assert accuracy(world) == 1.0
    run["data"]["schema"]["columns"][1] = {"name": "colour", "type": "category"}
    result = world.run(world.program("rondo-sim"), "--config", world.write("mixed.json", run), "--clients", 3)
    assert result.returncode == 1 and "all must be categories with" in result.stderr, result.stderr


if __name__ == "__main__":
    harness.main()
