#!/usr/bin/env python3
"""The training of a third-party client: nothing but Python's own library, no package, no code of Rondo's.

    third_party_client.py MODEL.safetensors DATA.csv ROUND DELTA.safetensors

One epoch of plain SGD for a linear regression ("fc1.weight" (1,D), "fc1.bias" (1)); curl does the talking.
"""
import csv
import json
import struct
import sys

model_path, data_path, round_number, delta_path = sys.argv[1:]
LEARNING_RATE = 0.05

with open(model_path, "rb") as f:
    raw = f.read()
(size,) = struct.unpack("<Q", raw[:8])
header = json.loads(raw[8:8 + size])


def tensor(name):
    begin, end = header[name]["data_offsets"]
    return list(struct.unpack(f"<{(end - begin) // 4}f", raw[8 + size + begin:8 + size + end]))


weight, bias = tensor("fc1.weight"), tensor("fc1.bias")
start = weight + bias
with open(data_path, newline="") as f:
    rows = [[float(v) for v in row] for row in list(csv.reader(f))[1:]]

loss = 0.0
for *x, y in rows:
    error = sum(w * v for w, v in zip(weight, x)) + bias[0] - y
    loss += error * error / len(rows)
    weight = [w - LEARNING_RATE * 2 * error * v for w, v in zip(weight, x)]
    bias[0] -= LEARNING_RATE * 2 * error

delta = [after - before for after, before in zip(weight + bias, start)]
n = 4 * len(weight)
text = json.dumps({
    "__metadata__": {"round": round_number, "samples": str(len(rows)), "loss": repr(loss)},
    "fc1.weight": {"dtype": "F32", "shape": [1, len(weight)], "data_offsets": [0, n]},
    "fc1.bias": {"dtype": "F32", "shape": [1], "data_offsets": [n, n + 4]},
}).encode()
with open(delta_path, "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + struct.pack(f"<{len(delta)}f", *delta))
