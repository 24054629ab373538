#!/usr/bin/env python3
"""Strangers at the door: what those without a certificate can do to the rounds of those with one."""
import contextlib
import ctypes
import os
import re
import resource
import socket
import threading
import time

import harness
from harness import read, wait_for

RUN = {"rounds": 1000000, "seed": 1, "training": {"learning_rate": 0.1, "batch_size": 0},
       "model": {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]}}


def hello():
    """A ClientHello of TLS 1.2 that the aggregator likes: it answers with a signature and a point of a curve."""
    extensions = bytes.fromhex("000a0006000400170018" "000b00020100" "000d000a00080403040105030501")
    body = b"\x03\x03" + os.urandom(32) + b"\x00" + b"\x00\x06" + bytes.fromhex("c02bc02fcca8") + b"\x01\x00"
    body += len(extensions).to_bytes(2, "big") + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def connect(port, text=b""):
    s = socket.create_connection(("127.0.0.1", port))
    s.sendall(text)
    return s


def rounds(aggregator):
    return int((re.findall(r"\nround (\d+)", read(aggregator.log)) or ["0"])[-1])


def begin(world, *options, **change):
    world.certificates(["one", "two", "asker"])
    world.write("t.csv", "a,b,label\n" + "".join(f"{i % 5},{i % 3},{i % 2}\n" for i in range(40)))
    aggregator = world.aggregator(world.write("run.json", {**RUN, "cohort": {"min_clients": 2}, **change}), *options)
    for name in ("one", "two"):
        world.client(aggregator, name, world.path("t.csv"))
    wait_for(lambda: rounds(aggregator) > 20, "rounds are done", process=aggregator)
    return aggregator


def a_second(aggregator, seconds=3):
    """Rounds a second."""
    begin, before = time.time(), rounds(aggregator)
    time.sleep(seconds)
    return (rounds(aggregator) - before) / (time.time() - begin)


class Flood:
    """So many ClientHellos a second; each connection is left open until `held` are."""

    def __init__(self, port, held, rate):
        self.port, self.held, self.rate, self.count, self.open, self.over = port, held, rate, 0, [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        begin = time.time()
        while not self.over:
            time.sleep(max(0, begin + self.count / self.rate - time.time()))
            try:
                self.count += 1
                self.open.append(connect(self.port, hello()))
            except OSError:
                pass
            if len(self.open) > self.held:
                self.open.pop(0).close()

    def stop(self):
        self.over = True
        self.thread.join()
        for s in self.open:
            s.close()


def is_served(world, aggregator, name):
    """Does a new connection get an answer? It is closed where there is no place."""
    try:
        return world.session(aggregator, name).request("GET", "/v1/run")[0] == 200
    except OSError:
        return False


class Askers:
    """So many connections of one client that ask for one thing as fast as they are answered."""

    def __init__(self, world, aggregator, name, path, count):
        self.world, self.over, self.answers, self.failure = world, False, 0, None
        self.session = world.session(aggregator, name)
        assert self.session.join()[0] == 200
        self.threads = [threading.Thread(target=self.run, args=(aggregator, name, path)) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, aggregator, name, path):
        session = self.world.session(aggregator, name)
        while not self.over:
            status, answer, headers = session.request("GET", path)
            if status == 503 and answer["error"] == "busy":
                time.sleep(int(headers["Retry-After"]))
                continue
            if status != 200 or not answer:
                self.failure = (status, answer)
            self.answers += 1

    def stop(self):
        self.over = True
        for thread in self.threads:
            thread.join()


def test_who_asks_for_rounds_holds_up_none(world):
    """Each answer is made of all rounds so far, read from the disk. With one worker, and in rounds, not in seconds: while it
    is read on the worker itself, there are more answers than rounds. The asker is a client that never trains, so rounds
    are asynchronous ones, which do not wait for it."""
    aggregator = begin(world, "--workers", 1, strategy={"name": "fedbuff", "buffer_size": 2, "concurrency": 3})
    wait_for(lambda: rounds(aggregator) > 500, "an answer is long", process=aggregator)
    askers = Askers(world, aggregator, "asker", "/v1/rounds?from=1", 8)
    try:
        wait_for(lambda: askers.answers >= 8, "they are answered", process=aggregator)
        before, answers = rounds(aggregator), askers.answers
        wait_for(lambda: rounds(aggregator) > before + 100, "rounds go on", process=aggregator)
        more = askers.answers - answers
    finally:
        askers.stop()
    print(f"# {more} answers in the time of 100 rounds")
    assert more < 50, more
    assert askers.failure is None, askers.failure


def test_nobody_reads_records_without_end(world):
    """By name, over however many connections: 16 MB at once, then 1 MB a second."""
    aggregator = begin(world, strategy={"name": "fedbuff", "buffer_size": 2, "concurrency": 3})
    wait_for(lambda: rounds(aggregator) > 500, "an answer is long", process=aggregator)
    asker, read_bytes, begun = world.session(aggregator, "asker"), 0, time.time()
    assert asker.join()[0] == 200
    sessions = [world.session(aggregator, "asker") for _ in range(3)]
    for i in range(1000):
        session = sessions[i % 3]
        status, answer, headers = session.request("GET", "/v1/rounds?from=1")
        if status != 200:
            break
        read_bytes += int(headers["Content-Length"])
    took = time.time() - begun
    assert status == 503 and answer["error"] == "busy" and int(headers["Retry-After"]) >= 1, (status, answer)
    assert 16e6 <= read_bytes <= 16e6 + 1e6 * took + 1e6, (read_bytes, took)
    wait_for(lambda: session.request("GET", "/v1/rounds?from=1")[0] == 200, "a moment later it may again", process=aggregator)


def resident(process):
    return int(re.search(r"VmRSS:\s+(\d+)", read(f"/proc/{process.pid}/status")).group(1)) / 1024


def test_a_flood_of_handshakes_leaves_the_rounds_their_half(world):
    """The address may come as often as it likes: what is tested is that its handshakes have to wait for the rounds."""
    aggregator = begin(world, "--workers", 1, "--rate-per-address", 1000000, "--max-handshakes", 200)
    quiet, memory = a_second(aggregator), resident(aggregator)
    flood = Flood(aggregator.port, 400, 2000)
    try:
        time.sleep(0.5)
        flooded, more = a_second(aggregator), resident(aggregator) - memory
    finally:
        flood.stop()
    print(f"# {quiet:.0f} rounds/s, under {flood.count} handshakes {flooded:.0f}; {more:.1f} MB more")
    assert flood.count > 500, flood.count
    # Half of the worker, and the flood takes its part of the machine, as other tests do. Without the share: a fiftieth.
    assert flooded > quiet / 10, (quiet, flooded)
    assert more < 30 or harness.SANITIZED, more  # a sanitizer holds back what was freed
    lines = read(aggregator.log).count("127.0.0.1:")
    assert lines < 200, lines
    assert re.search(r"listener: closed: \d+ of too many in the handshake \(--max-handshakes\)", read(aggregator.log))


def test_who_comes_too_often_is_closed_at_once(world):
    aggregator = begin(world, "--rate-per-address", 2)
    flood = Flood(aggregator.port, 10, 100)
    try:
        wait_for(lambda: re.search(r"closed: \d+ of addresses that come too often", read(aggregator.log)), "it is said")
        before = rounds(aggregator)
        wait_for(lambda: rounds(aggregator) > before + 20, "rounds go on", process=aggregator)
    finally:
        flood.stop()


def test_mute_connections_keep_nobody_out(world):
    """More than there is room for, each silent for ever; a client that comes later has its place, though perhaps not at the
    first try: while a worker has not yet looked at those that wait for it, it is closed like them.
    Silence alone makes no room within a day."""
    world.certificates(["one"])
    aggregator = world.aggregator(world.write("run.json", {**RUN, "cohort": {"min_clients": 2}}), "--max-connections", 200,
                                  "--idle-seconds", 86400)
    mute = [connect(aggregator.port) for _ in range(250)]
    wait_for(lambda: is_served(world, aggregator, "one"), "it has its place", seconds=30)
    for s in mute:
        s.close()


def test_one_certificate_has_so_many_connections(world):
    world.certificates(["one", "two"])
    aggregator = world.aggregator(world.write("run.json", {**RUN, "cohort": {"min_clients": 2}}), "--connections-per-client", 3)
    held = [world.session(aggregator, "one") for _ in range(3)]
    for session in held:
        assert session.request("GET", "/v1/run")[0] == 200
    assert not is_served(world, aggregator, "one"), "a fourth connection"
    assert is_served(world, aggregator, "two")
    wait_for(lambda: "closed: 1 of clients with too many open (--connections-per-client)" in read(aggregator.log), "it is said")
    held[0].connection.close()
    wait_for(lambda: is_served(world, aggregator, "one"), "there is a place again")


def test_who_has_joined_has_room_kept(world):
    """Another certificate has more connections than there are places, and has not joined."""
    world.certificates(["one", "two"])
    aggregator = world.aggregator(world.write("run.json", {**RUN, "cohort": {"min_clients": 2}}), "--workers", 1,
                                  "--max-connections", 40, "--connections-per-client", 1000, "--connections-per-address", 1000)
    joined = world.session(aggregator, "one")
    assert joined.join()[0] == 200
    guests = [world.session(aggregator, "two") for _ in range(50)]
    for guest in guests:
        try:
            guest.request("GET", "/v1/run")
        except OSError:
            pass  # it is closed where there is no place
    assert joined.task(0)[0] == 204
    again = world.session(aggregator, "one")
    assert again.task(0)[0] == 204, "on a connection more, at once"
    wait_for(lambda: re.search(r"closed: \d+ of too many that have not joined", read(aggregator.log)), "it is said")


def test_one_address_has_so_many_connections(world):
    world.certificates(["one"])
    aggregator = world.aggregator(world.write("run.json", RUN), "--connections-per-address", 3)
    held = [connect(aggregator.port) for _ in range(4)]
    held[3].settimeout(20)
    assert held[3].recv(1) == b""
    wait_for(lambda: "closed: 1 of addresses with too many open" in read(aggregator.log), "it is said")
    for s in held:
        s.close()
    wait_for(lambda: is_served(world, aggregator, "one"), "there is a place again")


def many_certificates(world, names):
    """All with one key, which is quicker than many."""
    world.certificates(names[:1])
    certs = world.path("certs")
    world.write("certs/x.ext", "extendedKeyUsage=clientAuth\n")
    for name in names[1:]:
        os.symlink(f"{certs}/{names[0]}.key", f"{certs}/{name}.key")
    world.check("sh", "-ec", f"""cd {certs}; for name in "$@"; do openssl req -new -key {names[0]}.key -subj /CN=$name |
                openssl x509 -req -days 1 -CA ca.crt -CAkey ca.key -CAcreateserial -extfile x.ext -out $name.crt; done""",
                "sh", *names[1:])


def test_the_more_there_are_the_longer_they_spread(world):
    """Where they lose the aggregator: 50 a second of each worker."""
    names = [f"c{i}" for i in range(51)]
    many_certificates(world, names)
    aggregator = world.aggregator(world.write("run.json", {**RUN, "cohort": {"min_clients": 200}}), "--workers", 1)
    sessions = [world.session(aggregator, name) for name in names]
    told = [session.join()[2]["Rondo-Return"] for session in sessions]
    assert told == ["0"] * 49 + ["1"] * 2, told
    for session in sessions[2:]:
        session.connection.close()
    wait_for(lambda: sessions[0].task(0)[2]["Rondo-Return"] == "0", "those who have gone do not count")
    status, _, headers = sessions[0].task(0)
    assert status == 204 and headers["Retry-After"] == "0", headers


@contextlib.contextmanager
def own_network(world):
    """The test has a loopback of its own, and so have the programs that it starts. What it gives is a function that makes
    it slow, with so many bytes a second, but for what is sent by one socket."""
    clone_newnet, libc = 0x40000000, ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(clone_newnet) != 0:
            raise harness.Skip("needs root to make a network")
        world.check("ip", "link", "set", "lo", "mtu", 576, "gso_max_segs", 1, "up")
        if world.run("tc", "qdisc", "add", "dev", "lo", "root", "handle", "1:", "htb", "default", "10").returncode != 0:
            raise harness.Skip("needs tc and its htb to make a slow network")

        def make_slow(rate, but):
            but.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 0x10020)  # the second class
            for handle, speed in (("1:20", "1gbit"), ("1:10", f"{rate}bps")):
                world.check("tc", "class", "add", "dev", "lo", "parent", "1:", "classid", handle, "htb", "rate", speed, "burst", 600)
        yield make_slow
    finally:
        libc.setns(before, clone_newnet)
        os.close(before)


def test_who_takes_an_answer_too_slowly_is_closed(world):
    """At 280 bytes/s something arrives all the time, and never enough. The answer is larger than the system's buffers."""
    with own_network(world) as make_slow:
        world.certificates(["one"])
        model = {"input": 50000, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]}
        aggregator = world.aggregator(world.write("run.json", {**RUN, "model": model}), "--idle-seconds", 3)
        session = world.session(aggregator, "one")
        assert session.request("GET", "/v1/run")[0] == 200
        make_slow(280, session.connection.sock)
        session.connection.request("GET", "/v1/model/0")
        wait_for(lambda: "'one'" in read(aggregator.log), "it is closed", 30, aggregator)
        assert "'one' is too slow in the middle of a request: a head has 3 s, a body or an answer 512 bytes/s" in read(aggregator.log), read(aggregator.log)


def test_as_many_files_as_the_system_allows(world):
    """The soft limit is raised to the hard one; what does not fit is refused, or told where it was only the default."""
    world.certificates(["one"])
    config = world.write("run.json", RUN)
    aggregator = world.aggregator(config, command=("prlimit", "--nofile=100:700"))
    assert re.search(r"Max open files +700 +700", read(f"/proc/{aggregator.pid}/limits"))
    assert "at most 572 connections, not 10000: this process may have 700 files open" in read(aggregator.log)
    refused = world.run("prlimit", "--nofile=100:700", world.program("rondo-aggregator"), "serve", "--config", config, "--state",
                        world.path("other"), "--listen", "127.0.0.1:0", *world.tls("aggregator"), "--max-connections", 573)
    assert refused.returncode == 2 and "--max-connections 573: this process may have 700 files open" in refused.stderr, refused


def test_a_model_that_cannot_be_opened_now_is_asked_for_again(world):
    world.certificates(["one"])
    aggregator = world.aggregator(world.write("run.json", {**RUN, "cohort": {"min_clients": 1}}))
    session = world.session(aggregator, "one")
    assert session.join()[0] == 200 and session.task()[0] == 200
    limits = resource.prlimit(aggregator.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(aggregator.pid, resource.RLIMIT_NOFILE, (3, limits[1]))
    status, answer, headers = session.request("GET", "/v1/model/0")
    assert status == 503 and answer["error"] == "busy" and headers["Retry-After"] == "2", (status, answer)
    resource.prlimit(aggregator.pid, resource.RLIMIT_NOFILE, limits)
    assert session.request("GET", "/v1/model/0")[0] == 200


if __name__ == "__main__":
    harness.main()
