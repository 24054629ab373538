#!/usr/bin/env python3
"""Links that break: what has arrived of a download or an upload is not sent again, and the model has the bits of a run
without a break."""
import base64
import hashlib
import json
import os
import re
import socket
import threading
import time
import types

import harness
from fake_aggregator import FakeAggregator, cut
from harness import read, safetensors, wait_exit, wait_for
from test_rounds import CLASSES, FEATURES, data_of, make_config, partition, same_result, simulate
from test_updates import MODEL, body, committed

LARGE = {"input": FEATURES, "loss": "softmax_cross_entropy",
         "layers": [{"type": "dense", "units": 40_000, "activation": "relu"}, {"type": "dense", "units": CLASSES}]}
SIZE = 4 * ((FEATURES + 1 + CLASSES) * 40_000 + CLASSES)  # bytes of an update's floats: 1.9 MB
CUT = 1_000_000


class Link:
    """Passes bytes between a client and the aggregator, counts them, and breaks where it is told: cuts = [("up", 1000000), ...],
    each used once, when so many bytes have gone that way on one connection."""

    def __init__(self, upstream, cuts):
        self.upstream, self.cuts, self.broken = upstream, list(cuts), 0
        self.bytes = {"up": 0, "down": 0}
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            near = self.listener.accept()[0]
            far = socket.create_connection(("127.0.0.1", self.upstream))
            for way, source, target in (("up", near, far), ("down", far, near)):
                threading.Thread(target=self.pump, args=(way, source, target), daemon=True).start()

    def pump(self, way, source, target):
        passed = 0
        try:
            while data := source.recv(16384):
                target.sendall(data)
                passed += len(data)
                self.bytes[way] += len(data)
                if self.cuts and self.cuts[0][0] == way and passed >= self.cuts[0][1]:
                    self.cuts.pop(0)
                    self.broken += 1
                    break
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def deploy_over(world, cuts):
    """The same run simulated, and with one of its two clients behind a link with cuts."""
    config = make_config(world, rounds=2, clients=2, model=None)
    with open(config) as f:
        run = {**json.load(f), "model": LARGE}
    config = world.write("run.json", run)
    names = partition(world, config, 2)
    world.certificates(names)
    expected = simulate(world, config, 2, 1, "sim")
    aggregator = world.aggregator(config)
    link = Link(aggregator.port, cuts)
    clients = [world.client(types.SimpleNamespace(url=url), name, data_of(world, name))
               for url, name in zip((link.url, aggregator.url), names)]
    assert wait_exit(aggregator) == 0, read(aggregator.log)
    for client in clients:
        assert wait_exit(client) == 0, read(client.log)
    same_result(expected, world.rounds())
    assert not link.cuts and link.broken == len(cuts), "every cut was made"
    return link, read(aggregator.log), read(clients[0].log)


def test_a_download_that_is_cut_off_is_continued(world):
    link, _, said = deploy_over(world, [("down", CUT), ("down", CUT // 2)])
    assert 2 * SIZE < link.bytes["down"] < 2 * SIZE + 300_000, "two models, and nothing of them twice"
    assert "the connection" in said


def test_an_upload_that_is_cut_off_is_continued(world):
    link, log, said = deploy_over(world, [("up", CUT), ("up", CUT // 2)])
    assert 2 * SIZE < link.bytes["up"] < 2 * SIZE + 300_000, ("two updates, and little of them twice", SIZE, link.bytes, log, said)
    kept = [int(n) for n in re.findall(r"update of client-1 for round 1 was cut off: (\d+) bytes are kept", log)]
    assert len(kept) == 2 and CUT - 100_000 < kept[0] < kept[1] < SIZE, kept


def digest_of(content):
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def begin(session, content, sent, digest=True, round=1):
    """Sends the beginning of an update."""
    fields = {"Rondo-Model": session.name_of_model(), "Content-Length": str(len(content)), **session.fields}
    if digest:
        fields["Content-Digest"] = digest_of(content)
    session.connection.putrequest("POST", f"/v1/rounds/{round}/train")
    for name, value in fields.items():
        session.connection.putheader(name, value)
    session.connection.endheaders()
    session.connection.send(content[:sent])


def begin_and_break(world, aggregator, session, content, sent, digest=True, round=1):
    """Sends the beginning of an update, and breaks off when the aggregator has it."""
    before = read(aggregator.log).count("was cut off")
    begin(session, content, sent, digest, round)
    session.connection.close()
    if digest:
        wait_for(lambda: read(aggregator.log).count("was cut off") > before, "the beginning is kept", process=aggregator)


def offset(session, round=1):
    def ask():
        status, _, headers = session.request("HEAD", f"/v1/rounds/{round}/train")
        return None if status == 503 else (status, headers["Upload-Offset"])
    return wait_for(ask, "what was under way has ended")


def rest(session, content, first, round=1):
    return session.request("PATCH", f"/v1/rounds/{round}/train", content[int(first):],
                           {"Rondo-Model": session.name_of_model(), "Upload-Offset": str(first)})


def join(world, aggregator, name, word):
    session = world.session(aggregator, name)
    session.fields = {"Rondo-Session": word}
    wait_for(lambda: session.join()[0] == 200, "nobody else with this certificate is there", process=aggregator)
    return session


def begin_round(world, model=MODEL, strategy=None, **cohort):
    """Two clients of two sessions, of which both have been asked for an update of round 1."""
    world.certificates(["alice", "bob"])
    config = {"rounds": 2, "model": model, "training": {"learning_rate": 0.1, "batch_size": 0}, "strategy": strategy or {"name": "fedavg"},
              "cohort": {"min_clients": 2, "deadline_seconds": 300, **cohort}}
    aggregator = world.aggregator(world.write("run.json", config), "--linger-seconds", "0")
    sessions = [join(world, aggregator, name, word) for name, word in (("alice", "one"), ("bob", "one of bob's"))]
    for session in sessions:
        assert session.task()[1]["round"] == 1
    return aggregator, sessions


def test_who_may_continue_an_update_and_where(world):
    aggregator, (alice, bob) = begin_round(world)
    update = body(0.5, 0.25)
    assert offset(alice) == (204, "0"), "nothing is here yet"
    begin_and_break(world, aggregator, alice, update, 60)
    assert offset(alice) == (204, "60")
    assert offset(bob) == (204, "0"), "another client's bytes are not told of"
    status, answer, _ = rest(bob, update, 60)
    assert (status, answer["error"]) == (409, "offset"), answer
    status, answer, _ = rest(alice, update, 50)
    assert (status, answer["error"]) == (409, "offset") and "60 bytes of this session's update are here, not 50" in answer["message"], answer
    for word in ("", "x", "-1", "0"):
        status, answer, _ = alice.request("PATCH", "/v1/rounds/1/train", update[60:], {"Rondo-Model": alice.name_of_model(), "Upload-Offset": word})
        assert status == 400 and "Upload-Offset: expected how many bytes were sent before" in answer["message"], answer
    assert rest(alice, update, 60)[:2] == (200, {"round": 1, "counted": True})
    assert alice.request("HEAD", "/v1/rounds/1/train")[0] == 200, "it was counted"
    assert bob.update(1, update)[0] == 200
    assert committed(world, aggregator, 1)["counted"] == 2
    assert alice.request("PATCH", "/v1/rounds/0/measure-1", b"{}")[0] == 405 == alice.request("HEAD", "/v1/rounds/0/measure-1")[0]


def test_another_session_does_not_continue_an_update(world):
    """A program with the same certificate that takes the first one's place begins its own."""
    aggregator, (alice, bob) = begin_round(world)
    update = body(0.5, 0.25)
    begin_and_break(world, aggregator, alice, update, 60)
    second = join(world, aggregator, "alice", "two")
    assert second.task()[1]["round"] == 1
    assert offset(second) == (204, "0")
    status, answer, _ = rest(second, update, 60)
    assert (status, answer["error"]) == (409, "offset"), answer
    assert second.update(1, update)[0] == 200


def test_the_digest_is_of_the_whole(world):
    aggregator, (alice, bob) = begin_round(world)
    update = body(0.5, 0.25)
    begin_and_break(world, aggregator, alice, update, 60)
    other = update[:-1] + bytes([update[-1] ^ 1])
    status, answer, _ = rest(alice, other, 60)
    assert status == 400 and "SHA-256 is not the one in Content-Digest" in answer["message"], answer
    assert offset(alice) == (204, "0"), "what was refused is not kept"
    begin_and_break(world, aggregator, alice, update, 60, digest=False)
    assert offset(alice) == (204, "0"), "nothing is kept without a digest"


def staged(process):
    """Files without a name that the process has open: updates on their way in."""
    folder = f"/proc/{process.pid}/fd"
    links = [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]
    return sum(link.endswith("(deleted)") for link in links)


def test_what_is_kept_ends_with_its_round(world):
    aggregator, (alice, bob) = begin_round(world, {"preset": "softmax-regression", "input": 600_000, "classes": 2}, deadline_seconds=5)
    weights = {"fc1.weight": ([2, 600_000], [0.0] * 1_200_000), "fc1.bias": ([2], [0.0, 0.0])}
    first, second = (safetensors(weights, {"round": str(n), "samples": "10"}) for n in (1, 2))
    begin_and_break(world, aggregator, alice, first, 60)
    assert staged(aggregator) == 1, "it is kept in a file, as it is large"
    assert bob.update(1, first)[0] == 200
    assert committed(world, aggregator, 1)["late"] == 1
    wait_for(lambda: staged(aggregator) == 0, "its room is free", process=aggregator)
    assert offset(alice)[0] == 409
    assert alice.task()[1]["round"] == 2
    assert offset(alice, round=2) == (204, "0"), "nothing of round 1 is taken for round 2"
    begin_and_break(world, aggregator, alice, second, 60, round=2)
    anew = world.session(aggregator, "alice")
    anew.fields, anew.model = alice.fields, alice.name_of_model()
    begin(anew, second, 60, round=2)
    wait_for(lambda: alice.request("HEAD", "/v1/rounds/2/train")[0] == 503, "it is sent anew", process=aggregator)
    assert staged(aggregator) == 1, "what was kept is freed"


def send_slowly(session, rest, seconds):
    """The rest of an update in so much time, or as much of it as is wanted: a piece each half second, so that it moves
    whenever somebody looks."""
    size = len(rest) // int(2 * seconds) + 1
    pieces = [rest[i:i + size] for i in range(0, len(rest), size)]
    try:
        for piece in pieces:
            time.sleep(seconds / len(pieces))
            session.connection.send(piece)
    except OSError:
        pass  # it was not waited for any longer


WIDE = {"preset": "softmax-regression", "input": 50_000, "classes": 2}


def wide_update(round):
    """Large enough to move at the least rate for as long as a test is patient."""
    return safetensors({"fc1.weight": ([2, 50_000], [0.0] * 100_000), "fc1.bias": ([2], [0.0, 0.0])}, {"round": str(round), "samples": "10"})


def test_a_deadline_waits_for_an_update_that_moves(world):
    """One that takes twice the deadline counts; one that would go on for ever ends with the grace."""
    if harness.SANITIZED:
        raise harness.Skip("waits for minutes where patience is long")
    deadline, grace = 1.5 * harness.SLOW, 3 * harness.SLOW
    aggregator, (alice, bob) = begin_round(world, WIDE, deadline_seconds=deadline, grace_seconds=grace)
    for number, seconds in ((1, 2 * deadline), (2, 4 * (deadline + grace))):
        update = wide_update(number)
        for session in (alice, bob):
            assert session.task()[1]["round"] == number
        begin(alice, update, 60, round=number)
        assert bob.update(number, update)[0] == 200
        sender = threading.Thread(target=send_slowly, args=(alice, update[60:], seconds), daemon=True)
        sender.start()
        record = committed(world, aggregator, number)
        if number == 1:
            sender.join()
            answer = alice.connection.getresponse()
            assert (answer.status, json.loads(answer.read())["counted"]) == (200, True)
            assert (record["counted"], record["late"]) == (2, 0) and record["seconds"] > deadline, record
        else:
            assert (record["counted"], record["late"]) == (1, 1) and record["seconds"] > 0.99 * (deadline + grace), record
            assert record["seconds"] < 3 * (deadline + grace), record
    said = f"the deadline is put off by at most {grace:g} s, as the update of alice is arriving"
    assert read(aggregator.log).count(said) == 2, read(aggregator.log)


def test_a_deadline_waits_for_an_update_of_an_earlier_round(world):
    """Of asynchronous rounds, whose deadlines are for those who were asked before."""
    if harness.SANITIZED:
        raise harness.Skip("waits for minutes where patience is long")
    deadline = 1.5 * harness.SLOW
    aggregator, (alice, bob) = begin_round(world, WIDE, {"name": "fedbuff", "buffer_size": 1, "concurrency": 2},
                                           deadline_seconds=deadline, grace_seconds=3 * harness.SLOW)
    assert bob.update(1, wide_update(1))[0] == 200
    begin(alice, wide_update(1), 60)
    send_slowly(alice, wide_update(1)[60:], 2 * deadline)
    answer = alice.connection.getresponse()
    assert (answer.status, json.loads(answer.read()).get("counted")) == (200, True)
    record = committed(world, aggregator, 2)
    assert (record["counted"], record["late"]) == (1, 0) and record["seconds"] > deadline, record


def test_whole_models_are_sent_where_another_one_is_asked_for(world):
    """If-Range: the rest of a model is the rest of that model."""
    aggregator, (alice, bob) = begin_round(world)
    status, whole, headers = alice.request("GET", "/v1/model/0")
    tag = headers["ETag"]
    status, part, _ = alice.request("GET", "/v1/model/0", headers={"Range": "bytes=10-", "If-Range": tag})
    assert (status, part) == (206, whole[10:])
    status, part, _ = alice.request("GET", "/v1/model/0", headers={"Range": "bytes=10-", "If-Range": '"another"'})
    assert (status, part) == (200, whole)


def test_what_an_aggregator_says_is_here_need_not_be_believed(world):
    """An offset behind the end, a part that was not asked for, and a rest that is refused: the update is sent whole, the model refused."""
    world.certificates(["alice"])
    inputs = 300_000  # 1.2 MB
    weights = safetensors({"fc1.weight": ([1, inputs], [0.0] * inputs), "fc1.bias": ([1], [0.0])})
    table = world.write("wide.csv", ",".join(["1"] * inputs + ["0"]) + "\n")
    upload, model = "/v1/rounds/1/train", "/v1/model/0"

    def client(script):
        fake = FakeAggregator(world, features=inputs, model=weights)
        fake.script = script(fake)
        process = world.client(fake, "alice", table, "--regression", "--no-header")
        return fake, wait_exit(process), read(process.log)

    for offset in (10 ** 12, len(weights) + 10 ** 6, 0):
        fake, code, said = client(lambda _: {f"POST {upload}": [cut], f"HEAD {upload}": [(204, None, {"Upload-Offset": str(offset)})]})
        assert code == 0 and len({r.body for r in fake.seen(f"POST {upload}")}) == 1 and not fake.seen("PATCH"), (code, said)
    gone = {"error": "offset", "message": "nothing is here any more"}
    fake, code, said = client(lambda _: {f"POST {upload}": [cut], f"HEAD {upload}": [(204, None, {"Upload-Offset": "1000000"})], f"PATCH {upload}": [(409, gone)]})
    (whole,), (part,) = {r.body for r in fake.seen(f"POST {upload}")}, [r.body for r in fake.seen(f"PATCH {upload}")]
    assert code == 0 and part == whole[1_000_000:], said

    def half(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(weights)))
        handler.send_header("ETag", '"a"')
        handler.end_headers()
        handler.wfile.write(weights[:600_000])
        cut(handler)
    for first, expected in ((600_000, 0), (600_001, 6)):
        rest = (206, weights[600_000:], {"Content-Range": f"bytes {first}-{len(weights) - 1}/{len(weights)}", "ETag": '"a"'})
        fake, code, said = client(lambda _: {f"GET {model}": [half, rest]})
        asked = fake.seen(f"GET {model}")[1].headers
        assert 0 < int(asked["Range"][6:-1]) <= 600_000 and asked["If-Range"] == '"a"', asked
        assert code == expected or int(asked["Range"][6:-1]) != 600_000, (code, said)
        assert expected == 0 or "another part of it came than was asked for" in said, said
    fake, code, said = client(lambda fake: {f"GET {model}": [half, (200, weights)]})
    assert code == 0, said


if __name__ == "__main__":
    harness.main()
