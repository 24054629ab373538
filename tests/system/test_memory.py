#!/usr/bin/env python3
"""Memory that must not grow: with the uploads in flight, and with the clients of a simulation. The bounds are those that
README.md states, with a tenth more for what differs between machines: the pages of shared libraries."""
import os

import harness
from harness import safetensors, wait_for

INPUT, CLASSES = 166_336, 10  # 1,663,370 parameters: 6.65 MB


MODEL = 4 * 1_663_370
MARGIN = 1.1


def resident(process, field="VmRSS"):
    with open(f"/proc/{process.pid}/status") as f:
        fields = dict(line.split(":", 1) for line in f)
    return int(fields[field].split()[0]) * 1024


def test_uploads_in_flight_cost_no_memory(world):
    count = 20
    names = [f"client-{i + 1}" for i in range(count)]
    world.certificates(names)
    config = world.write("run.json", {"rounds": 1, "model": {"preset": "softmax-regression", "input": INPUT, "classes": CLASSES},
                                      "training": {"learning_rate": 0.1}, "cohort": {"min_clients": count}})
    aggregator = world.aggregator(config)
    sessions = [world.session(aggregator, n) for n in names]
    for s in sessions:
        assert s.join()[0] == 200
    assert sessions[0].task()[1]["round"] == 1
    body = safetensors({"fc1.weight": ([CLASSES, INPUT], [0.0] * (CLASSES * INPUT)), "fc1.bias": ([CLASSES], [0.0] * CLASSES)},
                       {"round": "1", "samples": "1"})
    before = resident(aggregator)
    for s in sessions:  # all but the last byte of 20 updates: 133 MB
        name = s.name_of_model()
        s.connection.putrequest("POST", "/v1/rounds/1/train")
        s.connection.putheader("Rondo-Model", name)
        s.connection.putheader("Content-Length", str(len(body)))
        s.connection.endheaders()
        s.connection.send(body[:-1])
    folder = f"/proc/{aggregator.pid}/fd"
    wait_for(lambda: sum("(deleted)" in os.readlink(f"{folder}/{fd}") and os.stat(f"{folder}/{fd}").st_size > 6.6e6
                         for fd in os.listdir(folder)) == count, "all uploads lie in files", process=aggregator)
    grown = resident(aggregator) - before
    print(f"# {count} uploads of {len(body) / 1e6:.1f} MB in flight: resident memory grew by {grown / 1e6:.1f} MB")
    if not harness.SANITIZED:
        assert grown < MARGIN * 16e6, grown
    for s in sessions:
        s.connection.send(body[-1:])
        assert s.connection.getresponse().status == 200
    peak = resident(aggregator, "VmHWM")
    print(f"# peak {peak / 1e6:.1f} MB; 16 MB + 5 x model + 16 MB is {(32e6 + 5 * MODEL) / 1e6:.1f} MB")
    if not harness.SANITIZED:
        assert peak < MARGIN * (16e6 + 5 * MODEL + 16e6), peak


def test_ten_clients_that_deliver_take_what_the_table_says(world):
    """README.md, figures: 10 clients x 1,663,370 parameters, 42 MB."""
    names = [f"client-{i + 1}" for i in range(10)]
    world.certificates(names)
    config = world.write("run.json", {"rounds": 3, "model": {"preset": "softmax-regression", "input": INPUT, "classes": CLASSES},
                                      "training": {"learning_rate": 0.1}, "cohort": {"min_clients": 10}})
    aggregator = world.aggregator(config)
    sessions = [world.session(aggregator, n) for n in names]
    for s in sessions:
        assert s.join()[0] == 200
    for number in (1, 2):
        body = safetensors({"fc1.weight": ([CLASSES, INPUT], [0.0] * (CLASSES * INPUT)), "fc1.bias": ([CLASSES], [0.0] * CLASSES)},
                           {"round": str(number), "samples": "1"})
        for s in sessions:
            assert s.task()[1]["round"] == number
            assert s.update(number, body)[0] == 200
    assert sessions[0].task()[1]["round"] == 3
    peak = resident(aggregator, "VmHWM")
    print(f"# two rounds of 10 clients: peak {peak / 1e6:.1f} MB")
    if not harness.SANITIZED:
        assert peak < MARGIN * 42e6, peak


def peak_of_simulation(world, config, clients):
    return world.peak(world.program("rondo-sim"), "--config", config, "--clients", clients, "--quiet")


def test_ten_thousand_simulated_clients_take_little_more_than_a_hundred(world):
    rows = "\n".join(f"{i % 97},{i % 89},{i % 83},{i % 2}" for i in range(20000))
    table = world.write("rows.csv", "a,b,c,y\n" + rows + "\n")
    config = world.write("run.json", {"rounds": 3, "model": {"preset": "softmax-regression", "input": 3, "classes": 2},
                                      "training": {"learning_rate": 0.0001}, "cohort": {"select": "count", "count": 50},
                                      "data": {"train": {"path": table}}})
    few, many = peak_of_simulation(world, config, 100), peak_of_simulation(world, config, 10000)
    print(f"# peak with 100 clients {few / 1e6:.1f} MB, with 10,000 {many / 1e6:.1f} MB: {(many - few) / 9900:.0f} bytes a client")
    if not harness.SANITIZED:
        assert many - few < MARGIN * 9900 * 80


if __name__ == "__main__":
    harness.main()
