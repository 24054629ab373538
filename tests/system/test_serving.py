#!/usr/bin/env python3
"""What an aggregator serves beside tasks: rounds and models; its workers; what it keeps; what it does not heed."""
import json
import os
import time

import harness
from harness import read, wait_exit, wait_for

MODEL = {"input": 6, "loss": "softmax_cross_entropy",
         "layers": [{"type": "dense", "units": 16, "activation": "relu"}, {"type": "dense", "units": 3}]}


def table(world):
    rows = "".join(",".join(str((i * k * k + i % (k + 2)) % 7) for k in range(1, 7)) + f",{i % 3}\n" for i in range(60))
    return world.write("table.csv", "a,b,c,d,e,f,label\n" + rows)


def config_of(**change):
    return {"rounds": 4, "seed": 3, "model": MODEL, "training": {"learning_rate": 0.05, "batch_size": 8}, **change}


def deploy(world, config, state, *options, names=("one", "two")):
    """A whole run; the SHA-256 of the model of every round."""
    path = world.write(state + ".json", {**config, "cohort": {**config.get("cohort", {}), "min_clients": len(names)}})
    aggregator = world.aggregator(path, "--linger-seconds", 1, *options, state=state, log=state + ".log")
    clients = [world.client(aggregator, name, world.path("table.csv")) for name in names]
    assert wait_exit(aggregator) == 0, read(aggregator.log)
    for client in clients:
        assert wait_exit(client) == 0, read(client.log)
    return [r["model_sha256"] for r in world.rounds(state)]


def kept(world, state):
    return sorted(int(name.split(".")[0]) for name in os.listdir(world.path(state, "models")))


def serving_after(world, least):
    """An aggregator that has done at least so many rounds and waits in the midst of one, as its client has gone; which
    the last one was."""
    world.certificates(["one", "watcher"])
    table(world)
    path = world.write("run.json", config_of(rounds=1000000, training={"learning_rate": 0.05, "batch_size": 0}))
    aggregator = world.aggregator(path)
    client = world.client(aggregator, "one", world.path("table.csv"))
    wait_for(lambda: read(aggregator.log).count("\nround ") >= least, "it has done its rounds", seconds=120, process=aggregator)
    client.kill()
    client.wait()
    lines = 0
    while lines != read(aggregator.log).count("\nround "):  # the last update may still be on its way
        lines = read(aggregator.log).count("\nround ")
        time.sleep(0.5 * harness.SLOW ** 0.5)
    return aggregator, lines


def test_rounds_as_json(world):
    aggregator, rounds = serving_after(world, 1005)
    watcher = world.session(aggregator, "watcher")
    status, refusal, _ = watcher.request("GET", "/v1/rounds")
    assert status == 403 and refusal["error"] == "join", "a certificate alone is not enough"
    assert watcher.join()[0] == 200
    status, records, headers = watcher.request("GET", "/v1/rounds")
    assert status == 200 and headers["Content-Type"] == "application/json" and records[0]["round"] == 0
    kept_records = world.rounds()
    assert len(kept_records) == rounds + 1
    first = watcher.request("GET", "/v1/rounds")[1]
    assert len(first) == 1000, len(first)  # the most in an answer
    assert first == kept_records[:1000], next((a, b) for a, b in zip(first, kept_records) if a != b)
    assert watcher.request("GET", "/v1/rounds?from=1000")[1] == kept_records[1000:2000]
    assert watcher.request("GET", f"/v1/rounds?from={rounds}")[1] == kept_records[-1:]
    assert watcher.request("GET", f"/v1/rounds?from={rounds + 1}")[1] == []
    assert watcher.request("GET", "/v1/rounds?other=1&from=1003")[1] == kept_records[1003:2003]
    assert watcher.request("GET", "/v1/rounds?xfrom=7")[1] == kept_records[:1000], "another name"
    for value in ("", "x", "-1", "1.5", "99999999999999999999"):
        status, refusal, _ = watcher.request("GET", "/v1/rounds?from=" + value)
        assert status == 400 and refusal["message"] == f"from: expected a whole number, found '{value}'", refusal
    status, refusal, _ = watcher.request("POST", "/v1/rounds", "{}")
    assert status == 405, refusal
    for query, other in (("", "?from=1000"), ("?from=1000", "")):
        tag = watcher.request("GET", "/v1/rounds" + query)[2]["ETag"]
        status, body, headers = watcher.request("GET", "/v1/rounds" + query, headers={"If-None-Match": tag})
        assert status == 304 and body == b"" and headers["ETag"] == tag, (status, body)
        assert watcher.request("GET", "/v1/rounds" + other, headers={"If-None-Match": tag})[0] == 200
    for first in range(0, 20):  # more than are remembered
        assert watcher.request("GET", f"/v1/rounds?from={first}")[1] == kept_records[first:first + 1000]


def test_wait_is_a_whole_number(world):
    world.certificates(["one"])
    aggregator = world.aggregator(world.write("run.json", config_of(cohort={"min_clients": 2})))
    session = world.session(aggregator, "one")
    assert session.join()[0] == 200
    for value in ("", "soon", "-1", "1.5"):
        status, refusal, _ = session.request("GET", "/v1/task?wait=" + value)
        assert status == 400 and refusal["message"] == f"wait: expected a whole number, found '{value}'", refusal
    begin = time.monotonic()
    assert session.task(wait=0)[0] == 204 and time.monotonic() - begin < 1 * harness.SLOW
    begin = time.monotonic()
    assert session.task(wait=1)[0] == 204 and time.monotonic() - begin >= 0.9


def test_range_and_etag_of_a_model(world):
    aggregator, last = serving_after(world, 4)
    session = world.session(aggregator, "watcher")
    with open(world.path("state", "models", f"{last:06d}.safetensors"), "rb") as f:
        whole = f.read()
    size = len(whole)

    def get(path=f"/v1/model/{last}", **headers):
        return session.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    status, body, headers = get()
    tag = headers["ETag"]
    assert (status, body) == (200, whole) and headers["Accept-Ranges"] == "bytes"
    run, version, parameters = tag.strip('"').split("-")
    before = get(f"/v1/model/{last - 1}")[2]["ETag"].strip('"').split("-")
    assert version == str(last) and before[:2] == [run, str(last - 1)] and before[2] != parameters, (tag, before)
    for given, first, last in (("bytes=0-0", 0, 0), ("bytes=5-99", 5, 99), (f"bytes={size - 1}-", size - 1, size - 1),
                               ("bytes=100-", 100, size - 1), ("bytes=-7", size - 7, size - 1),
                               (f"bytes=-{size + 5}", 0, size - 1), (f"bytes=8-{size + 1000}", 8, size - 1)):
        status, body, headers = get(Range=given)
        assert status == 206 and body == whole[first:last + 1], given
        assert headers["Content-Range"] == f"bytes {first}-{last}/{size}" and headers["ETag"] == tag, headers
    for ignored in ("bytes=0-1,4-5", "lines=0-1", "bytes=-", "bytes=3"):
        status, body, _ = get(Range=ignored)
        assert (status, body) == (200, whole), ignored
    status, refusal, _ = get(Range=f"bytes={size}-")
    assert status == 416 and refusal["error"] == "range" and str(size) in refusal["message"], refusal
    status, body, headers = get(If_None_Match=tag)
    assert status == 304 and body == b"" and headers["ETag"] == tag
    assert get(If_None_Match='"another"')[:2] == (200, whole)
    assert get(If_None_Match=tag, Range="bytes=0-1")[0] == 304
    # Pieces put together are the model.
    pieces = [get(Range=f"bytes={at}-{at + 99}")[1] for at in range(0, size, 100)]
    assert b"".join(pieces) == whole
    for missing in (f"/v1/model/{last + 1}", "/v1/model/1000000", "/v1/frozen"):
        status, refusal, _ = get(missing)
        assert status == 404 and "not kept here" in refusal["message"], (missing, refusal)


def test_the_newest_two_models_and_those_of_keep_every_stay(world):
    world.certificates(["one", "two"])
    table(world)
    # Deleting goes with the commits that wait for the disk, the last of them at the end.
    deploy(world, config_of(rounds=7), "plain")
    assert kept(world, "plain") == [6, 7]
    deploy(world, config_of(rounds=7, keep_every=3), "every")
    assert kept(world, "every") == [0, 3, 6, 7]
    deploy(world, config_of(rounds=3, keep_every=1), "all")
    assert kept(world, "all") == [0, 1, 2, 3]


def test_the_number_of_workers_changes_no_bit(world):
    names = ["one", "two", "three"]
    world.certificates(names)
    table(world)
    config = config_of(rounds=6)
    digests = {n: deploy(world, config, f"workers-{n}", "--workers", n, names=names) for n in (1, 4)}
    assert digests[1] == digests[4] and len(digests[1]) == 7
    counts = []
    for workers in (2, 7):
        process = world.aggregator(world.path("workers-1.json"), "--workers", workers, state=f"idle-{workers}",
                                   log=f"idle-{workers}.log")
        counts.append(len(os.listdir(f"/proc/{process.pid}/task")))
    assert counts[1] - counts[0] == 5, counts
    for value in ("0", "257", "two"):
        refused = world.run(world.program("rondo-aggregator"), "serve", "--config", "x", "--state", "x", *world.tls("one"),
                            "--workers", value)
        assert refused.returncode == 2 and "--workers" in refused.stderr, refused


def test_a_deployment_does_not_heed_simulation_and_says_so(world):
    world.certificates(["one", "two"])
    table(world)
    plain = deploy(world, config_of(), "plain")
    simulated = config_of(simulation={"system": {"seconds_per_sample": 100, "dropout": 0.99},
                                      "attack": {"type": "sign_flip", "fraction": 1}})
    assert deploy(world, simulated, "simulated") == plain
    said = 'run.json has a section "simulation": only rondo-sim heeds it'
    assert said in read(world.path("simulated.log")) and said not in read(world.path("plain.log"))
    assert all(r["clock"] is None for r in world.rounds("simulated"))
    # Clients are not told of it.
    aggregator = world.aggregator(world.write("run.json", simulated), state="third", log="third.log")
    welcome = world.session(aggregator, "one").join()[1]
    assert "simulation" not in welcome["config"] and "data" not in welcome["config"], json.dumps(welcome)
    # It may be another one when the run goes on.
    world.write("simulated.json", {**json.loads(read(world.path("simulated.json"))), "simulation": {}, "rounds": 5})
    aggregator = world.aggregator(world.path("simulated.json"), state="simulated", log="again.log")
    assert "continuing after round 4" in read(aggregator.log)


if __name__ == "__main__":
    harness.main()
