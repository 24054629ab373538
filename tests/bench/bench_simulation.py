#!/usr/bin/env python3
"""The simulator at scale: memory by number of clients and threads, beside the formula that README.md states; threads and
ranks beside one of them.

    bench_simulation.py BUILD_DIR

Data are synthetic(1, 1), so nothing is fetched; the model is the 2NN's size on 60 features (60-200-200-10). Takes a minute.
"""
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import harness  # noqa: E402

SIZES = (1000, 10_000, 100_000, 1_000_000)
LAYERS = [{"type": "dense", "units": 200, "activation": "relu"}, {"type": "dense", "units": 200, "activation": "relu"}, {"type": "dense", "units": 10}]
PARAMETERS = 60 * 200 + 200 + 200 * 200 + 200 + 200 * 10 + 10


def config(world, **changes):
    run = {"rounds": 3, "model": {"input": 60, "loss": "softmax_cross_entropy", "layers": LAYERS},
           "training": {"batch_size": 10, "learning_rate": 0.01}, "cohort": {"select": "count", "count": 1000},
           "data": {"train": {"format": "synthetic", "alpha": 1, "beta": 1, "clients": 100}, "partition": {"scheme": "sample", "samples": 20}}}
    run.update(changes)
    return world.write("run.json", run)


def peak(world, path, clients, threads):
    """Peak resident MB of a run, its data and model included."""
    return world.peak(world.program("rondo-sim"), "--config", path, "--clients", clients, "--threads", threads, "--quiet") / 1e6


def rate(world, command):
    out = world.check(*command)
    return float(re.search(r"([\d.]+) samples/s", out).group(1)), float(re.search(r"([\d.]+) % of the", out).group(1)), float(re.search(r"local rounds +([\d.]+)", out).group(1))


def main():
    build = os.path.abspath(sys.argv[1])
    world = harness.World(build, "bench")
    sim = world.program("rondo-sim")
    try:
        path = config(world)
        print(f"{PARAMETERS} parameters, cohorts of 1,000 clients with 20 samples each")
        print(f"{'clients':>10} {'threads':>8} {'peak MB':>8} {'bytes a client beyond the first 1,000':>38}")
        first = peak(world, path, SIZES[0], 1)
        for clients in SIZES:
            for threads in (1, 2) if clients == SIZES[0] else (1,):
                mb = peak(world, path, clients, threads)
                each = f"{1e6 * (mb - first) / (clients - SIZES[0]):.0f}" if clients > SIZES[0] else ""
                print(f"{clients:>10} {threads:>8} {mb:>8.1f} {each:>38}")
        wide = [{"type": "dense", "units": 4000}, {"type": "dense", "units": 10}]
        n = 60 * 4000 + 4000 + 4000 * 10 + 10
        small = peak(world, config(world, cohort={"select": "count", "count": 4}), 1000, 1)
        large = config(world, model={"input": 60, "loss": "softmax_cross_entropy", "layers": wide}, cohort={"select": "count", "count": 4})
        one, two = peak(world, large, 1000, 1), peak(world, large, 1000, 2)
        print(f"{n - PARAMETERS} parameters more: {one - small:.1f} MB, {1e6 * (one - small) / (n - PARAMETERS):.1f} bytes each; a thread more: {1e6 * (two - one) / n:.1f} bytes a parameter")

        path = config(world, training={"batch_size": 10, "learning_rate": 0.01, "epochs": 20}, cohort={"select": "count", "count": 2000})
        bench = [sim, "bench", "--config", path, "--clients", "10000", "--threads"]
        (alone, share, inside), (both, _, _) = rate(world, bench + ["1"]), rate(world, bench + ["2"])
        print(f"1 thread: {alone:.0f} samples/s, {share:.0f} % of sgemm, {inside:.0f} % of the time in local rounds; 2 threads: {both / alone:.2f} times as much")
        if shutil.which("mpirun"):
            environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
            start = [["mpirun", "--oversubscribe", "--mca", "btl", "self,vader", "-np", str(np), sim, "--config", path, "--clients", "10000", "--threads", "1", "--profile"] for np in (1, 2)]
            walls = []
            for command in start:
                out = world.check(*command, env=environment)
                walls.append(float(re.search(r"time of all threads: ([\d.]+) s", out).group(1)))
            print(f"2 ranks of one thread: {walls[0] / walls[1]:.2f} times as fast as one")
    finally:
        world.close()


if __name__ == "__main__":
    main()
