#!/usr/bin/env python3
"""Transport and averaging: real processes, mutual TLS, float32 deltas, one row of data per client.

    bench_transport.py BUILD_DIR [CLIENTSxPARAMETERS ...]

Prints seconds a round and peak resident memory beside the figures of Flower 1.5 (gRPC with TLS, transport and averaging
only, all clients each round), measured on a 2-core machine of this kind, and beside the memory that Rondo promises.
Rondo's rounds include a gradient step on one row, which Flower's do not.
"""
import json
import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import harness  # noqa: E402

CASES = {  # clients, parameters: (seconds a round, server MB, client MB) of Flower 1.5
    (100, 10_000): (0.166, 131, 65),
    (10, 199_210): (0.062, 167, 78),
    (50, 199_210): (0.48, 460, 80),
    (10, 1_663_370): (0.61, 958, 181),
    (2, 25_000_000): (3.5, 1848, 1064),
}
MODELS = {
    10_000: ({"preset": "softmax-regression", "input": 999, "classes": 10}, 999),
    199_210: ({"preset": "mnist-2nn"}, 784),
    1_663_370: ({"preset": "softmax-regression", "input": 166_336, "classes": 10}, 166_336),
    25_000_000: ({"preset": "softmax-regression", "input": 24_999, "classes": 1000}, 24_999),
}


def one_row(features):
    """A data set of one row, as `rondo-sim partition` would write it."""
    x = struct.pack("<f", 0.01) * features
    header = json.dumps({"x": {"dtype": "F32", "shape": [1, features], "data_offsets": [0, len(x)]},
                         "y": {"dtype": "I32", "shape": [1], "data_offsets": [len(x), len(x) + 4]},
                         "__metadata__": {"classes": "10"}}).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + x + struct.pack("<i", 0)


def memory(pid):
    """(peak resident, private now) in MB."""
    fields = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status") if ":" in line)
    return tuple(int(fields[k].split()[0]) * 1024 / 1e6 for k in ("VmHWM", "RssAnon"))


def measure(build, clients, parameters, rounds):
    model, features = MODELS[parameters]
    world = harness.World(build, "bench")
    try:
        names = [f"client-{i + 1}" for i in range(clients)]
        world.certificates(names)
        config = world.write("run.json", {"rounds": rounds, "model": model, "training": {"batch_size": 1, "learning_rate": 0.001},
                                          "cohort": {"min_clients": clients}})
        data = world.write("row.safetensors", one_row(features))
        aggregator = world.aggregator(config)
        processes = [world.client(aggregator, n, data) for n in names]
        server = client = (0, 0)
        while aggregator.poll() is None:
            try:
                server, client = memory(aggregator.pid), memory(processes[0].pid)
            except (OSError, KeyError):
                break
            time.sleep(0.2)
        harness.wait_exit(aggregator, 600)
        records = world.rounds()
        assert all(r["counted"] == clients for r in records[1:]), records
        return (records[-1]["finished_at"] - records[2]["finished_at"]) / (rounds - 2), server, client
    finally:
        world.close()


def main():
    build = os.path.abspath(sys.argv[1])
    chosen = [tuple(int(v) for v in a.replace(",", "").split("x")) for a in sys.argv[2:]] or list(CASES)
    print(f"{'clients x parameters':>22} | {'s/round':>8} {'Flower':>7} {'ratio':>6} | {'server MB':>9} {'limit':>6} {'Flower':>6} | "
          f"{'client MB':>9} {'private':>7} {'limit':>6} {'Flower':>6}")
    for clients, parameters in chosen:
        flower = CASES[clients, parameters]
        rounds = 8 if parameters > 1_000_000 else 40
        seconds, server, client = measure(build, clients, parameters, rounds)
        size = 4 * parameters / 1e6
        print(f"{clients:>10} x {parameters:>9,} | {seconds:8.4f} {flower[0]:7.3f} {seconds / flower[0]:6.2f} | "
              f"{server[0]:9.1f} {32 + 5 * size:6.0f} {flower[1]:6} | {client[0]:9.1f} {client[1]:7.1f} {20 + 2 * size:6.1f} {flower[2]:6}",
              flush=True)


if __name__ == "__main__":
    main()
