#!/usr/bin/env python3
"""Three rounds of every strategy that sums, by the formulas of its paper, in plain NumPy doubles.

Three clients with 4, 6 and 10 rows of 3 features train a linear model (weights and bias, mean squared error) with full
batches, so that no order of samples matters. Writes strategies.txt: first the data, then for each strategy its part of
run.json and the parameters after rounds 1, 2 and 3. tests/unit/test_strategies.c computes the same with Rondo's
local rounds and sums.

    python3 make_strategies.py > strategies.txt
"""
import json

import numpy as np

D, CLIENTS, ROUNDS, EPOCHS, RATE = 3, 3, 3, 3, 0.05
SIZES = [4, 6, 10]
rng = np.random.default_rng(5)
DATA = []
for k, n in enumerate(SIZES):
    x = np.round(rng.normal(size=(n, D)), 3)
    y = np.round(x @ np.array([1.0, -2.0, 0.5]) * (k + 1) + 0.3 * k + 0.1 * rng.normal(size=n), 3)
    DATA.append((x, y))
ROOT = (DATA[2][0][:5], DATA[2][1][:5])
START = np.array([0.1, -0.2, 0.3, 0.05])


def loss(w, data):
    x, y = data
    return np.mean((x @ w[:D] + w[D] - y) ** 2)


def gradient(w, data):
    x, y = data
    e = x @ w[:D] + w[D] - y
    return np.concatenate([2 * x.T @ e / len(y), [2 * e.mean()]])


def train(w, data, steps=EPOCHS, correct=lambda y: 0.0, momentum=0.0):
    y, m = w.copy(), np.zeros_like(w)
    for _ in range(steps):
        m = momentum * m + gradient(y, data) + correct(y)
        y = y - RATE * m
    return y


def weighted(deltas, weights):
    return sum(n * d for n, d in zip(weights, deltas)) / sum(weights)


def local(w, **options):
    return [train(w, data, **options) - w for data in DATA]


def fedavg(w, s, state):
    return w + s.get("server_learning_rate", 1) * weighted(local(w), SIZES)


def uniform(w, s, state):
    return w + weighted(local(w), [1, 1, 1])


def fedsgd(w, s, state):
    return w - RATE * weighted([gradient(w, d) for d in DATA], SIZES)


def fedprox(w, s, state):
    return w + weighted(local(w, correct=lambda y: s["proximal"] * (y - w)), SIZES)


def fedavgm(w, s, state):
    state["m"] = s.get("momentum", 0.9) * state.get("m", 0) + weighted(local(w), SIZES)
    return w + s.get("server_learning_rate", 1) * state["m"]


def adaptive(second):
    def step(w, s, state):
        d = weighted(local(w), SIZES)
        beta1 = s.get("beta1", 0 if s["name"] == "fedadagrad" else 0.9)
        state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * d
        tau = s.get("tau", 0.001)
        state["v"] = second(state.get("v", np.full_like(w, tau ** 2)), d, s.get("beta2", 0.99))
        return w + s.get("server_learning_rate", 0.1) * state["m"] / (np.sqrt(state["v"]) + tau)
    return step


def scaffold(w, s, state):
    c = state.setdefault("c", np.zeros_like(w))
    own = state.setdefault("own", [np.zeros_like(w) for _ in DATA])
    deltas, changes = [], []
    for k, data in enumerate(DATA):
        y = train(w, data, correct=lambda y, k=k: c - own[k])
        new = own[k] - c + (w - y) / (EPOCHS * RATE)
        deltas.append(y - w)
        changes.append(new - own[k])
        own[k] = new
    state["c"] = c + sum(changes) / CLIENTS
    return w + s.get("server_learning_rate", 1) * np.mean(deltas, axis=0)


def effort(steps, s, momentum):
    """|a|_1: what one local step contributes, summed over the steps (Wang et al. 2020, section 3)."""
    mu = s.get("proximal", 0.0)
    if momentum > 0:
        return sum((1 - momentum ** (steps - t)) / (1 - momentum) for t in range(steps))
    return sum((1 - RATE * mu) ** (steps - 1 - t) for t in range(steps))


def fednova(w, s, state):
    momentum = s.get("_momentum", 0.0)
    taus = [1, 2, 3]
    deltas = [train(w, data, steps=t, correct=lambda y: s.get("proximal", 0.0) * (y - w), momentum=momentum) - w
              for data, t in zip(DATA, taus)]
    a = [effort(t, s, momentum) for t in taus]
    p = np.array(SIZES) / sum(SIZES)
    return w + sum(p * a) * sum(pk * d / ak for pk, d, ak in zip(p, deltas, a))


def qfedavg(w, s, state):
    L, q = 1 / RATE, s["q"]
    top, bottom = 0, 0
    for data in DATA:
        F = loss(w, data)
        step = L * (w - train(w, data))
        top = top + F ** q * step
        bottom += q * F ** (q - 1) * (step @ step) + L * F ** q
    return w - top / bottom


def fedbuff(w, s, state):
    staleness = [0, 1, 2]
    return w + s.get("server_learning_rate", 1) * sum(
        (1 + t) ** -s.get("staleness_exponent", 0.5) * d for t, d in zip(staleness, local(w))) / CLIENTS


def norm_clipping(w, s, state):
    counts = SIZES if s.get("weighting") == "samples" else [1] * CLIENTS
    return w + weighted([d * min(1, s["clip_norm"] / np.linalg.norm(d)) for d in local(w)], counts)


def fltrust(w, s, state):
    root = train(w, ROOT) - w
    total, trust = 0, 0
    for k, d in enumerate(local(w)):
        d = -d if k == 0 else d  # one client lies
        score = max(0, d @ root / np.linalg.norm(d) / np.linalg.norm(root))
        total = total + score * d * np.linalg.norm(root) / np.linalg.norm(d)
        trust += score
    return w + total / trust


CASES = [
    (fedavg, {"name": "fedavg"}), (fedavg, {"name": "fedavg", "server_learning_rate": 0.5}),
    (uniform, {"name": "fedavg", "weighting": "uniform"}), (fedsgd, {"name": "fedsgd"}),
    (fedprox, {"name": "fedprox", "proximal": 0.7}), (fedavgm, {"name": "fedavgm", "momentum": 0.8, "server_learning_rate": 0.6}),
    (adaptive(lambda v, d, b: v + d * d), {"name": "fedadagrad", "server_learning_rate": 0.2}),
    (adaptive(lambda v, d, b: v + d * d), {"name": "fedadagrad", "beta1": 0.5, "tau": 0.01}),
    (adaptive(lambda v, d, b: b * v + (1 - b) * d * d), {"name": "fedadam", "beta2": 0.9}),
    (adaptive(lambda v, d, b: v - (1 - b) * d * d * np.sign(v - d * d)), {"name": "fedyogi", "beta1": 0.8}),
    (scaffold, {"name": "scaffold"}), (scaffold, {"name": "scaffold", "server_learning_rate": 0.5}),
    (fednova, {"name": "fednova"}), (fednova, {"name": "fednova", "proximal": 0.9}), (fednova, {"name": "fednova", "_momentum": 0.6}),
    (qfedavg, {"name": "q-fedavg", "q": 1}), (qfedavg, {"name": "q-fedavg", "q": 0.5}), (qfedavg, {"name": "q-fedavg", "q": 0}),
    (fedbuff, {"name": "fedbuff", "buffer_size": 3, "concurrency": 3}),
    (norm_clipping, {"name": "norm_clipping", "clip_norm": 0.2}),
    (norm_clipping, {"name": "norm_clipping", "clip_norm": 0.2, "weighting": "samples"}), (fltrust, {"name": "fltrust"}),
]


def numbers(values):
    return " ".join(f"{v:.17g}" for v in values)


print(*SIZES)
for x, y in DATA:
    for row, target in zip(x, y):
        print(numbers(row), f"{target:.17g}")
print(numbers(START))
print(len(CASES))
for step, strategy in CASES:
    w, state = START.copy(), {}
    momentum = strategy.get("_momentum", 0)
    print(momentum, json.dumps({k: v for k, v in strategy.items() if k != "_momentum"}))
    for _ in range(ROUNDS):
        w = step(w, strategy, state)
        print(numbers(w))
