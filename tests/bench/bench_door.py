#!/usr/bin/env python3
"""What idle clients, their return and strangers cost an aggregator, beside the same cohort without them.

    bench_door.py BUILD_DIR [--connections N] [--quick] [--json]

Five clients with a tiny model do rounds all the time. Clients, crowd and aggregator share the cores of the machine, so
rounds a second also fall by what the crowd itself computes; CPU is the aggregator's own, in seconds a second (in the
two returns: in seconds, until all are back). The crowd has one certificate and comes from many addresses 127.0.x.y.
"""
import argparse
import json
import os
import re
import socket
import ssl
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import harness  # noqa: E402
from test_door import RUN, hello, rounds  # noqa: E402

HONEST = 5
SECONDS = 4


def memory(process):
    """PSS in MB."""
    return int(re.search(r"\nPss:\s+(\d+)", harness.read(f"/proc/{process.pid}/smaps_rollup")).group(1)) * 1024 / 1e6


def cpu(process):
    fields = harness.read(f"/proc/{process.pid}/stat").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def address(i):
    return f"127.0.{1 + i // 250 % 250}.{1 + i % 250}"


class Crowd:
    """So many connections of one certificate, opened by four threads."""

    def __init__(self, world, count):
        self.context = ssl.create_default_context(cafile=world.path("certs", "ca.crt"))
        self.context.load_cert_chain(world.path("certs", "crowd.crt"), world.path("certs", "crowd.key"))
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.open, self.sessions, self.failed, self.resumed = [None] * count, [None] * count, 0, 0
        self.lock = threading.Lock()

    def come(self, port, seconds=60):
        """Seconds until all are there; who is closed tries again, to a limit."""
        begin = time.time()
        threads = [threading.Thread(target=self.part, args=(port, k, begin + seconds)) for k in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return time.time() - begin

    def part(self, port, k, end):
        for i in range(k, len(self.open), 4):
            while self.open[i] is None and time.time() < end:
                try:
                    plain = socket.create_connection(("127.0.0.1", port), 10, (address(i), 0))
                    s = self.context.wrap_socket(plain, server_hostname="127.0.0.1", session=self.sessions[i])
                except OSError:
                    with self.lock:
                        self.failed += 1
                    time.sleep(0.01)
                    continue
                self.open[i], self.sessions[i] = s, s.session
                with self.lock:
                    self.resumed += s.session_reused

    def leave(self):
        for s in self.open:
            if s:
                s.close()
        self.open = [None] * len(self.open)

    def there(self):
        return sum(s is not None for s in self.open)


class Flood:
    """ClientHellos as fast as two threads send them; the newest hundreds stay open."""

    def __init__(self, port, many):
        self.port, self.many, self.count, self.over, self.begin = port, many, [0, 0], False, time.time()
        self.threads = [threading.Thread(target=self.run, args=(k,)) for k in range(2)]
        for t in self.threads:
            t.start()

    def run(self, k):
        held, text = [], hello()
        while not self.over:
            source = (address(2 * self.count[k] + k) if self.many else "127.0.0.1", 0)
            self.count[k] += 1
            try:
                held.append(socket.create_connection(("127.0.0.1", self.port), 5, source))
                held[-1].sendall(text)
            except OSError:
                pass
            if len(held) > 500:
                held.pop(0).close()
        for s in held:
            s.close()

    def stop(self):
        self.over = True
        for t in self.threads:
            t.join()


def measure(aggregator, what, rows, quiet=None, note=""):
    size, before, used, begin = os.path.getsize(aggregator.log), rounds(aggregator), cpu(aggregator), time.time()
    time.sleep(SECONDS)
    took = time.time() - begin
    with open(aggregator.log, "rb") as f:
        f.seek(size)
        lines = sum(b"\nround" not in b"\n" + line for line in f)
    row = {"case": what, "rounds_s": (rounds(aggregator) - before) / took, "cpu": (cpu(aggregator) - used) / took,
           "pss_mb": memory(aggregator), "lines": lines, "note": note}
    row["kept"] = row["rounds_s"] / quiet["rounds_s"] if quiet else 1
    rows.append(row)
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--connections", type=int, default=9900)
    parser.add_argument("--quick", action="store_true", help="500 connections")
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    count, rows = 500 if o.quick else o.connections, []
    world = harness.World(os.path.abspath(o.build), "door")
    try:
        names = [f"c{i}" for i in range(HONEST)]
        world.certificates(names + ["crowd"])
        data = world.write("t.csv", "a,b,label\n" + "".join(f"{i % 5},{i % 3},{i % 2}\n" for i in range(40)))
        config = world.write("run.json", {**RUN, "cohort": {"min_clients": HONEST}})
        options = ("--connections-per-client", 10000, "--max-connections", 10000)
        aggregator = world.aggregator(config, *options)
        port = aggregator.port
        for name in names:
            world.client(aggregator, name, data)
        harness.wait_for(lambda: rounds(aggregator) > 20, "rounds are done", process=aggregator)
        quiet = measure(aggregator, "nobody else", rows)
        for many in (False, True):
            flood = Flood(port, many)
            row = measure(aggregator, "ClientHellos, " + ("many addresses" if many else "one address"), rows, quiet)
            row["note"] = f"{sum(flood.count) / (time.time() - flood.begin):.0f} a second"
            flood.stop()
        crowd = Crowd(world, count)
        before, seconds = memory(aggregator), crowd.come(port)
        row = measure(aggregator, "idle connections", rows, quiet)
        there = max(1, crowd.there())
        row["note"] = f"{crowd.there()} there after {seconds:.1f} s, {1000 * (row['pss_mb'] - before) / there:.1f} kB each"
        for tickets in (False, True):
            aggregator.terminate()
            aggregator.wait()
            crowd.leave()
            if not tickets:
                crowd.sessions = [None] * count
            crowd.failed = crowd.resumed = 0
            aggregator = world.aggregator(config, *options, port=port, log=f"again-{tickets}.log")
            used, seconds = cpu(aggregator), crowd.come(port)
            text = re.findall(r"\nround (\d+)", harness.read(aggregator.log))
            rows.append({"case": "return, " + ("tickets" if tickets else "full handshakes"), "cpu": cpu(aggregator) - used,
                         "rounds_s": len(text) / seconds, "kept": len(text) / seconds / quiet["rounds_s"], "lines": 0,
                         "pss_mb": memory(aggregator), "note": f"{crowd.there()} of {count} back in {seconds:.1f} s, "
                         f"{crowd.resumed} resumed, {crowd.failed} tried again"})
            rows[-1]["lines"] = harness.read(aggregator.log).count("\n") - len(text)
        crowd.leave()
    finally:
        world.close()
    if o.json:
        print(json.dumps(rows))
        return
    print("| beside five clients | rounds/s | kept | aggregator's CPU | PSS MB | other log lines | |\n|---|---|---|---|---|---|---|")
    for r in rows:
        print(f"| {r['case']} | {r['rounds_s']:.0f} | {100 * r['kept']:.0f} % | {r['cpu']:.2f} | {r['pss_mb']:.1f} | "
              f"{r['lines']} | {r['note']} |")


if __name__ == "__main__":
    main()
