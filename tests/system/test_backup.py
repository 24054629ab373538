#!/usr/bin/env python3
"""rondo-aggregator backup: copies of a run that goes on, each of which continues to the same bits."""
import json
import os
import shutil
import signal

import harness
from harness import read, wait_exit, wait_for

MODEL = {"input": 6, "loss": "softmax_cross_entropy",
         "layers": [{"type": "dense", "units": 16, "activation": "relu"}, {"type": "dense", "units": 3}]}


def table(world, name="table.csv"):
    rows = "".join(",".join(str((i * k * k + i % (k + 2)) % 7) for k in range(1, 7)) + f",{i % 3}\n" for i in range(60))
    return world.write(name, "a,b,c,d,e,f,label\n" + rows)


def backup(world, state, copy):
    return world.check(world.program("rondo-aggregator"), "backup", world.path(state), world.path(copy))


def models(world, state):
    return [r["model_sha256"] for r in world.rounds(state)]


def test_copies_of_a_deployment_go_on_to_the_same_bits(world):
    """Taken one after the other while rounds last milliseconds; then the aggregator is killed, and the copies go on."""
    names, rounds = ["one", "two"], 400
    world.certificates(names)
    data = table(world)
    config = {"rounds": rounds, "model": MODEL, "training": {"learning_rate": 0.05, "batch_size": 2, "epochs": 50},
              "strategy": {"name": "fedadam"}, "cohort": {"min_clients": 2}, "keep_every": 50}
    path = world.write("run.json", config)
    aggregator = world.aggregator(path)
    for name in names:
        world.client(aggregator, name, data)
    taken = []
    for number in range(3):
        seen = read(aggregator.log).count("\n") if number else 0
        wait_for(lambda: read(aggregator.log).count("\n") > seen + 20, "it is some rounds further", process=aggregator)
        told = backup(world, "state", f"copy-{number}")
        taken.append(int(told.split("round ")[1].split(",")[0]))
    for process in world.processes:
        process.send_signal(signal.SIGKILL)
        process.wait()
    for number, last in enumerate(taken):
        assert len(models(world, f"copy-{number}")) == last + 1
    assert taken == sorted(set(taken)) and 0 < taken[0] and taken[-1] < rounds, taken
    whole = deploy_to_the_end(world, path, names, data, "state")
    assert len(whole) == rounds + 1
    for number in (0, 2):
        assert deploy_to_the_end(world, path, names, data, f"copy-{number}") == whole, number
    kept = sorted(name for name in os.listdir(world.path("copy-2", "models")) if "server" not in name)
    assert kept == [f"{r:06d}.safetensors" for r in (*range(0, rounds - 1, 50), rounds - 1, rounds)], kept


def deploy_to_the_end(world, path, names, data, state):
    aggregator = world.aggregator(path, state=state, log=state + ".log")
    clients = [world.client(aggregator, name, data) for name in names]
    assert wait_exit(aggregator) == 0, read(aggregator.log)
    for client in clients:
        assert wait_exit(client) == 0, read(client.log)
    return models(world, state)


def test_copies_of_simulations_with_all_that_lies_beside_a_model(world):
    """Frozen parts, pruned models, control variates, server moments: the copy has them and continues."""
    table(world)
    lora = {**MODEL, "fine_tuning": {"freeze": ["*"], "lora": {"rank": 2, "targets": ["fc1.weight"]}}}
    runs = {"lora": ({"model": lora}, ["frozen"]),
            "pruned": ({"pruning": {"sparsity": 0.5, "from_round": 2, "to_round": 40}}, ["packed"]),
            "adam": ({"strategy": {"name": "fedadam"}}, ["server"])}
    for name, (change, beside) in runs.items():
        config = {"rounds": 1500, "model": MODEL, "training": {"learning_rate": 0.05, "batch_size": 8},
                  "data": {"train": {"path": "table.csv"}}, **change}
        path = world.write(name + ".json", config)
        command = [world.program("rondo-sim"), "--config", path, "--clients", 3]
        process = world.start(*command, "--out", world.path(name), log=name + ".log")
        wait_for(lambda: read(process.log).count("\n") > 60, "it is some rounds further", process=process)
        backup(world, name, name + "-copy")
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = len(models(world, name + "-copy")) - 1
        assert 40 < done < 1500, done
        for kind in beside:
            assert any(kind in file for file in os.listdir(world.path(name + "-copy", "models"))), (name, kind)
        world.check(*command, "--out", world.path(name + "-copy"), "--quiet")
        world.check(*command, "--out", world.path(name), "--quiet")
        whole = models(world, name)
        assert len(whole) == 1501 and models(world, name + "-copy") == whole, name


def test_a_plain_copy_says_what_is_wrong_with_it(world):
    table(world)
    config = {"rounds": 400, "model": MODEL, "training": {"learning_rate": 0.05}, "data": {"train": {"path": "table.csv"}}}
    path = world.write("run.json", config)
    command = [world.program("rondo-sim"), "--config", path, "--clients", 3, "--out"]
    process = world.start(*command, world.path("state"), log="sim.log")
    wait_for(lambda: read(process.log).count("\n") > 30, "it is some rounds further", process=process)
    world.run("cp", "-r", world.path("state"), world.path("copy"))  # says so where a file has gone meanwhile; that is how it is
    for name in ("rondo.db-wal", "rondo.db-shm"):
        if os.path.exists(world.path("copy", name)):
            os.remove(world.path("copy", name))
    assert wait_exit(process) == 0
    shutil.copy(world.path("state", "rondo.db"), world.path("copy", "rondo.db"))
    config["rounds"] = 500
    world.write("run.json", config)
    for refused in (world.run(*command, world.path("copy")),
                    world.run(world.program("rondo-inspect"), "export", world.path("copy"), "--out", world.path("x")),
                    world.run(world.program("rondo-aggregator"), "backup", world.path("copy"), world.path("again"))):
        assert refused.returncode == 1 and "`rondo-aggregator backup` makes copies that are whole" in refused.stderr, refused
    assert not os.path.exists(world.path("again"))


def test_the_command_line(world):
    program = world.program("rondo-aggregator")
    os.mkdir(world.path("empty"))
    for arguments, code, words in (
            (["backup"], 2, "needs two directories"),
            (["backup", "a", "b", "c"], 2, ""),
            (["backup", world.path("empty"), world.path("to")], 1, "there is no run"),
            (["bakup"], 2, "the commands are serve, backup, check, token and revoke")):
        result = world.run(program, *arguments)
        assert result.returncode == code and words in result.stderr, (arguments, result)
    assert "--quiet" in world.check(program, "backup", "--help")
    table(world)
    path = world.write("run.json", {"rounds": 2, "model": MODEL, "training": {"learning_rate": 0.05},
                                    "data": {"train": {"path": "table.csv"}}})
    world.check(world.program("rondo-sim"), "--config", path, "--clients", 2, "--out", world.path("state"), "--quiet")
    assert world.check(program, "backup", "--quiet", world.path("state"), world.path("empty")) == ""
    assert models(world, "empty") == models(world, "state")
    again = world.run(program, "backup", world.path("state"), world.path("empty"))
    assert again.returncode == 1 and "a copy wants a new directory" in again.stderr, again.stderr
    assert json.loads(world.check(world.program("rondo-inspect"), "rounds", world.path("empty"), "--jsonl").splitlines()[-1])


if __name__ == "__main__":
    harness.main()
