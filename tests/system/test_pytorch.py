#!/usr/bin/env python3
"""Exported models in PyTorch: its own modules take the tensors by name, and put out the same logits.

Needs PyTorch (Debian: apt-get install python3-torch, which /usr/bin/python3 finds); without it, the tests are skipped."""
import csv
import json
import os
import subprocess
import sys

import harness
from harness import Skip, read_safetensors

SYMBOLS, TOKENS = 8, 12
MODELS = {
    "mlp": {"preset": "mnist-2nn"},
    "cnn": {"preset": "mnist-cnn"},
    "lstm": {"input": {"tokens": TOKENS, "vocabulary": "\nabcdefg"}, "loss": "softmax_cross_entropy", "layers": [
        {"type": "embedding", "units": 6, "name": "embedding"}, {"type": "lstm", "units": 10, "name": "lstm1"},
        {"type": "lstm", "units": 7, "name": "lstm2"}, {"type": "dense", "units": SYMBOLS, "name": "out"}]},
    "transformer": {"input": {"tokens": TOKENS, "vocabulary": "\nabcdefg"}, "loss": "softmax_cross_entropy", "layers": [
        {"type": "embedding", "units": 8, "name": "embedding"}, {"type": "position", "name": "position"},
        {"type": "transformer", "heads": 2, "units": 16, "name": "block1"}, {"type": "transformer", "heads": 2, "units": 16, "name": "block2"},
        {"type": "layer_norm", "name": "norm"}, {"type": "tied_output", "embedding": "embedding"}],
        "fine_tuning": {"freeze": ["position.*"], "lora": {"rank": 2, "alpha": 4, "targets": ["*attn.in_proj_weight", "*fc1.weight"]}}},
}


def torch_modules():
    """PyTorch's own modules; the names of their parameters are what Rondo's must be."""
    import torch
    from torch import nn

    class Lstm(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(SYMBOLS, 6)
            self.lstm1, self.lstm2 = nn.LSTM(6, 10, batch_first=True), nn.LSTM(10, 7, batch_first=True)
            self.out = nn.Linear(7, SYMBOLS)

        def forward(self, x):
            return self.out(self.lstm2(self.lstm1(self.embedding(x))[0])[0])

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
            self.attn = nn.MultiheadAttention(8, 2, batch_first=True)
            self.fc1, self.fc2 = nn.Linear(8, 16), nn.Linear(16, 8)

        def forward(self, x):
            y, mask = self.norm1(x), torch.full((TOKENS, TOKENS), -torch.inf).triu(1)
            x = x + self.attn(y, y, y, attn_mask=mask, need_weights=False)[0]
            return x + self.fc2(nn.functional.gelu(self.fc1(self.norm2(x))))

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.position = nn.Embedding(SYMBOLS, 8), nn.Embedding(TOKENS, 8)
            self.block1, self.block2, self.norm = Block(), Block(), nn.LayerNorm(8)

        def forward(self, x):
            return self.norm(self.block2(self.block1(self.embedding(x) + self.position.weight))) @ self.embedding.weight.T

    class Named(nn.Sequential):
        def forward(self, x):
            return super().forward(x)

    from collections import OrderedDict as D
    return {
        "mlp": Named(D(fc1=nn.Linear(784, 200), a=nn.ReLU(), fc2=nn.Linear(200, 200), b=nn.ReLU(), fc3=nn.Linear(200, 10))),
        "cnn": Named(D(shape=nn.Unflatten(1, (1, 28, 28)), conv1=nn.Conv2d(1, 32, 5, padding=2), a=nn.ReLU(), b=nn.MaxPool2d(2),
                       conv2=nn.Conv2d(32, 64, 5, padding=2), c=nn.ReLU(), d=nn.MaxPool2d(2), e=nn.Flatten(), fc1=nn.Linear(3136, 512),
                       f=nn.ReLU(), fc2=nn.Linear(512, 10))),
        "lstm": Lstm(), "transformer": Transformer()}


def compare(name, export, data, predictions):
    """In a Python that has PyTorch: largest difference of logits."""
    import torch
    with open(export, "rb") as f:
        tensors = {k: torch.tensor(v).reshape(shape) for k, (shape, v) in read_safetensors(f.read()).items()}
    module = torch_modules()[name]
    module.load_state_dict(tensors)
    module.eval()
    with open(data, "rb") as f:
        raw = f.read()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + size])["x"]  # bytes: grey values or tokens
    begin, end = (8 + size + o for o in header["data_offsets"])
    x = torch.tensor(list(raw[begin:end])).reshape(header["shape"]).flatten(1)
    with torch.no_grad():
        y = module(x.long() if name in ("lstm", "transformer") else x.float() / 255)
    with open(predictions) as f:
        rows = list(csv.DictReader(f))
    ours = torch.tensor([[float(r[k]) for k in r if k.startswith("output_")] for r in rows])
    y = y.reshape(ours.shape)
    worst = ((y - ours).abs().max() / y.abs().max()).item()
    parameters = sum(p.numel() for p in module.parameters())
    print(f"{name} {worst:.2e} {parameters}")
    assert worst < 1e-5 and y.abs().max() > 0.1


def check(world, name):
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode != 0:
        raise Skip("needs python3-torch")
    text = name in ("lstm", "transformer")
    if text:
        world.write("text.txt", "abcdefg\nbadcafe\ngabacad\n" * 40)
        train = {"path": world.path("text.txt")}
    else:
        train = {"path": "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz"}
    clients = 200 if not text else 4
    config = world.write("run.json", {
        "rounds": 2, "model": MODELS[name], "training": {"learning_rate": 0.1, "batch_size": 10},
        "cohort": {"select": "count", "count": 2}, "data": {"train": train}})
    world.check(world.program("rondo-sim"), "--config", config, "--clients", clients, "--out", world.path("state"), "--quiet")
    world.check(world.program("rondo-sim"), "partition", "--config", config, "--clients", clients, "--out", world.path("private"), "--quiet")
    data = world.path("private/client-1.safetensors")
    world.check(world.program("rondo-inspect"), "export", world.path("state"), "--out", world.path("model.safetensors"))
    world.write("predictions.csv", world.check(world.program("rondo-inspect"), "predict", world.path("state"), "--data", data))
    print("#", world.check(python, os.path.abspath(__file__), "compare", name, world.path("model.safetensors"), data, world.path("predictions.csv")).strip())


def test_the_mlp(world):
    check(world, "mlp")


def test_the_cnn(world):
    check(world, "cnn")


def test_the_lstm(world):
    check(world, "lstm")


def test_the_transformer_with_lora_taken_in(world):
    check(world, "transformer")


if __name__ == "__main__":
    if sys.argv[1:2] == ["compare"]:
        compare(*sys.argv[2:])
    else:
        harness.main()
