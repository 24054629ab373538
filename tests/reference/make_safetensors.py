#!/usr/bin/env python3
"""Writes tensors.safetensors: a file as another program would make it, from the format's description alone.

Run it again with:  python3 make_safetensors.py tensors.safetensors     (Python alone; the same bytes every time)

The data lie in another order than the names in the header, nothing is padded, and there are a scalar, an empty tensor, and
metadata that JSON has to escape. tests/unit/test_safetensors.c names the values again.
"""
import json
import struct
import sys

# name: (dtype, shape, letter of struct, values), in the order of the data
DATA = {
    "double": ("F64", [3, 2], "d", [1 / 3, 0.0, -0.0, 2.5, 1e-300, -1e300]),
    "step": ("I64", [], "q", [-9007199254740993]),
    "layer.weight": ("F32", [3], "f", [0.1, -2.5, 1e-45]),
    "empty": ("F32", [0, 4], "f", []),
    "half": ("F16", [1, 2], "e", [0.5, -65504.0]),
    "bytes": ("U8", [5], "B", [0, 1, 2, 254, 255]),
    "mask": ("BOOL", [2], "?", [True, False]),
}
METADATA = {"made_by": "Python's struct and json", "two lines": "über\n\U0001d11e"}

entries, data = {}, b""
for name, (dtype, shape, letter, values) in DATA.items():
    raw = struct.pack(f"<{len(values)}{letter}", *values)
    entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
    data += raw
header = {name: entries[name] for name in sorted(entries)}
header["__metadata__"] = METADATA
text = json.dumps(header).encode()
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<Q", len(text)) + text + data)
