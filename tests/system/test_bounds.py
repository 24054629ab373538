#!/usr/bin/env python3
"""Shares and counts that cannot be are refused with their key; a run that came to nothing ends with an error that says why."""
import json
import re

import harness
from harness import read, wait_exit, wait_for

MODEL = {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]}
LINEAR = {"input": 1, "loss": "mse", "layers": [{"type": "dense", "units": 1}]}
IDLE = 4  # the exit code


def hospitals(world):
    """A hundred rows of five hospitals and two classes."""
    rows = [f"{i % 7},{i % 5 - 2},{'ABCDE'[i % 5]},{i % 2}" for i in range(100)]
    return world.write("hospitals.csv", "x,y,hospital,label\n" + "\n".join(rows) + "\n")


def config(world, **sections):
    """A run.json; sections replace its own."""
    train = {"path": hospitals(world), "group_column": "hospital", "label_column": "label"}
    c = {"rounds": 2, "model": MODEL, "training": {"learning_rate": 0.1}, "data": {"train": train, "partition": {"scheme": "iid"}}}
    data = sections.pop("data", {})
    c.update(sections)
    c["data"].update(data)
    return world.write("run.json", c)


def simulate(world, path, clients, *options, command=()):
    count = [] if clients is None else ["--clients", clients]
    return world.run(world.program("rondo-sim"), *command, "--config", path, *count, *options)


def system(**keys):
    return {"simulation": {"system": keys}}


# ---- what cannot be ----

def test_what_cannot_be_is_refused_with_its_key(world):
    partition = lambda **keys: {"data": {"partition": keys}}  # noqa: E731
    table = [
        ({"cohort": {"min_clients": 50}}, 5, "cohort.min_clients: 50, but only 5 clients"),
        ({"cohort": {"min_clients": 50}, **system(latency_seconds=1)}, 5, "cohort.min_clients: 50, but only 5 clients"),
        ({"cohort": {"min_updates": 6}}, 5, "cohort.min_updates: 6, but of 5 clients (--clients) a round asks for 5 updates"),
        ({"cohort": {"min_updates": 2, "select": "fraction", "fraction": 0.2}}, 5, "cohort.min_updates: 2, but of 5 clients"),
        ({"evaluation": {"holdout": 0.9}}, 100, "evaluation.holdout: 0.9 holds nothing out: the largest of the 100 clients has 1 row"),
        ({"evaluation": {"holdout": 0.04}}, 10, "evaluation.holdout: 0.04 holds nothing out: the largest of the 10 clients has 10 rows"),
        (partition(scheme="shards", shards_per_client=2), 51, "data.partition.shards_per_client: 51 clients with 2 shards each need 102 rows"),
        (partition(scheme="dirichlet", alpha=0.01, min_rows=11), 10, "data.partition.min_rows: 10 clients with at least 11 rows"),
        (partition(scheme="sample", samples=101), 5, "data.partition.samples: expected 1 to 100"),
        (partition(scheme="group"), 6, "--clients: 6, but data.train has 5 groups"),
        (partition(scheme="iid"), 101, "--clients: 101, but data.train has 100 rows"),
        ({"simulation": {"attack": {"type": "sign_flip", "fraction": 0.05}}}, 5, "simulation.attack.fraction: 0.05 of 5 clients is nobody"),
        (system(availability=1e-9), 5, "simulation.system.availability: in 100000 slots of 3600 s never 1 of the 5 clients"),
    ]
    for sections, clients, words in table:
        result = simulate(world, config(world, **sections), clients)
        assert result.returncode == 1 and words in result.stderr, (words, result.returncode, result.stderr)


def test_keys_without_effect_are_refused(world):
    """Those that reference/configs/bad cannot hold: they depend on the values of two keys, or on a file."""
    buffered = {"name": "fedbuff", "buffer_size": 2, "concurrency": 3}
    bayes = {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "gaussian_naive_bayes", "classes": 2}]}
    trained = {"learning_rate": 0.1, "epochs": 5}
    world.write("trace.csv", "latency_seconds,availability\n0.5,0.5\n")
    table = [
        ({"cohort": {"select": "count", "count": 2, "min_updates": 3}}, "cohort.min_updates: expected at most cohort.count, 2"),
        ({"strategy": buffered, "cohort": {"min_updates": 3}}, "cohort.min_updates: expected at most strategy.buffer_size, 2"),
        ({"strategy": buffered, "keep_updates": 1}, "keep_updates has a meaning only without strategy fedbuff, whose rounds hold updates of several"),
        ({"strategy": {"name": "fltrust"}, "keep_updates": 1, "data": {"root": {"path": world.write("root.csv", "x,y,hospital,label\n1,2,A,1\n3,4,A,0\n"),
                                                                               "group_column": "hospital", "label_column": "label"}}},
         "keep_updates has a meaning only without strategy fltrust, whose rounds also need data.root"),
        ({"strategy": buffered, **system(availability=0.5)}, "simulation.system.availability has a meaning only without strategy fedbuff"),
        ({"strategy": buffered, **system(trace="trace.csv")}, "simulation.system.availability has a meaning only without strategy fedbuff"),
        ({"model": bayes, "training": {"epochs": 1}}, "training.epochs has a meaning only with a model that learns by gradients"),
        ({"model": bayes, "training": {}, "strategy": {"server_learning_rate": 0.5}}, "strategy.server_learning_rate has a meaning only with a model"),
        ({"model": bayes, "training": {}, "strategy": {"weighting": "uniform"}}, "strategy.weighting has a meaning only with a model"),
        ({"model": LINEAR, "evaluation": {"target_accuracy": 0.5}}, "evaluation.target_accuracy needs a loss over classes"),
        ({"continual": {"tasks": [[0, 1]], "rounds_per_task": 1, "replay": 0.5}}, "continual.replay has a meaning only with two tasks or more"),
        (system(slot_seconds=60), "simulation.system.slot_seconds has a meaning only with"),
        ({"training": trained, **system(partial_work={"fraction": 0.5, "least_epochs": 5})}, "least_epochs: expected less than training.epochs, 5"),
        (system(trace="trace.csv", latency_seconds=1), "simulation.system.latency_seconds: either here or in a column of the trace"),
    ]
    for sections, words in table:
        result = simulate(world, config(world, **sections), 5)
        assert result.returncode == 1 and words in result.stderr, (words, result.returncode, result.stderr)
    # A run may be continued with more rounds, so what is left for them is told.
    for sections, line in (({"continual": {"tasks": [[0], [1]], "rounds_per_task": 2}}, "continual: 2 rounds reach 1 of 2 tasks"),
                           ({"pruning": {"sparsity": 0.5, "from_round": 1, "to_round": 3}}, "pruning: 2 rounds do not reach its last, to_round 3")):
        result = simulate(world, config(world, **sections), 5)
        assert result.returncode == 0 and line in result.stdout.splitlines(), (line, result.stdout, result.stderr)
    # Defaults that are written out mean nothing more.
    written = {"cohort": {"select": "all", "over_selection": 1, "min_updates": 1}, "evaluation": {"every": 1}, "strategy": buffered, **system(slot_seconds=3600, availability=1)}
    result = simulate(world, config(world, **written), 5)
    assert result.returncode == 0, result.stderr


def test_a_trace_has_bounds_too(world):
    for name, value, words in (("availability", "90", "from 0 to 1"), ("dropout", "1.5", "from 0 to 1"), ("latency_seconds", "1e300", "from 0 to"),
                               ("latency_seconds", "inf", "from 0 to"), ("dropout", "nan", "from 0 to 1"), ("seconds_per_sample", "-1", "from 0 to")):
        world.write("trace.csv", f"{name}\n0.5\n{value}\n")
        result = simulate(world, config(world, **system(trace="trace.csv")), 3)
        assert result.returncode == 1 and f"trace.csv: line 3: {name}" in result.stderr and words in result.stderr, (name, value, result.stderr)


def test_scores_that_the_test_set_cannot_give_are_refused(world):
    one = world.write("one-class.csv", "x,y,hospital,label\n1,2,A,1\n3,4,A,1\n")
    test = {"path": one, "group_column": "hospital", "label_column": "label"}
    result = simulate(world, config(world, data={"test": test}, evaluation={"metrics": ["auc"]}), 3)
    assert result.returncode == 1 and "data.test: evaluation.metrics: auc needs rows of class 0" in result.stderr, result.stderr
    train = world.write("line.csv", "x,y\n" + "".join(f"{i},{2 * i}\n" for i in range(10)))
    test = world.write("constant.csv", "x,y\n1,5\n2,5\n")
    path = config(world, model=LINEAR, training={"learning_rate": 1e-4}, evaluation={"metrics": ["r2"]},
                  data={"train": {"path": train, "regression": True}, "test": {"path": test, "regression": True}})
    result = simulate(world, path, 3)
    assert result.returncode == 1 and "data.test: evaluation.metrics: r2 needs targets that differ" in result.stderr, result.stderr


# ---- a run that came to nothing ----

def test_a_simulation_that_aggregates_nothing_ends_with_an_error(world):
    path = config(world, cohort={"deadline_seconds": 1}, **system(latency_seconds=9))
    for options in ([], ["--out", world.path("out")], ["--out", world.path("out")]):  # the third finds it finished
        result = simulate(world, path, 5, *options)
        assert result.returncode == IDLE, (result.returncode, result.stderr)
        assert "none of its 2 rounds aggregated anything" in result.stderr and "5 did not answer in time (cohort.deadline_seconds is 1)" in result.stderr
    result = simulate(world, path, 5, "--seeds", 2, "--out", world.path("seeds"))
    assert result.returncode == IDLE and "seed 1: the run is over" in result.stderr, result.stderr
    assert "mean" in result.stdout, "both seeds are run, and the table is there"


def diverging(world, rounds):
    """Trains well for a while, and then never again: each round multiplies the weight by about -5."""
    table = world.write("line.csv", "x,y\n" + "".join(f"{1 + i % 2},{3 + i % 2}\n" for i in range(10)))
    return config(world, rounds=rounds, model=LINEAR, training={"learning_rate": 1.0, "batch_size": 0}, cohort={"max_abandoned": 100},
                  data={"train": {"path": table, "regression": True}})


def test_the_last_rounds_count_not_the_first(world):
    """Rounds of a run that diverges: those at its end aggregate nothing. Up to two of them, or less than a tenth, are borne."""
    result = simulate(world, diverging(world, 40), 2, "--out", world.path("long"))
    rounds = world.rounds("long")
    good = max(r["round"] for r in rounds if r["aggregated"])
    assert 3 < good < 35, good
    assert result.returncode == IDLE and f"its last {40 - good} rounds aggregated nothing: the model is that of round {good}" in result.stderr
    assert re.search(r"2 failed \(.*(too large|diverged)", result.stderr), result.stderr
    for more, code in ((2, 0), (3, IDLE)):
        result = simulate(world, diverging(world, good + more), 2, "--out", world.path(f"short-{more}"))
        assert result.returncode == code, (more, result.returncode, result.stderr)


def test_a_search_takes_such_a_trial_for_failed(world):
    space = world.write("space.json", {"method": "grid", "objective": "test_loss", "keys": {"cohort.deadline_seconds": {"values": [1, 100]}}})
    test = {"path": hospitals(world), "group_column": "hospital", "label_column": "label"}
    path = config(world, data={"test": test}, **system(latency_seconds=9))
    result = world.run(world.program("rondo-sim"), "search", "--config", path, "--clients", 5, "--space", space, "--out", world.path("out"))
    assert result.returncode == 0 and "none of its 2 rounds aggregated anything" in result.stderr, result.stderr
    with open(world.path("out/best.json")) as f:
        assert json.load(f)["cohort"]["deadline_seconds"] == 100


def test_asynchronous_rounds_without_anybody_left_are_closed(world):
    """All ten of the concurrency, who are all the clients, drop out of most rounds."""
    path = config(world, rounds=4, strategy={"name": "fedbuff", "buffer_size": 10, "concurrency": 10}, **system(dropout=0.5, latency_seconds=1))
    result = simulate(world, path, 10, "--out", world.path("out"))
    assert result.returncode == 0, result.stderr
    rounds = world.rounds("out")[1:]
    assert [r["round"] for r in rounds] == [1, 2, 3, 4] and all(0 < r["counted"] < 10 for r in rounds), rounds
    assert all(b["clock"] - a["clock"] >= 600 for a, b in zip(rounds, rounds[1:])), "each waits for its deadline"


def deployment(world, cohort, rounds=1):
    return world.write("deploy.json", {"rounds": rounds, "model": MODEL, "training": {"learning_rate": 0.1}, "cohort": cohort})


def test_a_deployment_that_aggregates_nothing_ends_with_an_error(world):
    world.certificates(["client-1"])
    aggregator = world.aggregator(deployment(world, {"deadline_seconds": 0.2}), "--linger-seconds", 0)
    assert world.session(aggregator, "client-1").join()[0] == 200
    assert wait_exit(aggregator) == IDLE, read(aggregator.log)
    assert re.search(r"rondo-aggregator: the run is over, but none of its 1 rounds aggregated anything: .* of 1 clients 0 delivered .*"
                     r"1 did not answer in time \(cohort.deadline_seconds is 0.2\)", read(aggregator.log)), read(aggregator.log)
    for program in ("rondo-aggregator", "rondo-sim"):
        text = " ".join(world.check(world.program(program), "--help").split())
        assert re.search(r"4 (run )?finished, but no round, or none of the last tenth of them \(at least 3\), aggregated anything", text), text


def test_a_deployment_waits_for_as_many_as_can_reach_min_updates(world):
    world.certificates(["client-1", "client-2"])
    data = world.write("mine.csv", "x,y,label\n" + "".join(f"{i},{-i},{i % 2}\n" for i in range(10)))
    aggregator = world.aggregator(deployment(world, {"min_updates": 2, "deadline_seconds": 60}), "--linger-seconds", 0)
    assert "rounds begin when 2 clients have joined, fewer could not deliver cohort.min_updates" in read(aggregator.log)
    first = world.client(aggregator, "client-1", data)
    wait_for(lambda: "waiting: 1 of 2 clients are there (cohort.min_updates)" in read(aggregator.log), "it says so", process=aggregator)
    assert "round 1/1" not in read(aggregator.log)
    second = world.client(aggregator, "client-2", data)
    assert [wait_exit(p) for p in (aggregator, first, second)] == [0, 0, 0], read(aggregator.log)
    assert world.rounds()[-1]["counted"] == 2


# ---- rows that are read and not used ----

def usage(text):
    return [line for line in text.splitlines() if line.startswith("data.train: ")][-1]


def test_rows_that_are_not_used_are_reported(world):
    group = {"partition": {"scheme": "group"}}
    table = [
        ({"data": group}, 3, "data.train: 100 rows; 3 of 5 groups are clients, so 40 rows are not used; 60 are trained on"),
        ({"data": group}, None, "data.train: 100 rows; 100 are trained on"),
        ({"data": group, "evaluation": {"holdout": 0.1}}, None, "data.train: 100 rows; 10 are held out; 90 are trained on"),
        ({"evaluation": {"holdout": 0.3}}, 60, "data.train: 100 rows; 40 are held out (none of 20 clients with too few); 60 are trained on"),
        ({"data": {"partition": {"scheme": "sample", "samples": 7}}}, 50, "data.train: 100 rows, of which each client has drawn 7"),
        ({"continual": {"tasks": [[0]], "rounds_per_task": 1}}, 2, "data.train: 100 rows; 50 are of classes in no task of continual.tasks"),
    ]
    for sections, clients, line in table:
        result = simulate(world, config(world, **sections), clients)
        assert result.returncode == 0 and usage(result.stdout) == line, (line, result.stdout, result.stderr)
    result = simulate(world, config(world, data=group), 3, "--out", world.path("private"), command=["partition"])
    assert usage(result.stdout) == "data.train: 100 rows; 3 of 5 groups are clients, so 40 rows are not used", result.stdout


def test_a_client_says_what_it_trains_on(world):
    world.certificates(["client-1"])
    data = world.write("mine.csv", "x,y,label\n" + "".join(f"{i},{-i},{i % 2}\n" for i in range(20)))
    path = world.write("deploy.json", {"rounds": 1, "model": MODEL, "training": {"learning_rate": 0.01}, "evaluation": {"holdout": 0.1}})
    aggregator = world.aggregator(path, "--linger-seconds", 0)
    client = world.client(aggregator, "client-1", data)
    assert wait_exit(client) == 0
    assert "as client-1: 18 samples of 20, 2 held out, 6 parameters" in read(client.log), read(client.log)


def test_threads_change_no_bit(world):
    path, digests = config(world), set()
    for threads in (1, 2, 5):
        simulate(world, path, 7, "--threads", threads, "--out", world.path(f"threads-{threads}"))
        digests.add(world.rounds(f"threads-{threads}")[-1]["model_sha256"])
    simulate(world, path, 7, "--seeds", 2, "--out", world.path("seeds"))
    digests.add(world.rounds("seeds/seed-1")[-1]["model_sha256"])
    assert len(digests) == 1, digests
    assert world.rounds("seeds/seed-2")[-1]["model_sha256"] not in digests


if __name__ == "__main__":
    harness.main()
