#!/usr/bin/env python3
"""A client of a third party, in plain Python arithmetic, takes part in runs whose wire is more than a delta: scaffold, a pruned model,
a frozen one with LoRA, asynchronous rounds. Its partner is rondo-client, and Python works out what both have to come to: what the
aggregator publishes is checked against that, not against Rondo."""
import json

import harness
from harness import read_safetensors, safetensors, wait_exit, wait_for

RATE, ROUNDS, D = 0.125, 4, 4
PRUNED_AFTER = 1
# Rows of alice (Python) and of bob (rondo-client): x (D), y.
ROWS = {"alice": [[0.5, -1, 0.25, 1, 2], [1, 0.5, -0.5, 0, -1], [0, 1, 1, -0.25, 0.5]],
        "bob": [[-0.5, 0.25, 1, 0.5, 1.5], [1, 1, 0, -1, 0.25], [0.75, -0.5, 0.5, 0.25, 3.5], [-1, 0, 0.5, 1, -2.25], [0.25, 0.25, -1, -0.5, 0.75]]}


def gradient(w, b, rows):
    """Of the mean squared error, for weights (D) and bias."""
    errors = [sum(wi * xi for wi, xi in zip(w, x)) + b - y for *x, y in rows]
    return [sum(2 * e * row[i] for e, row in zip(errors, rows)) / len(rows) for i in range(D)], sum(2 * e for e in errors) / len(rows)


class Wire:
    """Alice's session, with the files that it fetches."""

    def __init__(self, world, config, others=("bob",)):
        self.world = world
        world.certificates(["alice", *others])
        base = {"rounds": ROUNDS, "seed": 3, "training": {"learning_rate": RATE, "batch_size": 0, "epochs": 1}, "cohort": {"min_clients": 1 + len(others), "deadline_seconds": 300}}
        self.aggregator = world.aggregator(world.write("run.json", {**base, **config}), "--linger-seconds", "5")
        self.session = world.session(self.aggregator, "alice")
        assert self.session.join(samples=len(ROWS["alice"]))[0] == 200
        self.others = []
        for name in others:
            rows = ROWS[name]
            data = world.write(f"{name}.safetensors", safetensors({"x": ([len(rows), D], [v for row in rows for v in row[:D]]), "y": ([len(rows)], [row[D] for row in rows])}))
            self.others.append(world.client(self.aggregator, name, data))

    def fetch(self, path):
        status, raw, headers = self.session.request("GET", path)
        assert status == 200, (path, status, raw)
        return read_safetensors(raw), headers["ETag"]

    def task(self, round):
        status, task, _ = self.session.task()
        assert status == 200 and task["task"] == "train" and task["round"] == round, (status, task, [harness.read(p.log) for p in self.others])
        return task

    def deliver(self, round, tensors, etag, **metadata):
        update = safetensors(tensors, {"round": str(round), "samples": str(len(ROWS["alice"])), "steps": "1", **metadata})
        status, answer, _ = self.session.update(round, update, Rondo_Model=etag)
        assert (status, answer) == (200, {"round": round, "counted": True}), (status, answer)

    def finish(self):
        assert self.session.task()[1]["task"] == "finished"
        for process in self.others + [self.aggregator]:
            assert wait_exit(process) == 0, harness.read(process.log)
        records = self.world.rounds()[1:]
        assert len(records) == ROUNDS and all(r["counted"] == 1 + len(self.others) and r["failed"] == 0 for r in records), records

    def published(self, round):
        with open(self.world.path(f"state/models/{round:06}.safetensors"), "rb") as f:
            return read_safetensors(f.read())


def close(found, expected, what):
    assert len(found) == len(expected) and all(abs(a - b) < 2e-5 * max(1, abs(b)) for a, b in zip(found, expected)), (what, found, expected)


def test_scaffold(world):
    """Karimireddy et al. 2020, option II, of both clients, by hand: what is fetched in each round, w and c, is what it has to be."""
    wire = Wire(world, {"model": {"preset": "linear-regression", "input": D}, "strategy": {"name": "scaffold"}})
    control, c, own = {k: ([0.0] * D, 0.0) for k in ROWS}, ([0.0] * D, 0.0), None
    for round in range(1, ROUNDS + 1):
        task = wire.task(round)
        model, etag = wire.fetch(f"/v1/model/{task['model']}")
        assert set(model) == {"fc1.weight", "fc1.bias", "control.fc1.weight", "control.fc1.bias"}, model
        w, b = list(model["fc1.weight"][1]), model["fc1.bias"][1][0]
        if own is not None:
            close(w + [b], own[0] + [own[1]], f"w of round {round}")
        close([*model["control.fc1.weight"][1], *model["control.fc1.bias"][1]], [*c[0], c[1]], f"c of round {round}")
        change, delta = {}, {}
        for k, rows in ROWS.items():
            gw, gb = gradient(w, b, rows)
            dw = [-RATE * (g - ck + cc) for g, ck, cc in zip(gw, control[k][0], c[0])]
            db = -RATE * (gb - control[k][1] + c[1])
            change[k] = ([-cc - d / RATE for cc, d in zip(c[0], dw)], -c[1] - db / RATE)  # one step
            delta[k] = (dw, db)
            control[k] = ([a + e for a, e in zip(control[k][0], change[k][0])], control[k][1] + change[k][1])
        own = [wi + (x + y) / 2 for wi, x, y in zip(w, delta["alice"][0], delta["bob"][0])], b + (delta["alice"][1] + delta["bob"][1]) / 2
        c = [ci + (x + y) / 2 for ci, x, y in zip(c[0], change["alice"][0], change["bob"][0])], c[1] + (change["alice"][1] + change["bob"][1]) / 2
        wire.deliver(round, {"fc1.weight": ([1, D], delta["alice"][0]), "fc1.bias": ([1], [delta["alice"][1]]),
                             "control.fc1.weight": ([1, D], change["alice"][0]), "control.fc1.bias": ([1], [change["alice"][1]])}, etag)
    wire.finish()
    last = wire.published(ROUNDS)
    close([*last["fc1.weight"][1], *last["fc1.bias"][1]], [*own[0], own[1]], "the last model")


def test_a_pruned_model(world):
    """Half of the weights go after round 1: what is fetched says which, they are the smallest, and only the others are trained and sent."""
    wire = Wire(world, {"model": {"preset": "linear-regression", "input": D}, "pruning": {"sparsity": 0.5, "from_round": PRUNED_AFTER, "to_round": PRUNED_AFTER, "targets": ["*.weight"]}})
    names = list(wire.published(0))
    own, kept = None, None
    for round in range(1, ROUNDS + 1):
        task = wire.task(round)
        model, etag = wire.fetch(f"/v1/model/{task['model']}")
        if round <= PRUNED_AFTER:
            assert "kept" not in task
            vector = [v for name in names for v in model[name][1]]
        else:
            assert task["kept"] == D + 1 - D // 2 and set(model) == {"kept", "mask"}, (task, model)
            bits = [int(model["mask"][1][i // 16]) >> i % 16 & 1 for i in range(D + 1)]
            values = iter(model["kept"][1])
            vector = [next(values) if bit else 0.0 for bit in bits]
            kept = [i for i, bit in enumerate(bits) if bit]
        if own is not None:
            if kept is not None and round == PRUNED_AFTER + 1:  # the smallest half of the weights is zero
                at = names.index("fc1.weight") and 1
                weights = own[at:at + D]
                gone = sorted(range(D), key=lambda i: abs(weights[i]))[:D // 2]
                assert [i for i in range(D + 1) if i not in kept] == sorted(at + i for i in gone), (kept, weights)
                own = [v if i in kept else 0.0 for i, v in enumerate(own)]
            close(vector, own, f"model of round {round}")
        at = names.index("fc1.weight") and 1
        w, b = vector[at:at + D], vector[0 if at else D]
        total, deltas = sum(map(len, ROWS.values())), {}
        for k, rows in ROWS.items():
            gw, gb = gradient(w, b, rows)
            flat = [-RATE * g for g in ([gb] + gw if at else gw + [gb])]
            deltas[k] = [d if kept is None or i in kept else 0.0 for i, d in enumerate(flat)]
        own = [v + sum(len(ROWS[k]) * deltas[k][i] for k in ROWS) / total for i, v in enumerate(vector)]
        mine = deltas["alice"]
        if kept is None:
            wire.deliver(round, {"fc1.weight": ([1, D], mine[at:at + D]), "fc1.bias": ([1], [mine[0 if at else D]])}, etag)
        else:
            wire.deliver(round, {"kept": ([len(kept)], [mine[i] for i in kept])}, etag)
    wire.finish()
    last = wire.published(ROUNDS)
    close([v for name in names for v in last[name][1]], own, "the last model")


def test_a_frozen_model_with_lora(world):
    """W and b are frozen and fetched once; of W + (alpha / rank) B A only A and B are trained and travel."""
    rank, alpha = 2, 3
    wire = Wire(world, {"model": {"input": D, "loss": "mse", "layers": [{"type": "dense", "name": "fc1", "units": 1}],
                                  "fine_tuning": {"freeze": ["*"], "lora": {"rank": rank, "alpha": alpha, "targets": ["fc1.weight"]}}}})
    frozen, _ = wire.fetch("/v1/frozen")
    assert set(frozen) == {"fc1.weight", "fc1.bias"}, frozen
    W, b = frozen["fc1.weight"][1], frozen["fc1.bias"][1][0]
    names = {"A": "fc1.lora_A.weight", "B": "fc1.lora_B.weight"}
    own, scale, total = None, alpha / rank, sum(map(len, ROWS.values()))
    for round in range(1, ROUNDS + 1):
        task = wire.task(round)
        model, etag = wire.fetch(f"/v1/model/{task['model']}")
        assert set(model) == set(names.values()) and model[names["A"]][0] == [rank, D] and model[names["B"]][0] == [1, rank], model
        A, B = list(model[names["A"]][1]), list(model[names["B"]][1])
        if own is not None:
            close(A + B, own, f"model of round {round}")
        deltas = {}
        for k, rows in ROWS.items():
            effective = [W[i] + scale * sum(B[r] * A[r * D + i] for r in range(rank)) for i in range(D)]
            gw, _ = gradient(effective, b, rows)
            deltas[k] = [-RATE * scale * B[r] * gw[i] for r in range(rank) for i in range(D)] + [-RATE * scale * sum(gw[i] * A[r * D + i] for i in range(D)) for r in range(rank)]
        own = [v + sum(len(ROWS[k]) * deltas[k][i] for k in ROWS) / total for i, v in enumerate(A + B)]
        mine = deltas["alice"]
        wire.deliver(round, {names["A"]: ([rank, D], mine[:rank * D]), names["B"]: ([1, rank], mine[rank * D:])}, etag)
    wire.finish()
    last = wire.published(ROUNDS)
    assert set(last) == set(names.values())
    close([*last[names["A"]][1], *last[names["B"]][1]], own, "the last model")


def test_asynchronous_rounds(world):
    """fedbuff: alice trains from an old model while bob, written in Python, too, makes rounds go by; each update counts (1 + staleness)^-a."""
    wire = Wire(world, {"model": {"preset": "linear-regression", "input": D}, "strategy": {"name": "fedbuff", "buffer_size": 2, "concurrency": 3, "staleness_exponent": 1}, "cohort": {"min_clients": 1}}, others=())
    world.check(harness.ROOT + "/certs/make-certs", world.path("certs"), "client", "bob", "carol")
    sessions = {"alice": wire.session, "bob": world.session(wire.aggregator, "bob"), "carol": world.session(wire.aggregator, "carol")}
    rows = {**ROWS, "carol": ROWS["bob"][:2]}
    for name in ("bob", "carol"):
        assert sessions[name].join()[0] == 200
    models, held = {}, {}

    def take(name):
        task = sessions[name].task()[1]
        tensors, etag = wire.fetch(f"/v1/model/{task['model']}")
        held[name] = task["round"], list(tensors["fc1.weight"][1]), tensors["fc1.bias"][1][0], etag
        return task["round"]

    def give(name):
        """Trains from what it holds; returns the delta."""
        round, w, b, etag = held[name]
        gw, gb = gradient(w, b, rows[name])
        delta = [-RATE * g for g in gw + [gb]]
        status, answer, _ = sessions[name].update(round, safetensors({"fc1.weight": ([1, D], delta[:D]), "fc1.bias": ([1], delta[D:])}, {"round": str(round), "samples": "3"}), Rondo_Model=etag)
        assert status == 200, (name, answer)
        return delta

    vector = lambda version: [*wire.published(version)["fc1.weight"][1], *wire.published(version)["fc1.bias"][1]]
    own = vector(0)
    # (who delivers, rounds that have passed since its task) twice a round; all take a task before they are named first
    script = [[("bob", 0), ("carol", 0)], [("bob", 0), ("carol", 0)], [("alice", 2), ("bob", 0)], [("carol", 1), ("alice", 0)]]
    assert take("alice") == 1
    for round, pair in enumerate(script, 1):
        if round < 4:
            assert take("bob") == round
        if round in (1, 2, 3):
            assert take("carol") == round
        if round == 4:
            assert take("alice") == 4
        sum_ = [0.0] * (D + 1)
        for name, staleness in pair:
            assert round - held[name][0] == staleness, (round, name)
            sum_ = [s + d / (1 + staleness) for s, d in zip(sum_, give(name))]
        own = [v + s / 2 for v, s in zip(own, sum_)]
        wait_for(lambda: len(world.rounds()) > round, f"round {round} is committed", process=wire.aggregator)
        close(vector(round), own, f"model of round {round}")


if __name__ == "__main__":
    harness.main()
