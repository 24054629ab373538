#!/usr/bin/env python3
"""Session tickets: who comes back without showing certificates again, and who has to show them."""
import os
import re
import signal
import socket
import ssl
import struct
import threading
import time

import harness
from harness import read, wait_for

RUN = {"rounds": 1000000, "seed": 1, "training": {"learning_rate": 0.1, "batch_size": 0}, "cohort": {"min_clients": 1},
       "model": {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]}}
LIFE = 12 * 3600


class Visitor:
    """A client that keeps its session from connection to connection."""

    def __init__(self, world, name):
        self.world, self.name, self.context, self.session = world, name, None, None

    def visit(self, aggregator):
        """Was it resumed, and what was the answer? An error where the handshake fails."""
        visit = self.world.session(aggregator, self.name)
        self.context = self.context or visit.connection._context
        plain = socket.create_connection(("127.0.0.1", aggregator.port), timeout=30 * harness.SLOW)
        visit.connection.sock = self.context.wrap_socket(plain, server_hostname="127.0.0.1", session=self.session)
        resumed, self.session = visit.connection.sock.session_reused, visit.connection.sock.session
        status = visit.request("GET", "/v1/run")[0]  # which closes the connection where the answer is the last one
        visit.connection.close()
        return resumed, status


def stop(aggregator):
    aggregator.terminate()
    aggregator.wait()


def test_after_a_restart_clients_come_back_with_their_tickets(world):
    world.certificates(["one", "two"])
    config = world.write("run.json", RUN)
    aggregator = world.aggregator(config)
    one = Visitor(world, "one")
    assert one.visit(aggregator) == (False, 200) and one.visit(aggregator) == (True, 200)
    stop(aggregator)
    keys = world.path("state", "tickets.key")
    assert os.stat(keys).st_mode & 0o777 == 0o600
    aggregator = world.aggregator(config)
    assert one.visit(aggregator) == (True, 200), "the keys lie in the state directory"
    stop(aggregator)

    def backdate(seconds):
        """As if the keys had been made so long ago."""
        with open(keys, "rb") as f:
            raw = bytearray(f.read())
        for end in (len(raw) - 56, len(raw)):
            raw[end - 8:end] = struct.pack("<Q", struct.unpack("<Q", raw[end - 8:end])[0] - seconds)
        with open(keys, "wb") as f:
            f.write(raw)
        return bytes(raw)
    before = backdate(LIFE + 60)
    aggregator = world.aggregator(config)
    assert read_bytes(keys)[-112:-56] != before[-112:-56] and read_bytes(keys)[-56:] == before[-112:-56], "a new key, and the old one"
    assert one.visit(aggregator) == (True, 200), "the old key opens for one life more"
    stop(aggregator)
    backdate(2 * LIFE)
    aggregator = world.aggregator(config)
    assert one.visit(aggregator) == (False, 200), "now it is gone"


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def test_a_ticket_opens_no_door_that_has_been_closed(world):
    world.certificates(["one", "two", "three"])
    config, allowed = world.write("run.json", RUN), world.write("allowed", "one\ntwo\n")
    aggregator = world.aggregator(config, "--allow", allowed)
    one, two = Visitor(world, "one"), Visitor(world, "two")
    assert one.visit(aggregator) == (False, 200) and two.visit(aggregator) == (False, 200)
    stop(aggregator)
    world.write("allowed", "two\n")
    aggregator = world.aggregator(config, "--allow", allowed)
    assert one.visit(aggregator) == (True, 403) and two.visit(aggregator) == (True, 200)
    # Thrown out by name while the aggregator runs.
    three = Visitor(world, "three")
    world.write("allowed", "two\nthree\n")
    os.kill(aggregator.pid, signal.SIGHUP)
    wait_for(lambda: "2 clients may take part" in read(aggregator.log), "the list is read again")
    assert three.visit(aggregator) == (False, 200) and three.visit(aggregator) == (True, 200)
    world.check(world.program("rondo-aggregator"), "revoke", "three", "--state", world.path("state"))
    try:
        raise AssertionError(three.visit(aggregator))
    except OSError as e:
        assert "revoked" in str(e).lower(), e
    stop(aggregator)
    # Another authority is none that has signed this certificate.
    world.check(os.path.join(harness.ROOT, "certs", "make-certs"), world.path("others"), "ca")
    os.rename(world.path("certs", "ca.crt"), world.path("certs", "first.crt"))
    os.rename(world.path("others", "ca.crt"), world.path("certs", "ca.crt"))
    aggregator = world.aggregator(config)
    os.rename(world.path("certs", "first.crt"), world.path("certs", "ca.crt"))
    try:
        raise AssertionError(two.visit(aggregator))
    except OSError:
        pass
    wait_for(lambda: "not correctly signed by the trusted CA" in read(aggregator.log), "it is said why")


def test_a_ticket_ends_with_the_certificate(world):
    world.certificates(["one"])
    at = world.path("certs")
    world.write("ca.conf", f"[ca]\ndefault_ca=d\n[d]\ndatabase={at}/index\nserial={at}/serial\nnew_certs_dir={at}\n"
                "default_md=sha256\npolicy=p\ncopy_extensions=copy\n[p]\ncommonName=supplied\n[x]\nextendedKeyUsage=clientAuth\n")
    world.write("certs/index", "")
    world.write("certs/serial", "77\n")
    aggregator = world.aggregator(world.write("run.json", RUN))
    world.check("openssl", "req", "-new", "-key", f"{at}/one.key", "-subj", "/CN=one", "-out", f"{at}/one.csr")
    end = int(time.time() + 6 * harness.SLOW ** 0.5)
    world.check("openssl", "ca", "-batch", "-config", world.path("ca.conf"), "-extensions", "x", "-cert", f"{at}/ca.crt",
                "-keyfile", f"{at}/ca.key", "-in", f"{at}/one.csr", "-out", f"{at}/one.crt", "-notext", "-enddate",
                time.strftime("%Y%m%d%H%M%SZ", time.gmtime(end)))
    one = Visitor(world, "one")
    assert one.visit(aggregator) == (False, 200) and one.visit(aggregator) == (True, 200)
    time.sleep(max(0, end + 1.5 - time.time()))
    try:
        raise AssertionError(one.visit(aggregator))
    except OSError:
        pass
    wait_for(lambda: 'certificate "CN=one" refused: The certificate validity has expired' in read(aggregator.log), "it is said why")


def cut(*sockets):
    for s in sockets:
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Watcher:
    """A wire on which one sees what the aggregator says in clear: one bytearray a connection."""

    def __init__(self, port):
        self.port, self.said, self.ends = port, [], ()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            near = self.listener.accept()[0]
            try:
                far = socket.create_connection(("127.0.0.1", self.port))
            except OSError:  # it is being restarted
                near.close()
                continue
            self.said.append(bytearray())
            self.ends = (near, far)
            threading.Thread(target=self.pump, args=(near, far, bytearray()), daemon=True).start()
            threading.Thread(target=self.pump, args=(far, near, self.said[-1]), daemon=True).start()

    def pump(self, source, target, said):
        try:
            while data := source.recv(65536):
                said += data[:max(0, 8192 - len(said))]
                target.sendall(data)
        except OSError:
            pass
        cut(source, target)



def messages_in_clear(raw):
    """Types of the handshake messages before the keys change; None: they have not yet."""
    content, at = b"", 0
    while at + 5 <= len(raw) and raw[at] == 22:
        size = int.from_bytes(raw[at + 3:at + 5], "big")
        content += raw[at + 5:at + 5 + size]
        at += 5 + size
    if at >= len(raw) or raw[at] != 20:
        return None
    types = []
    while content:
        types.append(content[0])
        content = content[4 + int.from_bytes(content[1:4], "big"):]
    return types


def test_the_client_resumes(world):
    """The aggregator is restarted in the midst of rounds, and the connection is cut: the client comes back with its ticket, and
    the rounds go on."""
    world.certificates(["one"])
    world.write("t.csv", "a,b,label\n" + "".join(f"{i % 5},{i % 3},{i % 2}\n" for i in range(40)))
    config, wire = world.write("run.json", RUN), None
    for start in range(3):
        aggregator = world.aggregator(config, port=wire.port if wire else 0, log=f"{start}.log")
        if wire is None:
            wire = Watcher(aggregator.port)
            world.client(wire, "one", world.path("t.csv"))
        wait_for(lambda: len(re.findall(r"\nround \d+", read(aggregator.log))) > 5, "rounds are done", process=aggregator)
        messages = messages_in_clear(bytes(wire.said[-1]))
        assert (11 in messages) == (start == 0), (start, messages)  # 11: the aggregator's certificate
        if start < 2:
            stop(aggregator)
    before, count = len(wire.said), len(re.findall(r"\nround \d+", read(aggregator.log)))
    cut(*wire.ends)  # an end without a goodbye
    wait_for(lambda: len(re.findall(r"\nround \d+", read(aggregator.log))) > count + 5, "rounds go on", process=aggregator)
    assert len(wire.said) > before and 11 not in messages_in_clear(bytes(wire.said[-1]))


if __name__ == "__main__":
    harness.main()
