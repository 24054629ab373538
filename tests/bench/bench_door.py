#!/usr/bin/env python3
"""What strangers, members and crowds cost the rounds of two clients.

    bench_door.py BUILD_DIR [--short] [--connections N] [--json]

Aggregator (one worker) and clients have one core, all others another one, in quiet stretches as well: what is lost is what
the aggregator loses, not what attackers compute. (On a machine with one core they share it, and the table says so.) Each
attack comes in turns with a quiet stretch, three times; rounds a second are medians, with the least and the most behind
them. "answers" are the 50th and 99th percentile, in ms, of the time that one client of the aggregator's own core waits for
a small answer. Memory is PSS at the end of the attacks, lines are those of the log in a second beside rounds, disk is what
the database grows by in a second more than in quiet.

Then a crowd of one certificate comes from many addresses, joins on each connection and waits for a task; the aggregator
ends, and it returns all at once: with tickets, and with full handshakes. It ends by itself in less than ten minutes: a
crowd that is not complete after 80 s is as large as it is, and the table says how large.
"""
import argparse
import json
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "system"))
import harness  # noqa: E402
from test_door import RUN, hello  # noqa: E402

TURNS = 3
HONEST = ("c0", "c1")
CROWD_SECONDS = 80
cores = sorted(os.sched_getaffinity(0))
OURS, OTHERS = cores[0], cores[-1]


def pinned():
    os.sched_setaffinity(0, {OURS})


def address(i):
    return f"127.{1 + i // 62500 % 250}.{1 + i // 250 % 250}.{1 + i % 250}"


def context_of(world, name):
    context = ssl.create_default_context(cafile=world.path("certs", "ca.crt"))
    context.load_cert_chain(world.path("certs", name + ".crt"), world.path("certs", name + ".key"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def ask(method, path, body=b"", **fields):
    lines = [f"{method} {path} HTTP/1.1", "Rondo-Session: bench", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def join(samples=10):
    return ask("POST", "/v1/join", json.dumps({"protocol": 1, "samples": samples}).encode())


# ---- what is measured ----

class Served:
    """An aggregator with its two clients, and what is seen of it."""

    def __init__(self, world, name, options=(), run=RUN, port=0):
        self.world, self.state = world, name
        asynchronous = {"name": "fedbuff", "buffer_size": 2, "concurrency": 8}  # does not wait for members who never train
        self.config = world.write(f"{name}.json", {**run, "strategy": asynchronous, "cohort": {"min_clients": 2}})
        self.options = ("--workers", 1, *options)
        self.clients = []
        self.start(port)
        for c in HONEST:
            self.clients.append(world.start(world.program("rondo-client"), "--aggregator", self.process.url, *world.tls(c), "--data",
                                            world.path("t.csv"), log=f"{name}-{c}.log", preexec_fn=pinned))
        harness.wait_for(lambda: self.rounds() > 1, "rounds are done", 120, self.process)
        self.probe = world.start(sys.executable, os.path.abspath(__file__), "--probe", self.process.port, world.dir,
                                 log=f"{name}-probe.log", preexec_fn=pinned)
        harness.wait_for(lambda: os.path.getsize(self.probe.log), "it is answered", process=self.probe)

    def start(self, port):
        self.process = self.world.aggregator(self.config, *self.options, state=self.state, log=f"{self.state}.log", port=port,
                                             preexec_fn=pinned)
        self.port = self.process.port

    def end(self):
        for p in (self.probe, *self.clients, self.process):
            p.terminate()
            p.wait()

    def rounds(self):
        with open(self.process.log, "rb") as f:
            f.seek(max(0, os.path.getsize(self.process.log) - 16384))
            return int((re.findall(rb"\nround (\d+)", f.read()) or [b"0"])[-1])

    def memory(self):
        return int(re.search(r"\nPss:\s+(\d+)", harness.read(f"/proc/{self.process.pid}/smaps_rollup")).group(1)) * 1024 / 1e6

    def cpu(self):
        fields = harness.read(f"/proc/{self.process.pid}/stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def disk(self):
        return sum(os.path.getsize(self.world.path(self.state, "rondo.db" + more)) for more in ("", "-wal"))

    def answers(self, begin, end):
        """ms that answers took in that time."""
        lines = (line.split() for line in harness.read(self.probe.log).splitlines())
        return sorted(float(took) for at, took in (line for line in lines if len(line) == 2) if begin <= float(at) <= end)

    def stretch(self, seconds):
        size, before, used, disk, begin = os.path.getsize(self.process.log), self.rounds(), self.cpu(), self.disk(), time.time()
        time.sleep(seconds)
        end = time.time()
        took = end - begin
        with open(self.process.log, "rb") as f:
            f.seek(size)
            lines = sum(not line.startswith(b"round ") for line in f)
        return {"rounds": (self.rounds() - before) / took, "cpu": (self.cpu() - used) / took, "lines": lines / took,
                "disk": (self.disk() - disk) / took / 1e6, "answers": self.answers(begin, end)}


def summary(stretches):
    rounds = [s["rounds"] for s in stretches]
    answers = sorted(a for s in stretches for a in s["answers"])
    return {"rounds": statistics.median(rounds), "least": min(rounds), "most": max(rounds),
            **{key: statistics.median(s[key] for s in stretches) for key in ("cpu", "lines", "disk")},
            "p50": answers[len(answers) // 2] if answers else None,
            "p99": answers[len(answers) * 99 // 100] if answers else None}


def take_turns(served, what, attack, seconds, rows):
    quiet, attacked, notes, memory = [], [], [], 0
    for _ in range(TURNS):
        quiet.append(served.stretch(seconds))
        a = attack(served)
        begin = time.time()
        a.start()
        time.sleep(0.3)
        attacked.append(served.stretch(seconds))
        notes.append(a.count() / (time.time() - begin))
        memory = max(memory, served.memory())
        a.stop()
        time.sleep(0.5)
    row = {"case": what, "quiet": summary(quiet), "attacked": summary(attacked), "pss": memory,
           "note": f"{statistics.median(notes):.{0 if notes[0] > 5 else 1}f} {attack.unit} a second"}
    row["kept"] = row["attacked"]["rounds"] / max(row["quiet"]["rounds"], 1e-9)
    rows.append(row)
    print(f"# {what}: {row['quiet']['rounds']:.0f} -> {row['attacked']['rounds']:.0f} rounds/s, {row['note']}", file=sys.stderr)


def probe(port, directory):
    """A client that asks for something small twenty times a second, and writes down how long it took."""
    world = argparse.Namespace(path=lambda *parts: os.path.join(directory, *parts))
    context, plain = context_of(world, "probe"), None
    while True:
        begin = time.time()
        try:
            if plain is None:
                plain = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10), server_hostname="127.0.0.1")
                plain.sendall(join())
                plain.recv(65536)
                continue
            plain.sendall(ask("GET", "/v1/task?wait=0"))
            if plain.recv(65536):
                print(f"{begin:.3f} {1000 * (time.time() - begin):.2f}", flush=True)
            else:
                plain = None
        except OSError:
            plain = None
        time.sleep(0.05)


# ---- attacks ----

class Attack:
    """So many threads that call once() until they are stopped; what is in `held` is closed in the end."""
    threads, unit = 1, "times"

    def __init__(self, served):
        self.served, self.port, self.world = served, served.port, served.world
        self.over, self.counts, self.running = False, [], []

    def start(self):
        self.counts = [0] * self.threads
        self.running = [threading.Thread(target=self.run, args=(k,), daemon=True) for k in range(self.threads)]
        for t in self.running:
            t.start()

    def run(self, k):
        mine = argparse.Namespace(number=k, held=[], begin=time.time(), tls=None)
        while not self.over:
            try:
                self.once(mine)
                self.counts[k] += 1
            except OSError:
                mine.tls = None
                time.sleep(0.001)
        for s in mine.held:
            s.close()

    def count(self):
        return sum(self.counts)

    def stop(self):
        self.over = True
        for t in self.running:
            t.join()

    def connect(self, i=None):
        return socket.create_connection(("127.0.0.1", self.port), 5, None if i is None else (address(i), 0))

    def tls(self, mine, name):
        if mine.tls is None:
            mine.tls = context_of(self.world, name).wrap_socket(self.connect(), server_hostname="127.0.0.1")
            mine.tls.settimeout(5)
            mine.tls.sendall(join())
            mine.tls.recv(65536)
        return mine.tls


class Hellos(Attack):
    threads, unit, many, rate = 2, "ClientHellos", True, None

    def once(self, mine):
        if self.rate is not None:
            time.sleep(max(0, mine.begin + self.counts[mine.number] * self.threads / self.rate - time.time()))
        mine.held.append(self.connect(self.threads * self.counts[mine.number] + mine.number if self.many else None))
        mine.held[-1].sendall(hello())
        if len(mine.held) > 500:
            mine.held.pop(0).close()


class SixHundredHellos(Hellos):
    rate = 600


class HellosOfOne(Hellos):
    many = False


class LongChains(Attack):
    unit = "chains"

    def once(self, mine):
        time.sleep(max(0, mine.begin + 2 * self.counts[0] - time.time()))
        context = ssl.create_default_context(cafile=self.world.path("certs", "ca.crt"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.world.path("long.pem"), self.world.path("certs", "asker.key"))
        try:
            context.wrap_socket(self.connect(), server_hostname="127.0.0.1").close()
        except ssl.SSLError:
            pass


class Mute(Attack):
    """201 that say nothing; what is closed comes again."""
    unit = "came again"

    def once(self, mine):
        mine.held.append(self.connect(self.counts[0]))
        if len(mine.held) <= 201:
            return
        mine.held.pop(0).close()
        time.sleep(0.01)


class Askers(Attack):
    threads, unit = 8, "answers"

    def once(self, mine):
        s = self.tls(mine, "asker")
        s.sendall(ask("GET", "/v1/rounds?from=1"))
        head, _, body = s.recv(65536).partition(b"\r\n\r\n")
        size = re.search(rb"Content-Length: (\d+)", head)
        if size is None:
            raise OSError("no answer")
        left = int(size.group(1)) - len(body)
        while left > 0:
            piece = s.recv(1 << 20)
            if not piece:
                raise OSError("cut off")
            left -= len(piece)


class Joins(Attack):
    """A hundred in one write, each of which says something else; then their answers."""
    threads, unit, pack = 2, "times 100 joins", 100

    def once(self, mine):
        s = self.tls(mine, "asker")
        s.sendall(b"".join(join(1 + i % 1000) for i in range(self.pack)))
        heard = 0
        while heard < self.pack:
            piece = s.recv(1 << 20)
            if not piece:
                raise OSError("cut off")
            heard += piece.count(b"HTTP/1.1 ")


class Uploads(Attack):
    """Sixty of one member, each of all but the last of its bytes."""
    threads, unit, model = 4, "uploads", b""

    def once(self, mine):
        time.sleep(0.02)
        if len(mine.held) >= 15:
            mine.held.pop(0).close()
        mine.tls = None
        s = self.tls(mine, "asker")
        mine.held.append(s)
        s.sendall(ask("GET", "/v1/task?wait=0"))
        task = re.search(rb'"round":\s*(\d+).*?"model":\s*(\d+)', s.recv(65536))
        if task is None:
            raise OSError("no task")
        s.sendall(ask("GET", f"/v1/model/{task.group(2).decode()}", Range="bytes=0-0"))
        tag = re.search(rb"ETag: (\S+)", s.recv(65536))
        if tag is None:
            raise OSError("no model")
        number = task.group(1).decode()
        body = self.update(number)
        head = ask("POST", f"/v1/rounds/{number}/train", Rondo_Model=tag.group(1).decode())
        s.sendall(head.replace(b"Content-Length: 0", b"Content-Length: %d" % len(body)))
        s.sendall(body[:-1])

    def update(self, number):
        """The model itself, as if it were what was learnt in this round."""
        size = int.from_bytes(self.model[:8], "little")
        head = json.loads(self.model[8:8 + size])
        head["__metadata__"] = {"round": number, "samples": "10"}
        text = json.dumps(head).encode()
        return len(text).to_bytes(8, "little") + text + self.model[8 + size:]


# ---- a chain that takes long to check ----

def der(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    return bytes([tag]) + (bytes([n]) if n < 128 else bytes([0x82]) + n.to_bytes(2, "big")) + body


def long_chain(world):
    """Four certificates above one of a key that we have, each with RSA of 8192 bits and as long an exponent; the signatures
    are none, which is found out last."""
    rsa, text = der(0x30, bytes.fromhex("06092a864886f70d01010b0500")), bytes.fromhex("06092a864886f70d0101010500")

    def name(word):
        return der(0x30, der(0x31, der(0x30, bytes.fromhex("0603550403"), der(0x0c, word.encode()))))

    def big():
        return der(0x02, b"\0" + bytes([0x80 | os.urandom(1)[0]]) + os.urandom(1022) + b"\1")

    def certificate(subject, issuer, key, authority):
        extensions = der(0xa3, der(0x30, der(0x30, bytes.fromhex("0603551d13"), der(0x04, der(0x30, b"\1\1\xff"))))) if authority else b""
        body = der(0x30, der(0xa0, b"\2\1\2"), b"\2\1\7", rsa, name(issuer),
                   der(0x30, der(0x17, b"250101000000Z"), der(0x17, b"450101000000Z")), name(subject), key, extensions)
        return der(0x30, body, rsa, der(0x03, b"\0" + os.urandom(1024)))
    certs = world.path("certs", "asker.key")
    own = subprocess.run(["openssl", "pkey", "-in", certs, "-pubout", "-outform", "DER"], capture_output=True, check=True).stdout
    chain = [certificate("asker", "i0", own, False)]
    for i in range(4):
        chain.append(certificate(f"i{i}", f"i{i + 1}", der(0x30, der(0x30, text), der(0x03, b"\0" + der(0x30, big(), big()))), True))
    world.write("long.pem", "".join(ssl.DER_cert_to_PEM_cert(c) for c in chain))


# ---- the crowd ----

class Crowd:
    """So many connections of one certificate, opened by four threads; each has joined, and waits for a task."""

    def __init__(self, world, count):
        self.context = context_of(world, "crowd")
        self.open, self.sessions, self.failed, self.resumed = [None] * count, [None] * count, 0, 0
        self.lock = threading.Lock()

    def come(self, port):
        """Seconds until all are there; who is closed tries again, to a limit."""
        begin = time.time()
        threads = [threading.Thread(target=self.part, args=(port, k, begin + CROWD_SECONDS), daemon=True) for k in range(4)]
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
                    s.sendall(join())
                    if not s.recv(65536).startswith(b"HTTP/1.1 200"):
                        raise OSError("not taken in")
                    s.sendall(ask("GET", "/v1/task?wait=300"))
                except OSError:
                    with self.lock:
                        self.failed += 1
                    time.sleep(0.02)
                    continue
                self.open[i], self.sessions[i] = s, s.session
                with self.lock:
                    self.resumed += s.session_reused

    def leave(self):
        for s in self.open:
            if s:
                s.close()
        self.open, self.failed, self.resumed = [None] * len(self.open), 0, 0

    def there(self):
        return sum(s is not None for s in self.open)


def crowds(world, count, seconds, rows):
    served = Served(world, "crowd", ("--max-connections", 15000, "--connections-per-client", 15000, "--connections-per-address", 15000))
    quiet = summary([served.stretch(seconds) for _ in range(TURNS)])
    memory, crowd = served.memory(), Crowd(world, count)

    def come(what, begin, used):
        first = served.rounds()
        took = crowd.come(served.port)
        there = crowd.there()
        on_the_way = {"rounds": (served.rounds() - first) / took, "cpu": (served.cpu() - used) / took, "lines": 0, "disk": 0,
                      "answers": served.answers(begin, time.time())}
        rows.append({"case": what, "quiet": quiet, "attacked": summary([on_the_way]), "pss": served.memory(),
                     "kept": on_the_way["rounds"] / max(quiet["rounds"], 1e-9),
                     "note": f"{there} of {count} there in {took:.1f} s, {crowd.resumed} resumed, {crowd.failed} tried again; "
                             f"{served.cpu() - used:.1f} s of CPU"})
        print(f"# {what}: {rows[-1]['note']}", file=sys.stderr)
        return there
    there = come("a crowd comes", time.time(), served.cpu())
    idle = [served.stretch(seconds) for _ in range(TURNS)]
    rows.append({"case": "it waits for tasks", "quiet": quiet, "attacked": summary(idle), "pss": served.memory(),
                 "kept": summary(idle)["rounds"] / max(quiet["rounds"], 1e-9),
                 "note": f"{1000 * (served.memory() - memory) / max(1, there):.1f} kB a connection"})
    for what in ("tickets", "full handshakes"):
        if what == "full handshakes":
            crowd.sessions = [None] * count
        served.process.terminate()
        served.process.wait()
        crowd.leave()
        port = served.port
        begin = time.time()
        served.start(port)
        come(f"it returns at once, {what}", begin, 0)
    crowd.leave()
    served.end()


# ---- all of it ----

def cell(value, digits=0):
    return "–" if value is None else f"{value:.{digits}f}"


def table(rows):
    print(f"aggregator and clients on core {OURS}, the others on core {OTHERS}" + (", which is the same" if OURS == OTHERS else ""))
    print("\n| | rounds/s in quiet | with it | kept | answers p50, p99 in quiet | with it | CPU | PSS MB | lines/s | disk MB/s | |\n"
          "|---|---|---|---|---|---|---|---|---|---|---|")
    for r in rows:
        q, a = r["quiet"], r["attacked"]
        print(f"| {r['case']} | {q['rounds']:.0f} ({q['least']:.0f}–{q['most']:.0f}) | {a['rounds']:.0f} ({a['least']:.0f}–{a['most']:.0f}) | "
              f"{100 * r['kept']:.0f} % | {cell(q['p50'], 1)}, {cell(q['p99'], 1)} | {cell(a['p50'], 1)}, {cell(a['p99'], 1)} | "
              f"{a['cpu']:.2f} | {r['pss']:.1f} | {a['lines']:.1f} | {a['disk'] - q['disk']:.2f} | {r['note']} |")


def measure(world, o, rows):
    seconds = 1 if o.short else 3
    count = o.connections or (300 if o.short else 9900)
    world.certificates([*HONEST, "asker", "crowd", "probe"])
    world.write("t.csv", "a,b,label\n" + "".join(f"{i % 5},{i % 3},{i % 2}\n" for i in range(40)))
    long_chain(world)
    served = Served(world, "tiny", ("--connections-per-client", 100))
    take_turns(served, "RSA-8192 chain every 2 s", LongChains, seconds, rows)
    take_turns(served, "600 ClientHellos/s, many addresses", SixHundredHellos, seconds, rows)
    take_turns(served, "as many as can be, many addresses", Hellos, seconds, rows)
    take_turns(served, "as many as can be, one address", HellosOfOne, seconds, rows)
    take_turns(served, "8 members ask for /v1/rounds", Askers, seconds, rows)
    take_turns(served, "joins repeated, each with news", Joins, seconds, rows)
    served.end()
    served = Served(world, "mute", ("--max-connections", 200))
    take_turns(served, "201 mute, --max-connections 200", Mute, seconds, rows)
    served.end()
    units = 400
    layers = [{"type": "dense", "units": units, "activation": "relu"}] * 8 + [{"type": "dense", "units": 2}]
    run = {**RUN, "model": {**RUN["model"], "layers": layers}, "training": {"learning_rate": 1e-6, "batch_size": 0}}
    served = Served(world, "large", ("--connections-per-client", 100), run)
    path = world.path("large", "models")
    newest = sorted(f for f in os.listdir(path) if f.endswith(".safetensors"))[-1]
    with open(os.path.join(path, newest), "rb") as f:
        Uploads.model = f.read()
    take_turns(served, f"60 unfinished uploads of {len(Uploads.model) / 1e6:.0f} MB", Uploads, seconds, rows)
    served.end()
    crowds(world, count, seconds, rows)


def main():
    if sys.argv[1:2] == ["--probe"]:
        probe(int(sys.argv[2]), sys.argv[3])
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--connections", type=int, help="of the crowd; 9900, with --short 300")
    parser.add_argument("--short", action="store_true", help="stretches of 1 s instead of 3, and a small crowd")
    parser.add_argument("--json", action="store_true")
    o = parser.parse_args()
    os.sched_setaffinity(0, {OTHERS})
    rows, world = [], harness.World(os.path.abspath(o.build), "bench-door")
    try:
        measure(world, o, rows)
    finally:
        world.close()
    if o.json:
        print(json.dumps(rows))
    else:
        table(rows)


if __name__ == "__main__":
    main()
