#!/usr/bin/env python3
"""Trains the same models with Rondo and with PyTorch, on one core each, in turns, and prints samples a second by
processor time and their ratio.

usage: /usr/bin/python3 tests/bench/bench_models.py BUILD_DIR [NAME...]     (Debian: apt-get install python3-torch)
"""
import json
import subprocess
import sys
import time

import torch
from torch import nn

SECONDS = 4
TOKENS, SYMBOLS = 80, 90


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, 8)
        self.lstm = nn.LSTM(8, 256, 2, batch_first=True)
        self.out = nn.Linear(256, SYMBOLS)

    def forward(self, x):
        return self.out(self.lstm(self.embedding(x))[0])


class Block(nn.Module):
    def __init__(self, width, heads, units):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(width, units), nn.GELU(), nn.Linear(units, width))
        self.mask = torch.full((TOKENS, TOKENS), -torch.inf).triu(1)

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.attn(y, y, y, attn_mask=self.mask, need_weights=False)[0]
        return x + self.feed(self.norm2(x))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(SYMBOLS, 128)
        self.position = nn.Parameter(torch.zeros(TOKENS, 128))
        self.blocks = nn.Sequential(Block(128, 4, 512), Block(128, 4, 512), nn.LayerNorm(128))

    def forward(self, x):
        return self.blocks(self.embedding(x) + self.position) @ self.embedding.weight.T


def cnn():
    return nn.Sequential(nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(),
                         nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 10))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10))


TEXT = {"input": {"tokens": TOKENS, "vocabulary": SYMBOLS}, "loss": "softmax_cross_entropy"}
BLOCK = {"type": "transformer", "heads": 4, "units": 512}
MODELS = {
    "2nn": ({"preset": "mnist-2nn"}, mlp, (10,)),
    "cnn": ({"preset": "mnist-cnn"}, cnn, (10, 50)),
    "lstm": (dict(TEXT, layers=[{"type": "embedding", "units": 8}, {"type": "lstm", "units": 256}, {"type": "lstm", "units": 256},
                                {"type": "dense", "units": SYMBOLS}]), Recurrent, (10, 50)),
    "transformer": (dict(TEXT, layers=[{"type": "embedding", "units": 128}, {"type": "position"}, BLOCK, BLOCK, {"type": "layer_norm"},
                                       {"type": "tied_output"}]), Transformer, (10, 50)),
}


def pytorch(make, batch, text):
    model = make()
    steps = torch.optim.SGD(model.parameters(), lr=0.001)
    x = torch.randint(SYMBOLS, (batch, TOKENS)) if text else torch.rand(batch, 1, 28, 28)
    labels = torch.randint(SYMBOLS, (batch, TOKENS)) if text else torch.randint(10, (batch,))
    samples, start = 0, None
    while start is None or time.process_time() - start < SECONDS:
        for _ in range(5):
            steps.zero_grad()
            y = model(x)
            nn.functional.cross_entropy(y.reshape(-1, y.shape[-1]), labels.reshape(-1)).backward()
            steps.step()
        if start is None:
            start = time.process_time()
        else:
            samples += 5 * batch
    return samples / (time.process_time() - start), sum(p.numel() for p in model.parameters())


def main():
    torch.set_num_threads(1)
    program = f"{sys.argv[1]}/tests/bench_models"
    print(f"{'model':<14}{'batch':>6}{'parameters':>12}{'Rondo':>10}{'PyTorch':>10}{'ratio':>8}   samples/s a core; GFLOP/s of sgemm's")
    for name in sys.argv[2:] or MODELS:
        model, make, batches = MODELS[name]
        for batch in batches:
            text = subprocess.run([program, json.dumps(model), str(batch), str(SECONDS)], capture_output=True, text=True, check=True).stdout
            ours = json.loads(text)
            theirs, parameters = pytorch(make, batch, isinstance(model.get("input"), dict))
            assert parameters == ours["parameters"], (parameters, ours)
            print(f"{name:<14}{batch:>6}{parameters:>12}{ours['samples_per_second']:>10.0f}{theirs:>10.0f}"
                  f"{ours['samples_per_second'] / theirs:>8.2f}   {ours['gflops']:.0f} of {ours['sgemm_gflops']:.0f}", flush=True)


if __name__ == "__main__":
    main()
