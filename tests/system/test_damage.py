#!/usr/bin/env python3
"""A state directory of which something is gone or has changed: it is noticed, named, and the run goes on from the last round of
which all is whole, to the bits of a run that nobody disturbed, or it is refused."""
import os
import re
import shutil
import sqlite3
import time

import harness
from harness import wait_for

MODEL = {"input": 6, "loss": "softmax_cross_entropy",
         "layers": [{"type": "dense", "units": 16, "activation": "relu"}, {"type": "dense", "units": 3}]}
LORA = {**MODEL, "fine_tuning": {"freeze": ["*"], "lora": {"rank": 2, "targets": ["fc1.weight"]}}}
RUNS = {"adam": ({"strategy": {"name": "fedadam"}}, "server"),
        "pruned": ({"pruning": {"sparsity": 0.5, "from_round": 2, "to_round": 4}}, "packed"),
        "lora": ({"model": LORA}, None)}


def simulate(world, name, rounds, state):
    rows = "".join(",".join(str((i * k * k + i % (k + 2)) % 7) for k in range(1, 7)) + f",{i % 3}\n" for i in range(60))
    world.write("table.csv", "a,b,c,d,e,f,label\n" + rows)
    config = {"rounds": rounds, "model": MODEL, "training": {"learning_rate": 0.05, "batch_size": 8},
              "data": {"train": {"path": "table.csv"}}, **RUNS[name][0]}
    path = world.write(name + ".json", config)
    return [world.program("rondo-sim"), "--config", path, "--clients", 3, "--out", world.path(state)]


def models(world, state):
    return [r["model_sha256"] for r in world.rounds(state)]


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at, os.SEEK_END if at < 0 else os.SEEK_SET)
        byte = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte ^ 1]))


def place_in_row(database, digest):
    """Where the row of a round has the digest of its model: not where the account has it."""
    return next(found.start() for found in re.finditer(digest, database) if database[found.start() - 9:found.start()] != b'"model":"')


def counts(world, state):
    with sqlite3.connect(world.path(state, "rondo.db")) as database:
        return database.execute("SELECT name, selected, counted, late, failed FROM clients").fetchall()


def went_back(out, now, *words):
    line = next((line for line in out.splitlines() if line.startswith(f"changed after round {now}: state")), None)
    assert line is not None and all(word in line for word in words), out


def test_a_byte_in_each_file_of_the_last_round(world):
    for name, (_, beside) in RUNS.items():
        world.check(*simulate(world, name, 9, "whole-" + name))
        world.check(*simulate(world, name, 6, name))
        files = [("000006.safetensors", -1), ("000006.safetensors", 20)]
        files += [(f"000006.{beside}.safetensors", at) for at in (-1, 20)] if beside else []
        for file, at in files:
            shutil.copytree(world.path(name), world.path("copy"))
            flip(world.path("copy", "models", file), at)
            went_back(world.check(*simulate(world, name, 9, "copy")), 5, file, "round 6 committed")
            assert models(world, "copy") == models(world, "whole-" + name), (name, file)
            assert counts(world, "copy") == counts(world, "whole-" + name), (name, file)
            shutil.rmtree(world.path("copy"))


def test_files_that_are_gone(world):
    world.check(*simulate(world, "adam", 9, "whole"))
    world.check(*simulate(world, "adam", 6, "state"))
    for file in ("000006.safetensors", "000006.server.safetensors"):
        shutil.copytree(world.path("state"), world.path("copy"))
        os.remove(world.path("copy/models", file))
        went_back(world.check(*simulate(world, "adam", 9, "copy")), 5, file, "not there")
        assert models(world, "copy") == models(world, "whole")
        shutil.rmtree(world.path("copy"))


def test_what_nothing_whole_lies_beside_is_refused(world):
    world.check(*simulate(world, "lora", 6, "state"))
    flip(world.path("state/models/frozen.safetensors"), -1)
    refused = world.run(*simulate(world, "lora", 9, "state"))
    assert refused.returncode == 1 and "models/frozen.safetensors: it is not what round 0 committed" in refused.stderr, refused
    world.check(*simulate(world, "adam", 6, "adam"))
    for number in (5, 6):
        flip(world.path(f"adam/models/00000{number}.server.safetensors"), -1)
    refused = world.run(*simulate(world, "adam", 9, "adam"))
    assert refused.returncode == 1 and "of no round that is retained all is whole" in refused.stderr, refused
    assert "000006.server" in refused.stderr and len(models(world, "adam")) == 7


def test_a_database_that_is_gone_or_has_changed(world):
    world.check(*simulate(world, "adam", 6, "state"))
    command = simulate(world, "adam", 9, "state")
    third = models(world, "state")[3].encode()
    with open(world.path("state/rondo.db"), "rb") as f:
        whole = f.read()
    os.remove(world.path("state/rondo.db"))
    refused = world.run(*command)
    assert refused.returncode == 1 and "models up to round 6" in refused.stderr, refused
    assert whole.count(third) == 2  # in the row of the round, and in the account
    for at, words in ((place_in_row(whole, third), "the record of round 3"), (101, "it is damaged"), (0, "not a database")):
        with open(world.path("state/rondo.db"), "wb") as f:
            f.write(whole)
        flip(world.path("state/rondo.db"), at)
        refused = world.run(*command)
        assert refused.returncode == 1 and words in refused.stderr and "rondo.db" in refused.stderr, (at, refused)
    with open(world.path("state/rondo.db"), "wb") as f:
        f.write(whole)
    world.check(*command)


def check(world, state):
    return world.run(world.program("rondo-aggregator"), "check", "--state", world.path(state))


def test_check_names_all_that_is_wrong(world):
    for name in RUNS:
        world.check(*simulate(world, name, 6, name))
        result = check(world, name)
        assert result.returncode == 0 and "7 rounds and 2 models" in result.stdout, result
    files = [("adam", 6, "server"), ("adam", 5, "server"), ("pruned", 6, "packed"), ("pruned", 5, "packed")]
    for name, number, kind in files:
        flip(world.path(name, f"models/{number:06d}.{kind}.safetensors"), -1)
    flip(world.path("lora/models/frozen.safetensors"), 20)
    flip(world.path("lora/models/000005.safetensors"), -1)
    os.remove(world.path("lora/models/000006.safetensors"))
    for name, words in (("adam", ["000005.server", "000006.server"]), ("pruned", ["000005.packed", "000006.packed"]),
                        ("lora", ["frozen", "000005.safetensors", "000006.safetensors"])):
        result = check(world, name)
        lines = result.stdout.splitlines()
        assert result.returncode == 1 and f"({len(words)} found)" in result.stderr, result
        assert len(lines) == len(words) and all(word in line for word, line in zip(words, lines)), lines


def test_check_of_a_database(world):
    world.check(*simulate(world, "adam", 6, "state"))
    records = [models(world, "state")[number].encode() for number in (2, 4)]
    with open(world.path("state/rondo.db"), "rb") as f:
        whole = f.read()
    for record in records:
        flip(world.path("state/rondo.db"), place_in_row(whole, record))
    result = check(world, "state")
    lines = result.stdout.splitlines()
    assert result.returncode == 1 and len(lines) == 2 and "round 2" in lines[0] and "round 4" in lines[1], result
    flip(world.path("state/rondo.db"), 101)
    result = check(world, "state")
    assert result.returncode == 1 and "rondo.db" in result.stdout + result.stderr, result
    assert check(world, "nowhere").returncode == 1
    assert world.run(world.program("rondo-aggregator"), "check").returncode == 2


ROUNDS = 4000


def kill_after_a_second(world, state):
    """When it has done some rounds since it last moved its log into the database, as it does once a second."""
    def moved():
        return os.stat(world.path(state, "rondo.db")).st_mtime_ns

    process = world.start(*simulate(world, "adam", ROUNDS, state), log=state + ".log")
    wait_for(lambda: os.path.exists(world.path(state, "models", "000002.safetensors")), "it has begun", process=process)
    before = moved()
    wait_for(lambda: moved() != before, "it has moved its log", process=process)
    for _ in range(50):
        before, done = moved(), len(models(world, state))
        wait_for(lambda: len(models(world, state)) > done + 3, "rounds are done", process=process)
        if moved() == before:
            break
    process.kill()
    process.wait()
    done = len(models(world, state)) - 1
    assert done < ROUNDS
    return done


def test_a_log_that_was_deleted(world):
    """The database goes back to the last time its log was moved into it; the models that are ahead of it are named."""
    world.check(*simulate(world, "adam", ROUNDS, "whole"), "--quiet")
    done = kill_after_a_second(world, "state")
    for ending in ("-wal", "-shm"):
        if os.path.exists(world.path("state", "rondo.db" + ending)):
            os.remove(world.path("state", "rondo.db" + ending))
    back = len(models(world, "state")) - 1
    assert back < done - 1, (back, done)
    went_back(world.check(*simulate(world, "adam", ROUNDS, "state")), back, "models up to round", "rondo.db does not have")
    assert models(world, "state") == models(world, "whole")


def test_a_database_that_reached_the_disk_before_the_models(world):
    """Of a loss of power: files of rounds since the last one that waited for the disk have names and no bytes."""
    world.check(*simulate(world, "adam", ROUNDS, "whole"), "--quiet")
    done = kill_after_a_second(world, "state")
    with sqlite3.connect(world.path("state/rondo.db")) as database:
        waited = database.execute("SELECT max(round) FROM rounds WHERE synced").fetchone()[0]
    assert 0 < waited < done - 1, (waited, done)
    for number in range(waited + 1, done + 1):
        open(world.path(f"state/models/{number:06d}.safetensors"), "w").close()
    shutil.copytree(world.path("state"), world.path("older"))
    went_back(world.check(*simulate(world, "adam", ROUNDS, "state")), waited, f"{done:06d}.safetensors")
    assert models(world, "state") == models(world, "whole")
    for number in (waited - 1, waited):
        open(world.path(f"older/models/{number:06d}.server.safetensors"), "w").close()
    refused = world.run(*simulate(world, "adam", ROUNDS, "older"))
    assert refused.returncode == 1 and "of no round that is retained all is whole" in refused.stderr, refused


if __name__ == "__main__":
    harness.main()
