#!/usr/bin/env python3
"""What people, networks and disks do wrong: each gets a clear answer, and the round goes on without it."""
import json
import os
import socket
import ssl
import struct
import time

import harness
from harness import read, read_safetensors, safetensors, wait_exit, wait_for

MODEL = {"preset": "linear-regression", "input": 2}


def make_config(world, rounds=1, **cohort):
    return world.write("run.json", {"rounds": rounds, "model": MODEL, "training": {"learning_rate": 0.1},
                                    "cohort": {"min_clients": 1, "deadline_seconds": 300, **cohort}})


def delta(weight=(0.5, -0.25), bias=(1.0,), round=1, samples=10, **changes):
    metadata = {"round": str(round), "samples": str(samples)}
    return safetensors({"fc1.weight": ([1, 2], list(weight)), "fc1.bias": ([1], list(bias))}, metadata, **changes)


def one_round(world, **options):
    """An aggregator with round 1 open for client 'good', and for 'holder', who keeps it open until `finish`."""
    world.certificates(["good", "evil", "holder"])
    aggregator = world.aggregator(make_config(world, **{"min_clients": 2, **options}), "--linger-seconds", "0")
    good = world.session(aggregator, "good")
    good.holder = world.session(aggregator, "holder")
    good.holder.join()
    status, welcome, _ = good.join()
    assert status == 200 and welcome["client"] == "good"
    status, task, _ = good.task()
    assert status == 200 and task["round"] == 1
    return aggregator, good


def finish(world, aggregator, good):
    """The good client delivers, is counted, and the model is exactly what it should be."""
    status, receipt, _ = good.update(1, delta())
    assert (status, receipt) == (200, {"round": 1, "counted": True}), (status, receipt)
    assert good.holder.request("POST", "/v1/leave")[0] == 204
    wait_for(lambda: len(world.rounds()) == 2, "the round is committed", process=aggregator)
    with open(world.path("state/models/000000.safetensors"), "rb") as f:
        before = read_safetensors(f.read())
    with open(world.path("state/models/000001.safetensors"), "rb") as f:
        after = read_safetensors(f.read())
    for name, change in (("fc1.weight", (0.5, -0.25)), ("fc1.bias", (1.0,))):
        for w, d, got in zip(before[name][1], change, after[name][1]):
            assert abs(w + d - got) <= 1e-7, (name, w, d, got)


def refused(answer, status, *words):
    got, body, _ = answer
    assert got == status, answer
    for word in words:
        assert word in body["message"] or word == body["error"], (word, body)


def test_updates_that_are_not_what_they_should_be(world):
    aggregator, good = one_round(world)
    nan, inf = float("nan"), float("inf")
    whole = delta()
    refused(good.update(1, b"not safetensors at all, but long enough to look at"), 400, "format")
    refused(good.update(1, b""), 400, "format")
    refused(good.update(1, whole[:-4]), 400, "format")
    refused(good.update(1, whole + b"\0\0\0\0"), 400, "format")
    refused(good.update(1, b"x" * 10_000_000), 413, "10000000 bytes")
    refused(good.update(1, delta(weight=(nan, 0.0))), 422, "fc1.weight", "NaN")
    refused(good.update(1, delta(bias=(-inf,))), 422, "fc1.bias")
    refused(good.update(1, delta(bias=(1e30,))), 422, "fc1.bias")
    refused(good.update(1, delta(dtype="F64")), 400, "F64")
    refused(good.update(1, safetensors({"fc1.weight": ([2, 1], [0, 0]), "fc1.bias": ([1], [0])}, {"round": "1", "samples": "1"})), 400, "fc1.weight")
    refused(good.update(1, safetensors({"fc1.weight": ([1, 2], [0, 0])}, {"round": "1", "samples": "1"})), 400, "fc1.bias")
    refused(good.update(1, safetensors({"fc1.weight": ([1, 2], [0, 0]), "fc2.bias": ([1], [0])}, {"round": "1", "samples": "1"})), 400, "fc2.bias")
    refused(good.update(1, delta(samples=0)), 422, "samples")
    refused(good.update(1, delta(samples=-3)), 422, "samples")
    refused(good.update(1, delta(samples=2 ** 40)), 422, "samples")
    refused(good.update(1, delta(round=2)), 409, "round")
    refused(good.update(2, delta(round=2)), 409, "future")
    refused(good.update(0, delta(round=0)), 409, "stale")
    refused(good.update(1, delta(), Content_Digest="sha-256=:" + "A" * 43 + "=:"), 400, "SHA-256")
    refused(good.update(1, delta(), Content_Digest="sha-256=:AAAA:"), 400, "Content-Digest")
    assert "update of good for round 1 refused" in read(aggregator.log)
    finish(world, aggregator, good)


def test_a_good_digest_is_accepted(world):
    import base64
    import hashlib
    aggregator, good = one_round(world)
    body = delta()
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    for field in [f"xsha-256=:{digest}:", f"sha-256=:{digest[:20]} {digest[20:]}:", f"sha-256=: {digest}:",
                  f"sha-256=:{digest}", f"sha-256=:{digest[:-4]}:", "md5=:AAAA:"]:
        refused(good.update(1, body, Content_Digest=field), 400, "Content-Digest: expected sha-256")
    status, receipt, _ = good.update(1, body, Content_Digest=f"md5=:AAAA:, sha-256=:{digest}:")
    assert (status, receipt["counted"]) == (200, True)


def test_second_delivery_counts_once(world):
    aggregator, good = one_round(world, rounds=2)
    assert good.update(1, delta())[1] == {"round": 1, "counted": True}
    assert good.update(1, delta(weight=(9, 9)))[1] == {"round": 1, "counted": False}
    assert good.holder.update(1, delta())[1]["counted"]
    assert good.task()[1]["round"] == 2
    assert good.update(1, delta())[1] == {"round": 1, "counted": False}
    wait_for(lambda: len(world.rounds()) == 2, "the round is committed")
    assert world.rounds()[1]["counted"] == 2 and world.rounds()[1]["samples"] == 20


def test_strangers(world):
    aggregator, good = one_round(world)
    evil = world.session(aggregator, "evil")
    refused(evil.task(0), 403, "join")
    refused(evil.update(1, delta()), 403, "join")
    assert evil.join()[0] == 200
    refused(evil.update(1, delta()), 409, "not-selected")
    refused(evil.request("GET", "/v1/nothing"), 404, "no such path")
    refused(evil.request("DELETE", "/v1/task"), 405, "method")
    refused(evil.request("GET", "/v1/model/77"), 404, "77")
    refused(evil.request("POST", "/v1/join", '{"protocol": 2, "samples": 1}'), 400, "protocol")
    refused(evil.request("POST", "/v1/join", '{"protocol": 1}'), 400, "samples")
    refused(evil.request("POST", "/v1/join", "{nonsense"), 400, "format")
    refused(evil.request("POST", "/v1/join", "x" * 4200000), 413, "4194304")
    finish(world, aggregator, good)


def test_a_list_of_allowed_clients(world):
    world.certificates(["good", "evil"])
    allow = world.write("allow.txt", "# ours\ngood\n")
    aggregator = world.aggregator(make_config(world), "--allow", allow)
    refused(world.session(aggregator, "evil").join(), 403, "not in the aggregator's list")
    assert world.session(aggregator, "good").join()[0] == 200
    table = world.write("t.csv", "a,b,y\n1,2,3\n4,5,6\n")
    client = world.client(aggregator, "evil", table, "--regression")
    assert wait_exit(client) == 3, read(client.log)
    assert "not in the aggregator's list" in read(client.log)


def test_allow_lists_from_any_editor(world):
    """What means the same is read the same; what does not is refused with its line."""
    world.certificates(["good", "evil"])
    config = make_config(world)
    path = world.path("list.txt")
    for number, text in enumerate([b"\xef\xbb\xbfgood\r\nsome\r\n", b"  good \t\n", b"some\rgood # Clinic\r", b'"good"\n"a, ""b"""\n']):
        with open(path, "wb") as f:
            f.write(text)
        aggregator = world.aggregator(config, "--allow", path, state=f"allow-{number}")
        assert world.session(aggregator, "good").join()[0] == 200, text
        refused(world.session(aggregator, "evil").join(), 403, "not in the aggregator's list")
        aggregator.terminate()
        aggregator.wait()
    for text, words in [(b"", "names no client"), (b"# nobody\n \n", "names no client"), (b"good,evil\n", "line 1: one name a line"),
                        (b"good\n\"evil\n", "line 2: a name in double quotes"), (b"g\0o\0o\0d\0", "is a text in UTF-16"),
                        (b"good\nb\xe9\n", "line 2, column 2: not UTF-8"), (b"good\nev\0il\n", "line 2, column 3: a zero byte")]:
        with open(path, "wb") as f:
            f.write(text)
        said = fails(world, "rondo-aggregator", 1, "serve", "--config", config, "--state", world.path("none"),
                     *world.tls("aggregator"), "--allow", path)
        assert "list.txt: " in said and words in said, (text, said)


def test_numbers_in_queries(world):
    world.certificates(["good"])
    aggregator = world.aggregator(make_config(world))
    good = world.session(aggregator, "good")
    good.join()
    for path in ["/v1/task?wait=soon", "/v1/task?wait=-1", "/v1/task?wait=0x1", "/v1/task?wait=", "/v1/task?x=1&wait=1e1",
                 "/v1/rounds?from=1.5", "/v1/rounds?from=99999999999999999999"]:
        refused(good.request("GET", path), 400, "expected a whole number")
    assert good.request("GET", "/v1/rounds?xfrom=x")[0] == 200


def handshake_fails(world, aggregator, name, reason):
    """The connection is refused, and the aggregator's log says why."""
    try:
        status, _, _ = world.session(aggregator, name).join()
        raise AssertionError(f"{name} was let in with {status}")
    except (ssl.SSLError, ConnectionError, OSError):
        pass
    wait_for(lambda: reason in read(aggregator.log), f"the log says '{reason}'", 10, aggregator)


def openssl(world, *arguments):
    world.check("openssl", *arguments, cwd=world.dir)


def test_certificates_of_others(world):
    aggregator, good = one_round(world)
    os.makedirs(world.path("other"))
    openssl(world, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=stranger", "-keyout", "certs/stranger.key", "-out", "certs/stranger.crt")
    handshake_fails(world, aggregator, "stranger", "not correctly signed by the trusted CA")
    handshake_fails(world, aggregator, None, "sent no certificate")
    openssl(world, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=old",
            "-keyout", "certs/old.key", "-out", "old.csr")
    world.write("ca.cnf", "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=p\n"
                          "[p]\ncommonName=supplied\n")
    world.write("index", "")
    world.write("serial", "1001\n")
    openssl(world, "ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "certs/ca.crt", "-keyfile", "certs/ca.key", "-startdate",
            "200101000000Z", "-enddate", "210101000000Z", "-in", "old.csr", "-out", "certs/old.crt")
    handshake_fails(world, aggregator, "old", "expired")
    finish(world, aggregator, good)


def test_client_tells_what_is_wrong_with_certificates(world):
    aggregator, good = one_round(world)
    table = world.write("t.csv", "a,b,y\n1,2,3\n4,5,6\n")
    openssl(world, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            "/CN=stranger", "-keyout", "certs/stranger.key", "-out", "certs/stranger.crt")
    wrong_client = world.client(aggregator, "stranger", table, "--regression", "--retry-seconds", "0")
    assert wait_exit(wrong_client) == 3, read(wrong_client.log)
    wrong_ca = world.start(world.program("rondo-client"), "--aggregator", aggregator.url, "--ca", world.path("certs/stranger.crt"),
                           "--cert", world.path("certs/good.crt"), "--key", world.path("certs/good.key"), "--data", table,
                           "--regression", "--retry-seconds", "0", log="wrong_ca.log")
    assert wait_exit(wrong_ca) == 3, read(wrong_ca.log)
    assert "--ca" in read(wrong_ca.log), read(wrong_ca.log)


def test_plain_http_on_the_tls_port(world):
    aggregator, good = one_round(world)
    with socket.create_connection(("127.0.0.1", aggregator.port), timeout=10) as s:
        s.sendall(b"GET /v1/task HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = s.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400") and b"HTTPS" in answer, answer
    with socket.create_connection(("127.0.0.1", aggregator.port), timeout=10) as s:
        s.sendall(b"\x16\x03\x01\xff\xffgarbage that is no handshake" * 10)
        s.settimeout(10)
        while s.recv(1000):
            pass
    finish(world, aggregator, good)


def open_raw(world, aggregator, name):
    """A TLS connection on which any bytes can be sent."""
    context = ssl.create_default_context(cafile=world.path("certs/ca.crt"))
    context.load_cert_chain(world.path(f"certs/{name}.crt"), world.path(f"certs/{name}.key"))
    s = socket.create_connection(("127.0.0.1", aggregator.port), timeout=60)
    return context.wrap_socket(s, server_hostname="127.0.0.1")


def open_upload(world, aggregator, name, length, model):
    """A raw TLS connection that has announced an upload."""
    s = open_raw(world, aggregator, name)
    s.sendall(f"POST /v1/rounds/1/train HTTP/1.1\r\nHost: x\r\nRondo-Model: {model}\r\nContent-Length: {length}\r\n\r\n".encode())
    return s


def test_requests_with_two_meanings(world):
    """Each is refused and its connection closed, so that nothing behind it is read as a request; the round goes on."""
    aggregator, good = one_round(world)
    chunked = b"POST /v1/leave HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    for request, words in [
            (b"GET /v1/run HTTP/1.1\r\nName : value\r\n\r\n", "colon"),
            (b"POST /v1/leave HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding"),
            (b"POST /v1/leave HTTP/1.1\r\nContent-Length: 0x2\r\n\r\n{}", "Content-Length"),
            (b"POST /v1/leave HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}", "Content-Length"),
            (b"GET /v1/run HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "next line"),
            (b"GET /v1/run HTTP/1.1\nA: b\n\n", "CR LF"),
            (b"GET /v1/run HTTP/1.1\r\nA: \0\r\n\r\n", "control character"),
            (b"GET ftp://host/v1/run HTTP/1.1\r\n\r\n", "target"),
            (chunked + b"2\r\n{}XX0\r\n\r\n", "chunk ends elsewhere"),
            (chunked + b"2;" + b"x" * 256 + b"\r\n{}\r\n0\r\n\r\n", "longer than 256")]:
        s = open_raw(world, aggregator, "good")
        s.sendall(request + b"POST /v1/leave HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        answer = b""
        while piece := s.recv(65536):
            answer += piece
        s.close()
        assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1 ") == 1, (request, answer)
        assert words.encode() in answer, (request, answer)
    s = open_raw(world, aggregator, "good")
    s.sendall(b"GET https://127.0.0.1/v1/run HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert s.recv(65536).startswith(b"HTTP/1.1 200 ")
    s.close()
    finish(world, aggregator, good)


def test_client_gone_in_mid_upload(world):
    aggregator, good = one_round(world)
    body = delta()
    for part in (0, 7, 8, 100, len(body) - 1):
        s = open_upload(world, aggregator, "good", len(body), good.name_of_model())
        s.sendall(body[:part])
        s.close()
    descriptors = f"/proc/{aggregator.pid}/fd"
    wait_for(lambda: sum("(deleted)" in os.readlink(os.path.join(descriptors, f)) for f in os.listdir(descriptors)
                         if os.path.islink(os.path.join(descriptors, f))) == 0, "nothing of them is left", 20)
    wait_for(lambda: good.request("HEAD", "/v1/rounds/1/train")[0] == 204, "it is known of the last that it is gone")
    finish(world, aggregator, good)


def test_slow_sender_is_dropped(world):
    world.certificates(["good", "evil"])
    aggregator = world.aggregator(make_config(world), "--idle-seconds", "1")
    good = world.session(aggregator, "good")
    good.join()
    good.task()
    s = open_upload(world, aggregator, "good", 1000, good.name_of_model())
    s.settimeout(20)
    started = time.monotonic()
    try:
        while s.recv(1000):
            pass
    except OSError:
        pass
    assert time.monotonic() - started < 10
    status, receipt, _ = world.session(aggregator, "good").update(1, delta())
    assert (status, receipt["counted"]) == (200, True)


def test_full_disk(world):
    with world.small_disk() as fill:
        aggregator, good = one_round(world)
        filler = fill()
        status, body, headers = good.update(1, delta())
        if status == 200:  # a tiny update may find room where a page is left; then the model file does not
            good.holder.request("POST", "/v1/leave")
            wait_for(lambda: "trying again" in read(aggregator.log), "the aggregator says that the disk is full", 20, aggregator)
        else:
            assert status == 507 and headers["Retry-After"], (status, body)
            assert "No space left" in body["message"], body
        os.remove(filler)
        if status == 200:
            wait_for(lambda: len(world.rounds()) == 2, "the round is committed after all", process=aggregator)
        else:
            finish(world, aggregator, good)
        assert world.rounds()[1]["counted"] == 1
        aggregator.kill()
        aggregator.wait()


def fails(world, program, code, *arguments):
    result = world.run(world.program(program), *arguments)
    assert result.returncode == code, (result.returncode, result.stdout, result.stderr)
    return result.stderr


def test_aggregator_cannot_start(world):
    aggregator, good = one_round(world)
    config = world.path("run.json")

    def serve(*more, cert="aggregator", state="other", config=config, code=1):
        return fails(world, "rondo-aggregator", code, "serve", "--config", config, "--state", world.path(state), *world.tls(cert), *more)

    assert "in use" in serve("--listen", f"127.0.0.1:{aggregator.port}")
    assert "nothere.json" in serve(config=world.path("nothere.json"))
    assert "nothere.crt" in serve(cert="nothere")
    assert "another" in serve(state="state") or "lock" in serve(state="state")
    bad = world.write("bad.json", {"rounds": 1, "model": MODEL, "training": {"learning_rte": 0.1}})
    assert "learning_rte" in serve(config=bad)
    other = world.write("other.json", {"rounds": 1, "seed": 99, "model": MODEL, "training": {"learning_rate": 0.1}, "cohort": {"min_clients": 2, "deadline_seconds": 300}})
    finish(world, aggregator, good)
    assert wait_exit(aggregator) == 0
    assert "seed" in serve(config=other, state="state")
    assert "--lissten" in serve("--lissten", "x", code=2)


def test_client_has_bad_data(world):
    aggregator, good = one_round(world)
    cases = [
        ("a,b,y\n1,2,3\n4,oops,6\n", ["bad.csv", "line 3", "oops"]),
        ("a,b,y\n1,2,3\n4,5\n", ["bad.csv", "line 3"]),
        ("a,c,y\n1,2,4\n", ["bad.csv", "'b'"]),
        ("a,b,y\n", ["bad.csv"]),
    ]
    for text, words in cases:
        path = world.write("bad.csv", text)
        client = world.client(aggregator, "evil", path, "--regression")
        assert wait_exit(client) == 5, read(client.log)
        for word in words:
            assert word in read(client.log), (word, read(client.log))
        os.remove(client.log)
    client = world.client(aggregator, "evil", world.path("nothere.csv"), "--regression")
    assert wait_exit(client) == 5 and "nothere.csv" in read(client.log)
    finish(world, aggregator, good)


def test_client_cannot_reach_anybody(world):
    world.certificates(["good"])
    table = world.write("t.csv", "a,b,y\n1,2,3\n4,5,6\n")
    result = world.run(world.program("rondo-client"), "--aggregator", f"https://127.0.0.1:{harness.free_port()}", *world.tls("good"), "--data",
                       table, "--regression", "--retry-seconds", "0")
    assert result.returncode == 4, result
    assert "127.0.0.1" in result.stderr + result.stdout


if __name__ == "__main__":
    harness.main()
