#!/usr/bin/env python3
"""The aggregator's log: a reader that stands still holds no round, and what is printed is a matter of two options."""
import fcntl
import os
import re
import subprocess
import time

import harness
from harness import free_port, wait_exit

ROUNDS = 400


def configure(world, rounds=ROUNDS):
    table = world.write("table.csv", "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(20)))
    run = world.write("run.json", {"rounds": rounds, "model": {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]},
                                   "training": {"learning_rate": 0.01}, "cohort": {"min_clients": 1, "deadline_seconds": 60}})
    return run, table


def serve(world, run, state, *options, **where):
    """An aggregator whose standard output is the caller's affair."""
    port = free_port()
    process = subprocess.Popen([world.program("rondo-aggregator"), "serve", "--config", run, "--state", world.path(state), "--listen", f"127.0.0.1:{port}",
                                "--ca", world.path("certs", "ca.crt"), "--cert", world.path("certs", "aggregator.crt"), "--key", world.path("certs", "aggregator.key"),
                                *options], stderr=subprocess.DEVNULL, **where)
    world.processes.append(process)
    process.url, process.port, process.log = f"https://127.0.0.1:{port}", port, "/dev/null"
    return process


def test_a_log_that_nobody_reads_holds_no_round(world):
    world.certificates(["alice"])
    run, table = configure(world)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 16384)  # full after some two hundred rounds
    aggregator = serve(world, run, "state", stdout=writer)
    os.close(writer)
    client = world.client(aggregator, "alice", table, "--retry-seconds", "30")
    assert wait_exit(client) == 0, harness.read(client.log)
    started = time.monotonic()
    assert wait_exit(aggregator) == 0
    assert time.monotonic() - started < 15, "what waits for the reader is given a second at the end"
    assert world.rounds()[-1]["round"] == ROUNDS
    text = os.read(reader, 65536).decode()
    os.close(reader)
    assert len(text) <= 16384 and "round 1/400" in text


def test_levels_and_times(world):
    world.certificates(["alice"])
    run, table = configure(world, rounds=2)
    for options, expected in (((), r"round 2/2 "), (("--log-times",), r"(?m)^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z round 2/2 "), (("--log-level", "warning"), None), (("--quiet",), None)):
        state = f"state{len(options)}{'-'.join(options)}"
        aggregator = serve(world, run, state, *options, stdout=subprocess.PIPE)
        client = world.client(aggregator, "alice", table, "--retry-seconds", "30")
        text = aggregator.communicate(timeout=60 * harness.SLOW)[0].decode()
        assert aggregator.returncode == 0 and wait_exit(client) == 0
        assert re.search(expected, text) if expected else text == "", (options, text)
        os.remove(client.log)
    for options, message in ((("--log-level", "loud"), "--log-level: expected error, warning or info, found 'loud'"), (("--quiet", "--log-level", "info"), "--quiet and --log-level")):
        result = world.run(world.program("rondo-aggregator"), "serve", "--config", run, "--state", world.path("none"), *world.tls("aggregator"), *options)
        assert result.returncode == 2 and message in result.stderr, result


if __name__ == "__main__":
    harness.main()
