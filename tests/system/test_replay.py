#!/usr/bin/env python3
"""A round computed once more from its updates: the SHA-256 that was recorded, for every kind of strategy, or what differs."""
import glob
import os
import shutil

import harness
from harness import read, wait_exit

MODEL = {"input": 3, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 5, "activation": "relu"}, {"type": "dense", "units": 2}]}
RUN = {"rounds": 4, "keep_updates": 2, "model": MODEL, "training": {"learning_rate": 0.1, "batch_size": 4}, "cohort": {"min_clients": 5}}
# One of each way from updates to a model: the sum, with memory of the server's, of the clients', scaled, weighed by what
# only the whole update shows, all updates at once; and models of which not all travels.
RUNS = {"fedavg": {}, "fedadam": {"strategy": {"name": "fedadam"}}, "scaffold": {"strategy": {"name": "scaffold"}},
        "fednova": {"strategy": {"name": "fednova"}},
        "q": {"strategy": {"name": "q-fedavg", "q": 1}, "evaluation": {"train_loss": True}},
        "clipped": {"strategy": {"name": "norm_clipping", "clip_norm": 0.01}},
        "krum": {"strategy": {"name": "multi_krum", "byzantine": 1}}, "geometric": {"strategy": {"name": "geometric_median"}},
        "pruned": {"pruning": {"sparsity": 0.5, "from_round": 2, "to_round": 4}},
        "frozen": {"model": {**MODEL, "fine_tuning": {"freeze": ["fc1.*"]}}}}
CLIENTS = [f"c{i}" for i in range(5)]


def deploy(world, name, **more):
    for i, client in enumerate(CLIENTS):
        world.write(client + ".csv", "a,b,c,label\n" + "".join(f"{(i + 2) * k % 7},{k % 5},{(k + i) % 3},{(k + i) % 2}\n" for k in range(10 + i)))
    if not os.path.exists(world.path("certs")):
        world.certificates(CLIENTS)
    aggregator = world.aggregator(world.write(name + ".json", {**RUN, **RUNS[name], **more}), "--linger-seconds", 2, state=name, log=name + ".log")
    for client in CLIENTS:
        world.client(aggregator, client, world.path(client + ".csv"), "--quiet")
    assert wait_exit(aggregator) == 0, read(aggregator.log)


def replay(world, state, round, *options):
    return world.run(world.program("rondo-inspect"), "replay", world.path(state), "--round", round, *options)


def test_every_kind_of_round_comes_out_as_it_was(world):
    for name in RUNS:
        deploy(world, name)
        recorded = [r["model_sha256"] for r in world.rounds(name)]
        for round in (3, 4):
            found = replay(world, name, round)
            assert found.returncode == 0 and found.stdout.split()[-1] == recorded[round], (name, round, found)
        assert sorted(os.listdir(world.path(name, "updates"))) == ["000003", "000004"], name
        found = replay(world, name, 2)
        assert found.returncode == 1 and "is not kept" in found.stderr, (name, found)


def test_the_first_difference_is_named(world):
    deploy(world, "fedavg")
    updates = sorted(glob.glob(world.path("fedavg/updates/000004/*")))
    assert len(updates) == 5 and not [u for u in updates if u.endswith(".part")]
    shutil.copytree(world.path("fedavg"), world.path("update"))
    changed = updates[2].replace("/fedavg/", "/update/")
    with open(changed, "r+b") as f:
        f.seek(-4, os.SEEK_END)
        low = f.read(1)[0]
        f.seek(-4, os.SEEK_END)
        f.write(bytes([low ^ 1]))
    found = replay(world, "update", 4)
    assert found.returncode == 1 and "is not the one that counted" in found.stderr and os.path.basename(changed) in found.stderr, found

    # The model that the round began with is another one, so the last tensor of it, and what comes out of it.
    shutil.copytree(world.path("fedavg"), world.path("model"))
    with open(world.path("model/models/000003.safetensors"), "r+b") as f:
        f.seek(-4, os.SEEK_END)
        f.write(b"\0\0\0\x3f")
    found = replay(world, "model", 4)
    assert found.returncode == 1 and "first difference: tensor 'fc2.bias', element 1: computed" in found.stderr, found

    os.remove(updates[2])
    found = replay(world, "fedavg", 4)
    assert found.returncode == 1 and "is not kept" in found.stderr, found
    assert replay(world, "fedavg", 9).returncode == 2


def test_a_round_without_one_of_its_clients(world):
    deploy(world, "fedavg")
    found = replay(world, "fedavg", 4, "--without", "c2")
    assert found.returncode == 0 and found.stdout.startswith("round 4 without c2: the model is "), found
    away, step = (float(word) for word in found.stdout.split() if word[0].isdigit() and "." in word)
    assert 0 < away < 2 * step, found
    assert replay(world, "fedavg", 4, "--without", "nobody").returncode == 2


def test_an_update_that_cannot_be_kept_may_come_again(world):
    """On a full disk, as any upload."""
    world.certificates(["c0"])
    with world.small_disk() as fill:
        aggregator = world.aggregator(world.write("run.json", {**RUN, "rounds": 1, "cohort": {"min_clients": 1}}), "--linger-seconds", 1)
        session = world.session(aggregator, "c0")
        assert session.join()[0] == 200 and session.task()[0] == 200
        body = harness.safetensors({"fc1.weight": ([5, 3], [0.5] * 15), "fc1.bias": ([5], [0.5] * 5), "fc2.weight": ([2, 5], [0.5] * 10),
                                    "fc2.bias": ([2], [0.5] * 2)}, {"round": "1", "samples": "10"})
        session.name_of_model()
        filler = fill()
        status, said, headers = session.update(1, body)
        assert status == 507 and headers["Retry-After"] and "updates" in said["message"], (status, said)
        os.remove(filler)
        assert session.update(1, body)[0] == 200
        assert wait_exit(aggregator) == 0, read(aggregator.log)
        assert len(os.listdir(world.path("state/updates/000001"))) == 1
        assert replay(world, "state", 1).returncode == 0


def test_where_nothing_is_kept(world):
    deploy(world, "fedavg", keep_updates=0)
    assert not os.path.exists(world.path("fedavg/updates"))
    found = replay(world, "fedavg", 4)
    assert found.returncode == 1 and "is not kept" in found.stderr, found
    data = {"train": {"format": "csv", "path": "c0.csv"}}
    config = world.write("local.json", {**RUN, "data": data, "cohort": {}})
    found = world.run(world.program("rondo-sim"), "--config", config, "--clients", 2)
    assert found.returncode == 0 and "a simulation keeps no updates" in found.stdout, found


if __name__ == "__main__":
    harness.main()
