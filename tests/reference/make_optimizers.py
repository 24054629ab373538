#!/usr/bin/env python3
"""Writes optimizers.txt: three steps of each of PyTorch's optimizers on a network of 6-5-3, which tests/unit/test_optimizers.c
compares with Rondo's own.

Run it again (Debian: apt-get install python3-torch) with:  /usr/bin/python3 make_optimizers.py > optimizers.txt

Initial values are float32 numbers, the arithmetic is float64. First the batch and the initial parameters, then for each case
a line "case" with run.json's training section, and the parameters after three steps on that batch.
"""
import fnmatch
import json

import torch
from torch import nn, optim
from torch.nn import functional

BATCH = 4
CASES = [
    {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.05},
    {"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    {"optimizer": "sgd", "momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "weight_decay_skips": ["*.bias"]},
    {"optimizer": "sgd", "weight_decay": 0.3, "weight_decay_skips": ["fc1.*", "fc2.bias"]},
    {"optimizer": "sgd", "clip_norm": 0.1},
    {"optimizer": "sgd", "momentum": 0.9, "clip_norm": 0.3},
    {"optimizer": "sgd", "clip_norm": 100},
    {"optimizer": "adam"},
    {"optimizer": "adam", "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.9, "epsilon": 0.001},
    {"optimizer": "adam", "clip_norm": 0.1, "epsilon": 0.01},
    {"optimizer": "adamw", "weight_decay": 0.5},
    {"optimizer": "adamw", "weight_decay": 0.5, "weight_decay_skips": ["fc?.bias"]},
    {"optimizer": "adagrad"},
    {"optimizer": "adagrad", "weight_decay": 0.2, "epsilon": 0.01},
    {"optimizer": "rmsprop"},
    {"optimizer": "rmsprop", "momentum": 0.7, "alpha": 0.9, "epsilon": 0.01, "weight_decay": 0.1, "clip_norm": 0.5},
]
CASES += [{"optimizer": optimizer, **clip, **decay} for optimizer in ("sgd", "adam", "adamw", "adagrad", "rmsprop")
          for clip in ({}, {"clip_norm": 0.2})
          for decay in ({}, {"weight_decay": 0.2}, {"weight_decay": 0.2, "weight_decay_skips": ["*.bias"]})]
MAKE = {
    "sgd": lambda p, c, **k: optim.SGD(p, momentum=c.get("momentum", 0), nesterov=c.get("nesterov", False), **k),
    "adam": lambda p, c, **k: optim.Adam(p, betas=(c.get("beta1", 0.9), c.get("beta2", 0.999)), eps=c.get("epsilon", 1e-8), **k),
    "adamw": lambda p, c, **k: optim.AdamW(p, betas=(c.get("beta1", 0.9), c.get("beta2", 0.999)), eps=c.get("epsilon", 1e-8), **k),
    "adagrad": lambda p, c, **k: optim.Adagrad(p, eps=c.get("epsilon", 1e-10), **k),
    "rmsprop": lambda p, c, **k: optim.RMSprop(p, alpha=c.get("alpha", 0.99), momentum=c.get("momentum", 0), eps=c.get("epsilon", 1e-8), **k),
}


def show(word, values):
    values = values.detach().flatten().tolist()
    print(word, len(values), *(f"{v:.10g}" for v in values))


def main():
    torch.manual_seed(1)
    model = nn.Sequential()
    model.add_module("fc1", nn.Linear(6, 5))
    model.add_module("a", nn.Tanh())
    model.add_module("fc2", nn.Linear(5, 3))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * 0.3)
    model, x, labels = model.double(), torch.randn(BATCH, 6).double(), torch.randint(3, (BATCH,))
    start = {k: v.clone() for k, v in model.state_dict().items()}
    show("x", x)
    show("labels", labels)
    show("initial", torch.cat([p.flatten() for p in model.parameters()]))
    for case in CASES:
        model.load_state_dict(start)
        decay = case.get("weight_decay", 0)
        skipped = [any(fnmatch.fnmatch(n, s) for s in case.get("weight_decay_skips", [])) for n, _ in model.named_parameters()]
        groups = [{"params": [p], "weight_decay": 0 if skip else decay} for p, skip in zip(model.parameters(), skipped)]
        steps = MAKE[case["optimizer"]](groups, case, lr=0.05)
        for _ in range(3):
            model.zero_grad()
            functional.cross_entropy(model(x), labels).backward()
            if "clip_norm" in case:
                nn.utils.clip_grad_norm_(model.parameters(), case["clip_norm"])
            steps.step()
        print("case", json.dumps(dict(case, learning_rate=0.05, epochs=3, batch_size=0)))
        show("after", torch.cat([p.flatten() for p in model.parameters()]))


main()
