#!/usr/bin/env python3
"""rondo-client against an aggregator written in Python that records every byte and misbehaves on request."""
import json
import os
import re
import signal
import socket
import ssl
import struct
import threading
import time

import harness
from fake_aggregator import FakeAggregator, cut, metadata, refusal, silence, table_of
from harness import SLOW, read, read_safetensors, safetensors, wait_exit, wait_for

ROWS = [(1.5, -2.25, 0.125, 3.0), (-0.75, 4.5, 1.0, -1.0), (2.0, 0.5, -3.5, 0.25)]  # three features and a target


def make_table(world):
    return world.write("private.csv", "a,b,c,y\n" + "".join(",".join(map(str, row)) + "\n" for row in ROWS))


def begin(world, *options, **settings):
    """A fake aggregator, and what to call for a client of it."""
    world.certificates(["alice"])
    table = make_table(world)
    fake = FakeAggregator(world, **settings)

    def client(*more, **changes):
        return world.client(fake, "alice", table, "--regression", *options, *more, **changes)
    return fake, client


def ended(process, code, *words):
    """The client ends with this code and says these words."""
    found = wait_exit(process, 30)
    text = read(process.log)
    assert found == code, (found, text)
    for word in words:
        assert word in text, (word, text)
    return text


def arrays(*tensors):
    """A safetensors file of (name, dtype, shape, format of struct, numbers)."""
    header, data = {}, b""
    for name, dtype, shape, code, numbers in tensors:
        raw = struct.pack(f"<{len(numbers)}{code}", *numbers)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_files_as_numpy_writes_them(world):
    """64-bit integers and doubles, what NumPy has by default, join and give the model that Rondo's own types give."""
    x, y = [0.5, -1.25, 2.0, 0.75, 3.5, -0.125], [2, 0, 1]
    config = world.write("run.json", {"rounds": 1, "model": {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 3}]},
                                      "training": {"learning_rate": 0.1}, "cohort": {"min_clients": 1}})
    world.certificates(["alice"])
    models = []
    for number, tensors in enumerate([
            [("x", "F32", [3, 2], "f", x), ("y", "I32", [3], "i", y)],
            [("x", "F64", [3, 2], "d", x), ("y", "I64", [3], "q", y)],
            [("y", "U8", [3, 1], "B", y), ("ids", "U16", [3], "H", [7, 8, 9]), ("x", "F16", [3, 2], "e", x)],
            [("x", "F64", [3, 2], "d", x), ("y", "F32", [3], "f", y)]]):
        file = world.path(f"numpy-{number}.safetensors")
        with open(file, "wb") as f:
            f.write(arrays(*tensors))
        aggregator = world.aggregator(config, "--linger-seconds", "1", state=f"numpy-{number}", log=f"numpy-{number}.log")
        client = world.client(aggregator, "alice", file)
        assert wait_exit(client) == 0 and wait_exit(aggregator) == 0, read(client.log)
        with open(world.path(f"numpy-{number}/models/000001.safetensors"), "rb") as f:
            models.append(read_safetensors(f.read()))
    assert all(model == models[0] for model in models)


def gradient_step(weight, bias, rate):
    """One step of gradient descent on the mean squared error of all rows, in double precision."""
    errors = [sum(w * v for w, v in zip(weight, row)) + bias - row[3] for row in ROWS]
    n = len(ROWS)
    return [-rate * 2 / n * sum(e * row[i] for e, row in zip(errors, ROWS)) for i in range(3)], -rate * 2 / n * sum(errors)


def check_delta(body, weight=(0.5, 0.5, 0.5), bias=0.25):
    tensors = read_safetensors(body)
    assert {k: v[0] for k, v in tensors.items()} == {"fc1.weight": [1, 3], "fc1.bias": [1]}, tensors
    expected_weight, expected_bias = gradient_step(weight, bias, 0.01)
    for want, got in zip(expected_weight + [expected_bias], tensors["fc1.weight"][1] + tensors["fc1.bias"][1]):
        assert abs(want - got) < 1e-7, (want, got)


# ---- what travels ----

def test_only_the_documented_requests_and_no_private_row(world):
    fake, client = begin(world, rounds=2, config={"evaluation": {"train_loss": True}})
    text = ended(client(), 0, "joined", "round 1", "loss before", "finished")
    assert fake.order() == ["GET /v1/run", "POST /v1/join", "GET /v1/task?wait=30", "GET /v1/model/0", "POST /v1/rounds/1/train", "GET /v1/task?wait=30",
                            "GET /v1/model/1", "POST /v1/rounds/2/train", "GET /v1/task?wait=30"]
    assert len(fake.ciphers) == 1, "one connection is kept open"
    for request in fake.requests:
        assert {h.lower() for h in request.headers} <= {"host", "accept", "content-type", "content-length", "rondo-session", "rondo-model"}, request
    join = json.loads(fake.seen("POST /v1/join")[0].body)
    assert set(join) == {"protocol", "samples", "software"} and join["samples"] == len(ROWS)
    for number, request in enumerate(fake.seen("POST /v1/rounds"), 1):
        report = metadata(request.body)
        assert set(report) == {"round", "samples", "loss", "before_loss", "before_samples", "steps", "delta_norm", "seconds"}, report
        assert (report["round"], report["samples"]) == (str(number), "3")
        check_delta(request.body)
        assert len(request.body) == 8 + struct.unpack("<Q", request.body[:8])[0] + 4 * 4, "nothing behind the tensors"
    mean = sum((sum(0.5 * v for v in row[:3]) + 0.25 - row[3]) ** 2 for row in ROWS) / 3
    assert abs(float(report["before_loss"]) - mean) < 1e-6 and f"loss before {mean:.4f}" in text
    assert not any(r.body for r in fake.seen("GET"))
    documented = b"".join(r.body for r in fake.requests)
    assert len(fake.wire) > len(documented)
    wire = re.sub(rb'"seconds":"[^"]*"', b"", fake.wire)  # a time can be 1.5e-05, which is no private value
    for row in ROWS:
        for value in row:
            if value in (1.0, -1.0, 3.0, 2.0, 0.5, 0.25):
                continue  # too common to mean anything: the whole row below does
            for form in (struct.pack("<f", value), struct.pack(">f", value), struct.pack("<d", value), str(value).encode()):
                assert form not in wire, (value, form)
        for form in (struct.pack("<2f", *row[:2]), struct.pack("<2d", *row[:2]), b",".join(str(v).encode() for v in row[:2])):
            assert form not in wire
    assert b"private" not in wire and world.dir.encode() not in wire and os.uname().nodename.encode() not in wire


def test_tls_of_both_versions_prefers_chacha(world):
    for version, cipher in ((ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305"), (ssl.TLSVersion.TLSv1_3, "TLS_CHACHA20_POLY1305_SHA256")):
        fake, client = begin(world, least=version, most=version)
        ended(client(), 0)
        assert [c[0] for c in fake.ciphers] == [cipher], fake.ciphers


class Proxy:
    """An HTTP proxy that knows CONNECT, writes down what it is asked, and sees nothing of what it passes on."""

    def __init__(self, status="200 Connection established"):
        self.status, self.heads, self.passed = status, [], bytearray()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(4096)
            if not piece:
                return
            head += piece
        self.heads.append(head.decode())
        client.sendall(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
        if not self.status.startswith("200"):
            client.close()
            return
        host, port = head.split()[1].decode().rsplit(":", 1)
        server = socket.create_connection((host.strip("[]"), int(port)))
        threading.Thread(target=self.pump, args=[server, client], daemon=True).start()
        self.pump(client, server)

    def pump(self, source, sink):
        try:
            while piece := source.recv(65536):
                self.passed.extend(piece)
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def run_with(world, fake, *options, **environment):
    fake.next_round = 1
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return world.run(world.program("rondo-client"), "--aggregator", fake.url, *world.tls("alice"), "--data", world.path("private.csv"), "--regression",
                     *options, env={**clean, **environment})


def test_proxies_are_used_where_they_are_named(world):
    fake, client = begin(world)
    proxy = Proxy()
    host = f"127.0.0.1:{fake.port}"
    for options, environment, through in ((["--proxy", proxy.url], {}, True), ([], {"https_proxy": proxy.url}, True), ([], {"HTTPS_PROXY": proxy.url}, True),
                                          ([], {"https_proxy": proxy.url, "no_proxy": "localhost,127.0.0.1"}, False),
                                          (["--proxy", "none"], {"https_proxy": "http://127.0.0.1:9"}, False),
                                          (["--proxy", proxy.url], {"no_proxy": "*"}, True), ([], {"http_proxy": "http://127.0.0.1:9"}, False)):
        proxy.heads.clear()
        proxy.passed.clear()
        result = run_with(world, fake, *options, **environment)
        assert result.returncode == 0, (options, environment, result)
        assert len(proxy.heads) == through, (options, environment, proxy.heads)
        for head in proxy.heads:
            assert head.startswith(f"CONNECT {host} HTTP/1.1\r\n"), head
            assert "Rondo" not in head and "alice" not in head, "a proxy learns the host, and no more"
            assert b"/v1/join" not in proxy.passed and len(proxy.passed) > 1000
    refusing = Proxy("407 Proxy Authentication Required")
    result = run_with(world, fake, "--proxy", refusing.url, "--retry-seconds", "1")
    assert result.returncode == 4 and "407" in result.stderr, result
    result = run_with(world, fake, "--retry-seconds", "1", https_proxy="http://127.0.0.1:9")
    assert result.returncode == 4 and "127.0.0.1 port 9" in result.stderr, result


def test_redirects_are_not_followed(world):
    fake, client = begin(world)
    fake.script["GET /v1/model/0"] = [(302, None, {"Location": fake.url + "/v1/elsewhere"})]
    ended(client(), 3, "302")
    assert not fake.seen("GET /v1/elsewhere")


def test_an_address_that_cannot_be_one_is_refused_at_once(world):
    fake, client = begin(world)
    port = fake.port
    for url, word in ((f"http://127.0.0.1:{port}", "it must be https"), (f"127.0.0.1:{port}", "begin with https://"), ("https://127.0.0.1", "port is missing"),
                      ("https://", "host is missing"), (f"https://:{port}", "host is missing"), (f"{fake.url}/", "nothing may stand behind"),
                      (f"{fake.url}/v1", "nothing may stand behind"), (f"{fake.url}?x=1", "nothing may stand behind"), ("https://127.0.0.1/v1", "port is missing"),
                      (f"https://alice:secret@127.0.0.1:{port}", "the certificate says who"), (f"https://127.0.0.1 :{port}", "letters, digits"),
                      (f" https://127.0.0.1:{port}", "begin with https://"), (f"https://::1:{port}", "needs brackets"), ("https://[::1]", "port is missing"),
                      (f"https://[::1:{port}", "bracket"), (f"https://[one]:{port}", "IPv6"), ("https://127.0.0.1:0", "1 to 65535"),
                      ("https://127.0.0.1:65536", "1 to 65535"), ("https://127.0.0.1:https", "1 to 65535"), (f"https://127.0.0.1:{port}x", "1 to 65535")):
        started = time.monotonic()
        result = world.run(world.program("rondo-client"), "--aggregator", url, *world.tls("alice"), "--data", world.path("private.csv"), "--regression")
        assert result.returncode == 2 and word in result.stderr and "https://HOST:PORT" in result.stderr, (url, result)
        assert "secret" not in result.stderr and time.monotonic() - started < 2 * SLOW
    assert not fake.requests
    world.check(world.program("rondo-client"), "--aggregator", f"https://localhost:{port}", *world.tls("alice"), "--data", world.path("private.csv"), "--regression")


def test_large_updates_ask_before_they_are_sent(world):
    world.certificates(["alice"])
    inputs = 300_000  # 1.2 MB
    body = safetensors({"fc1.weight": ([1, inputs], [0.0] * inputs), "fc1.bias": ([1], [0.0])})
    fake = FakeAggregator(world, features=inputs, model=body, rounds=2)
    table = world.write("wide.csv", ",".join(["1"] * inputs + ["0"]) + "\n")
    process = world.client(fake, "alice", table, "--regression", "--no-header")
    ended(process, 0)
    updates = fake.seen("POST /v1/rounds")
    assert len(updates) == 2 and all(r.headers["Expect"] == "100-continue" for r in updates)
    assert len(updates[0].body) > 4 * inputs


# ---- what comes back ----

def test_tensors_in_any_order(world):
    model = safetensors({"fc1.bias": ([1], [-1.0]), "fc1.weight": ([1, 3], [0.1, 0.2, 0.3])}, {"made_by": "somebody else"}, pad=False)
    fake, client = begin(world, model=model)
    ended(client(), 0)
    check_delta(fake.seen("POST /v1/rounds")[0].body, struct.unpack("<3f", struct.pack("<3f", 0.1, 0.2, 0.3)), -1.0)


def test_a_model_that_is_there_is_not_fetched_again(world):
    fake, client = begin(world, rounds=2)
    fake.script["GET /v1/task"] = [(200, {"task": "train", "round": n, "model": 0}) for n in (1, 2)]
    text = ended(client(), 0)
    assert len(fake.seen("GET /v1/model")) == 1 and len(fake.seen("POST /v1/rounds")) == 2
    assert "fetched 0 bytes" in text


def test_a_model_that_is_wrong(world):
    good = {"fc1.weight": ([1, 3], [0.0] * 3), "fc1.bias": ([1], [0.0])}
    whole = safetensors(good)
    fake, client = begin(world)
    for model, word in ((safetensors({**good, "fc1.weight": ([3, 1], [0.0] * 3)}), "fc1.weight"), (safetensors(good, dtype="F64"), "F64"),
                        (safetensors({"fc1.weight": good["fc1.weight"]}), "fc1.bias"), (safetensors({**good, "fc9.bias": ([1], [0.0])}), "fc9.bias"),
                        (whole[:-4], "model"), (whole + b"more", "model"), (b"", "empty"), (b"<html>what is this</html>", "header"),
                        (safetensors({**good, "fc1.bias": ([1], [float("nan")])}), "fc1.bias")):
        fake.model, fake.next_round = model, 1
        process = client()
        text = ended(process, 6, word, "rondo-client: ")
        assert not fake.seen("POST /v1/rounds"), text
        os.remove(process.log)


def test_a_configuration_that_is_wrong(world):
    fake, client = begin(world)
    for welcome, word in (({**fake.config, "training": {"learning_rate": "fast"}}, "training.learning_rate"),
                          ({**fake.config, "model": {"preset": "oracle"}}, "oracle"), ({**fake.config, "surprise": 1}, "surprise")):
        fake.script["GET /v1/run"] = [(200, {"protocol": 1, "run": fake.run, "client": "alice", "config": welcome})]
        process = client()
        ended(process, 6, word)
        os.remove(process.log)
    for answer in ((200, {"protocol": 2, "run": fake.run, "client": "alice", "config": fake.config}), (200, b"[1, 2"), (200, b"")):
        fake.script["POST /v1/join"] = [answer]
        ended(client(), 6)
    fake.script["GET /v1/task"] = [(200, {"task": "dance", "round": 1, "model": 0})]
    ended(client(), 6, "dance")
    fake.config["model"]["input"] = 4
    ended(client(), 5, "private.csv", "3 features")


# ---- refusals ----

def test_refused(world):
    fake, client = begin(world)
    for where in ("POST /v1/join", "GET /v1/task", "GET /v1/model/0", "POST /v1/rounds/1/train"):
        for status in (401, 403):
            fake.script = {where: [(status, refusal("refused", "not you, alice"))]}
            fake.next_round = 1
            process = client()
            ended(process, 3, "not you, alice")
            os.remove(process.log)


def test_a_word_in_a_message_is_no_kind(world):
    """Only {"error": "join"} asks to join: a client is not to act on words in a sentence for people."""
    fake, client = begin(world)
    fake.script["GET /v1/task"] = [(403, {"error": "refused", "message": 'not you, "join" another run'})]
    ended(client(), 3, "not you")
    assert len(fake.seen("POST /v1/join")) == 1, fake.order()


def test_another_model_of_the_same_version_is_fetched_again(world):
    """The aggregator was started again and repeated a round: the update names the model it was trained from, and after 409 the next one."""
    fake, client = begin(world, rounds=1)

    def another_life(handler):
        fake.life = "00000000000000bb"
        body = json.dumps(refusal("state", "the update was trained from another model")).encode()
        handler.send_response(409)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    fake.script["POST /v1/rounds/1/train"] = [another_life]
    ended(client(), 0, "the update was not taken (409)", "round 1: delivered")
    assert [r.headers["Rondo-Model"] for r in fake.seen("POST /v1/rounds")] == [f'"{fake.run}-0-00000000000000{life}"' for life in ("aa", "bb")]
    assert len(fake.seen("GET /v1/model/0")) == 2, fake.order()


def test_a_refused_update_is_reported_and_the_next_task_done(world):
    fake, client = begin(world, rounds=3)
    fake.script["GET /v1/task"] = [(200, {"task": "train", "round": n, "model": n - 1}) for n in (1, 2)]
    fake.script["POST /v1/rounds/1/train"] = [(409, refusal("stale", "round 1 is over"))]
    fake.script["POST /v1/rounds/2/train"] = [(422, refusal("range", "tensor 'fc1.bias' is out of bounds"))]
    fake.next_round = 3
    ended(client(), 0, "round 1: the update was not taken (409): round 1 is over", "(422): tensor 'fc1.bias'", "round 3: delivered")
    assert [r.path for r in fake.seen("POST /v1/rounds")] == ["/v1/rounds/1/train", "/v1/rounds/2/train", "/v1/rounds/3/train"]


def test_an_update_that_stays_refused_is_not_sent_without_end(world):
    """The task is named again and again, and the update refused each time: that must not become a storm."""
    fake, client = begin(world)
    fake.script["POST /v1/rounds/1/train"] = [(422, refusal("range", "no")) for _ in range(100000)]
    process = client()
    time.sleep(3)
    assert len(fake.seen("POST /v1/rounds")) <= 15, len(fake.seen())
    process.send_signal(signal.SIGTERM)
    ended(process, 143)


def test_a_model_that_is_gone_costs_a_round_only(world):
    fake, client = begin(world, rounds=2)
    fake.script["GET /v1/task"] = [(200, {"task": "train", "round": 1, "model": 0})]
    fake.script["GET /v1/model/0"] = [(404, refusal("state", "version 0 is not kept"))]
    fake.next_round = 2
    ended(client(), 0, "version 0 is not kept", "round 2: delivered")


def test_busy_aggregator_gets_the_same_update_later(world):
    for status in (503, 507):
        fake, client = begin(world, "--retry-seconds", "0")
        fake.script["POST /v1/rounds/1/train"] = [(status, refusal("busy", "full to the brim"), {"Retry-After": "1"})] * 2
        ended(client(), 0, "full to the brim", "round 1: delivered")
        sent = fake.seen("POST /v1/rounds")
        assert len(sent) == 3 and len({r.body for r in sent}) == 1
        assert sent[1].at - sent[0].at > 0.95 and sent[2].at - sent[1].at > 0.95


# ---- waiting ----

def test_nothing_to_do_is_asked_for_again_at_leisure(world):
    fake, client = begin(world)
    fake.script["GET /v1/task"] = [(204, None)] * 3 + [(204, None, {"Retry-After": "2"})]
    ended(client(), 0)
    asked = fake.seen("GET /v1/task")
    assert len(asked) == 6
    assert asked[4].at - asked[3].at > 1.9, "Retry-After is heeded"
    fake.script["GET /v1/task"] = [(204, None)] * 100000
    fake.requests.clear()
    process = client()
    time.sleep(2)
    assert 2 <= len(fake.seen("GET /v1/task")) <= 25, len(fake.seen("GET /v1/task"))
    process.terminate()
    ended(process, 143)


# ---- lost connections ----

def test_whatever_is_cut_off_is_repeated(world):
    fake, client = begin(world, rounds=2)

    def half_a_model(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(fake.model)))
        handler.end_headers()
        handler.wfile.write(fake.model[:-6])
        cut(handler)

    def counted_but_not_told(handler):
        fake.next_round += 1
        cut(handler)
    fake.script = {"POST /v1/join": [cut], "GET /v1/task": [cut, cut], "GET /v1/model/0": [half_a_model], "POST /v1/rounds/1/train": [cut, counted_but_not_told]}
    ended(client("--retry-seconds", "60"), 0, "counted before", "round 2: delivered")
    first = [r.body for r in fake.seen("POST /v1/rounds/1/train")]
    assert len(first) == 3 and len(set(first)) == 1
    assert len(fake.seen("GET /v1/model/0")) == 2
    check_delta(first[0])


def test_a_restarted_aggregator_is_joined_again(world):
    fake, client = begin(world)
    fake.script["POST /v1/rounds/1/train"] = [(403, refusal("join", "join first: POST /v1/join"))]
    ended(client(), 0, "joining again", "round 1: delivered")
    assert fake.order() == ["GET /v1/run", "POST /v1/join", "GET /v1/task?wait=30", "GET /v1/model/0", "POST /v1/rounds/1/train", "POST /v1/join",
                            "POST /v1/rounds/1/train", "GET /v1/task?wait=30"]
    fake.next_round = 1
    fake.script["GET /v1/task"] = [(403, refusal("join"))]
    other = fake.usual("POST", "/v1/join")[1]
    fake.script["POST /v1/join"] = [(200, other), (200, {**other, "run": "f" * 32})]
    ended(client(), 3, "another run")


def test_an_aggregator_that_always_forgets_is_not_stormed(world):
    fake, client = begin(world)
    fake.script["GET /v1/task"] = [(403, refusal("join"))] * 100000
    process = client("--retry-seconds", "2")
    time.sleep(1.5)
    assert len(fake.seen()) < 40, len(fake.seen())
    process.terminate()
    ended(process, 143)


def test_silence_is_reported(world):
    """Whoever looks at a client that waits sees what for, once and not at each attempt, and that it is over."""
    world.certificates(["alice"])
    make_table(world)
    port = harness.free_port()
    process = world.start(world.program("rondo-client"), "--aggregator", f"https://127.0.0.1:{port}", *world.tls("alice"), "--data",
                          world.path("private.csv"), "--regression", log="early.log")
    text = wait_for(lambda: "trying for" in read(process.log) and read(process.log), "the client tells", process=process)
    assert f"cannot reach https://127.0.0.1:{port}: " in text and "; trying for 300 s\n" in text, text
    time.sleep(2)  # several attempts later
    fake = FakeAggregator(world, port=port)
    text = ended(process, 0, "the aggregator answers again, after ")
    assert text.count("trying for") == 1, text
    process = world.client(fake, "alice", world.path("private.csv"), "--regression", "--quiet")
    assert ended(process, 0) == ""


def test_busy_is_reported_once(world):
    fake, client = begin(world)
    fake.script["GET /v1/task"] = [(503, refusal("busy", "full to the brim"), {"Retry-After": "1"})] * 3
    assert ended(client(), 0).count("full to the brim") == 1
    assert len(fake.seen("GET /v1/task")) == 5


def test_many_who_have_lost_the_aggregator_do_not_come_back_at_once(world):
    """It said over how long they are to spread. Twelve that draw from six seconds come within two once in 10,000 times;
    without, all of them are there within two."""
    fake, client = begin(world, "--retry-seconds", "60")
    fake.script["GET /v1/task"] = [(204, None, {"Rondo-Return": "6"})] * 12 + [silence(60)] * 12
    processes = [client() for _ in range(12)]
    wait_for(lambda: len(fake.seen("GET /v1/task")) == 24, "all of them wait for a task")
    fake.vanish()
    time.sleep(1)
    again = FakeAggregator(world, port=fake.port, rounds=0)
    for process in processes:
        ended(process, 0, "the aggregator answers again")
    came = sorted(r.at for r in again.seen("GET /v1/task"))
    assert len(came) == 12 and came[-1] - came[0] > 2, [at - came[0] for at in came]


def test_patience_counts_from_the_loss_of_the_connection(world):
    """A long poll that is cut late is no reason to give up at once."""
    fake, client = begin(world)
    fake.script["GET /v1/task"] = [silence(3), cut]  # libcurl itself tries once more on a connection that was kept
    ended(client("--retry-seconds", "2"), 0, "finished")


def test_gives_up_after_the_seconds_given(world):
    fake, client = begin(world)
    fake.script["GET /v1/task"] = [silence(60)]
    process = client("--retry-seconds", "2")
    wait_for(lambda: fake.seen("GET /v1/task"), "the client waits", process=process)
    started = time.monotonic()
    fake.vanish()
    ended(process, 4, fake.url, "tried for 2 s")
    assert 0.5 < time.monotonic() - started < 4 * SLOW


# ---- leaving ----

def test_signals_leave_the_run(world):
    fake, client = begin(world)
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)):
        fake.requests.clear()
        fake.script["GET /v1/task"] = [silence(60)]
        process = client()
        wait_for(lambda: fake.seen("GET /v1/task"), "the client waits", process=process)
        started = time.monotonic()
        process.send_signal(number)
        ended(process, code, "left the run")
        assert time.monotonic() - started < 3 * SLOW
        assert fake.order()[-1] == "POST /v1/leave" and fake.requests[-1].body == b""
        os.remove(process.log)


def test_leaving_does_not_wait_for_an_aggregator_that_hangs(world):
    fake, client = begin(world)
    fake.script = {"GET /v1/task": [silence(60)], "POST /v1/leave": [silence(60)]}
    process = client()
    wait_for(lambda: fake.seen("GET /v1/task"), "the client waits", process=process)
    started = time.monotonic()
    process.terminate()
    ended(process, 143)
    assert time.monotonic() - started < 4 * SLOW
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes connections and never says a word
        process = world.start(world.program("rondo-client"), "--aggregator", f"https://127.0.0.1:{mute.getsockname()[1]}", *world.tls("alice"),
                              "--data", world.path("private.csv"), "--regression", log="mute.log")
        mute.accept()
        started = time.monotonic()
        process.terminate()
        ended(process, 143)
        assert time.monotonic() - started < 4 * SLOW


def test_a_signal_ends_training_however_long_it_would_take(world):
    """What an aggregator asks for is no reason to stay."""
    fake, client = begin(world, rounds=1, config={"training": {"learning_rate": 1e-9, "epochs": 1000000, "batch_size": 1}})
    heading, rows = read(world.path("private.csv")).split("\n", 1)
    world.write("private.csv", heading + "\n" + rows * 100)  # hours of it
    process = client()
    wait_for(lambda: fake.seen("GET /v1/model/0"), "the client has the model", process=process)
    time.sleep(0.5)
    assert process.poll() is None
    started = time.monotonic()
    process.terminate()
    ended(process, 143, "left the run")
    assert time.monotonic() - started < 3 * SLOW and not fake.seen("POST /v1/rounds")


def test_training_that_diverges_costs_the_round(world):
    fake, client = begin(world, rounds=1, config={"training": {"learning_rate": 1e6, "epochs": 20, "batch_size": 1}})
    process = client()
    wait_for(lambda: fake.seen("POST /v1/leave"), "the client passes", process=process)
    assert not fake.seen("POST /v1/rounds")
    assert json.loads(fake.seen("POST /v1/leave")[0].body) == {"reason": "training diverged"}
    fake.next_round = 2
    ended(process, 0, "round 1: ", "finished")


# ---- certificates and addresses ----

NINE_DAYS = ["-days", "9"]


def sign(world, name, days, extension, ca="certs/ca"):
    """A certificate of its own kind for a new key."""
    world.write("extension", extension)
    world.check("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", world.path(f"certs/{name}.key"), "-out", world.path("csr"))
    world.check("openssl", "x509", "-req", "-in", world.path("csr"), "-CA", world.path(ca + ".crt"), "-CAkey", world.path(ca + ".key"),
                "-set_serial", "99", *days, "-extfile", world.path("extension"), "-out", world.path(f"certs/{name}.crt"))


def test_aggregators_that_are_not_the_right_one(world):
    fake, client = begin(world)
    served = "extendedKeyUsage=serverAuth\nsubjectAltName="
    sign(world, "elsewhere", NINE_DAYS, served + "DNS:elsewhere.example.org")
    sign(world, "old", world.expired(), served + "IP:127.0.0.1")
    sign(world, "notserver", NINE_DAYS, "extendedKeyUsage=clientAuth\nsubjectAltName=IP:127.0.0.1")
    for certificate, word in (("elsewhere", "matches target"), ("old", "expired"), ("notserver", "purpose")):
        other = FakeAggregator(world, certificate=certificate)
        result = world.run(world.program("rondo-client"), "--aggregator", other.url, *world.tls("alice"), "--data", world.path("private.csv"), "--regression")
        assert result.returncode == 3 and word in result.stderr and "--ca" in result.stderr, (certificate, result)
        assert not other.requests
    plain = FakeAggregator(world, tls=False)
    result = world.run(world.program("rondo-client"), "--aggregator", plain.url, *world.tls("alice"), "--data", world.path("private.csv"), "--regression")
    assert result.returncode == 3 and "does not speak TLS" in result.stderr, result


def test_clients_that_are_not_let_in(world):
    fake, client = begin(world)
    sign(world, "expired", world.expired(), "extendedKeyUsage=clientAuth")
    sign(world, "server", NINE_DAYS, "extendedKeyUsage=serverAuth")
    world.check("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=stranger",
                "-keyout", world.path("certs/stranger.key"), "-out", world.path("certs/stranger.crt"))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        strict = FakeAggregator(world, least=version, most=version)
        for name, code, word in (("expired", 6, "expired on"), ("server", 6, "not a client's"), ("stranger", 3, "--cert")):
            result = world.run(world.program("rondo-client"), "--aggregator", strict.url, *world.tls(name), "--data", world.path("private.csv"), "--regression")
            assert result.returncode == code and word in result.stderr, (version, name, result)
        assert not strict.requests


def test_certificate_files_that_cannot_be_used(world):
    fake, client = begin(world)
    world.check(os.path.join(harness.ROOT, "certs", "make-certs"), world.path("certs"), "client", "bob")
    garbage = world.write("garbage.pem", "-----BEGIN NOTHING-----\n")
    good = {"--ca": world.path("certs/ca.crt"), "--cert": world.path("certs/alice.crt"), "--key": world.path("certs/alice.key")}
    for change, code, word in (({"--ca": garbage}, 6, "--ca"), ({"--cert": garbage}, 6, "--cert"), ({"--key": garbage}, 6, "--key"),
                               ({"--key": world.path("certs/bob.key")}, 6, "--key"), ({"--ca": "/nowhere/ca.crt"}, 6, "/nowhere/ca.crt")):
        options = [v for pair in {**good, **change}.items() for v in pair]
        result = world.run(world.program("rondo-client"), "--aggregator", fake.url, *options, "--data", world.path("private.csv"), "--regression")
        assert result.returncode == code and word in result.stderr, (change, result)
    assert not fake.requests


# ---- the command line ----

def test_the_command_line(world):
    fake, client = begin(world)
    program = world.program("rondo-client")
    whole = ["--aggregator", fake.url, *world.tls("alice"), "--data", world.path("private.csv")]
    text = world.check(program, "--help")
    for code in ("0 the run is finished", "2 command line", "3 refused", "4 aggregator not reachable", "5 bad data", "6 bad configuration"):
        assert code in " ".join(text.split()), (code, text)
    for options, code, words in (
            ([], 2, ["--aggregator"]), (whole[2:], 2, ["--aggregator"]), ([*whole, "--retry-seconds", "-1"], 2, ["--retry-seconds"]),
            ([*whole, "--retry-second", "1"], 2, ["--retry-second", "--retry-seconds"]), ([*whole, "--separator", "ab"], 2, ["--separator", "'ab'"]),
            ([*whole, "--labels", "x"], 2, ["--labels"]), ([*whole, "--data", "x.safetensors", "--regression"], 2, ["--regression", "x.safetensors"]),
            ([*whole, "--aggregator", "http://127.0.0.1:1"], 2, ["https://HOST:PORT"]), ([*whole, "--aggregator", fake.url + "/x"], 2, ["https://HOST:PORT"]),
            ([*whole, "--data", world.path("nothere.csv")], 5, ["nothere.csv"])):
        result = world.run(program, *options)
        assert result.returncode == code, (options, result)
        for word in words:
            assert word in result.stderr, (word, result.stderr)
    assert not fake.requests
    result = world.run(program, *whole, "--regression", "--quiet")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", ""), result


def test_tables_as_they_come(world):
    """The label's place, the separator and the heading are told; features are scaled as the run says."""
    fake, _ = begin(world, schema=table_of([None] * 3, "-1"))
    table = world.write("table.txt.csv", "".join(f"{y};{a};{b};{c}\n" for a, b, c, y in ROWS))
    ended(world.client(fake, "alice", table, "--regression", "--separator", ";", "--label-column", "0", "--no-header"), 0)
    check_delta(fake.seen("POST /v1/rounds")[0].body)
    fake.next_round = 1
    fake.schema = table_of("abc", "y")
    standardised = ["--regression", "--standardise", "--label-column", "y"]
    ended(world.client(fake, "alice", world.path("private.csv"), *standardised), 6, "--standardise", "data.schema.scale")
    for i, column in enumerate(fake.schema["columns"]):
        values = [row[i] for row in ROWS]
        mean = sum(values) / 3
        column["scale"] = {"mean": mean, "deviation": (sum((v - mean) ** 2 for v in values) / 3) ** 0.5}
    ended(world.client(fake, "alice", world.path("private.csv"), *standardised), 0)
    weight = read_safetensors(fake.seen("POST /v1/rounds")[1].body)["fc1.weight"][1]
    columns = [[row[i] for row in ROWS] for i in range(3)]
    means = [sum(c) / 3 for c in columns]
    deviations = [(sum((v - m) ** 2 for v in c) / 3) ** 0.5 for c, m in zip(columns, means)]
    rows = [[(v - m) / d for v, m, d in zip(row, means, deviations)] + [row[3]] for row in ROWS]
    errors = [0.5 * sum(r[:3]) + 0.25 - r[3] for r in rows]
    for i, got in enumerate(weight):
        assert abs(-0.01 * 2 / 3 * sum(e * r[i] for e, r in zip(errors, rows)) - got) < 1e-6, (i, weight)


# ---- memory ----

def peak(process):
    """Peak and anonymous resident bytes."""
    with open(f"/proc/{process.pid}/status") as f:
        fields = dict(line.split(":", 1) for line in f)
    return int(fields["VmHWM"].split()[0]) * 1024, int(fields["RssAnon"].split()[0]) * 1024


def memory_of_a_run(world, layers):
    sizes = list(zip(layers, layers[1:]))
    tensors = {}
    for number, (inputs, outputs) in enumerate(sizes, 1):
        tensors[f"fc{number}.weight"] = ([outputs, inputs], bytes(4 * inputs * outputs))
        tensors[f"fc{number}.bias"] = ([outputs], bytes(4 * outputs))
    header, data = {}, b""
    for name, (shape, raw) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    config = {"model": {"input": layers[0], "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": n} for n in layers[1:]]},
              "training": {"learning_rate": 0.01, "batch_size": 10, "momentum": 0.9}}
    fake = FakeAggregator(world, rounds=2, config=config, model=struct.pack("<Q", len(text)) + text + data,
                          schema=table_of([None] * layers[0], "-1", "class"))
    table = world.write("classes.csv", "".join(",".join(["0.5"] * layers[0]) + f",{i % layers[-1]}\n" for i in range(2 * layers[-1])))
    fake.script["GET /v1/task"] = [(200, {"task": "train", "round": n, "model": n - 1}) for n in (1, 2)] + [silence(60)]
    process = world.client(fake, "alice", table, "--no-header")
    wait_for(lambda: len(fake.seen("GET /v1/task")) == 3, "two rounds are over", 300, process=process)
    most, anonymous = peak(process)
    count = len(data) // 4
    print(f"# {count} parameters ({len(data) / 1e6:.1f} MB), with momentum: peak resident {most / 1e6:.1f} MB, private at the end "
          f"{anonymous / 1e6:.1f} MB; 20 MB + 4 x model is {20 + 4 * len(data) / 1e6:.1f} MB")
    process.terminate()
    ended(process, 143)
    return most, anonymous, len(data)


def test_memory_is_a_few_models(world):
    """Resident memory has the pages of system libraries in it, which all programs share, and which differ by some MB from machine to
    machine: at small models they outweigh what is the client's own, so there that is looked at."""
    world.certificates(["alice"])
    if harness.SANITIZED:
        raise harness.Skip("sanitizers have an allocator of their own")
    for layers in ((784, 200, 200, 10), (784, 1000, 868, 10), (784, 4000, 5000, 370)):
        most, own, model = memory_of_a_run(world, layers)
        assert own <= 5e6 + 4.5 * model, (layers, most, own, model)
        assert most <= 1.1 * (20e6 + 4 * model), (layers, most, own, model)  # README.md, with momentum; a tenth for libraries


if __name__ == "__main__":
    harness.main()
