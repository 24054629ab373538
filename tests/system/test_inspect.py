#!/usr/bin/env python3
"""rondo-inspect, seen from outside: test_inspect.py BUILD_DIR

Directories come from make_state (through the store); what rondo-inspect prints is compared with what Python's own
sqlite3 finds in the database, and model files are written here byte by byte from the safetensors format.
Prints TAP; exits with 1 when a test failed."""
import csv
import io
import json
import math
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import traceback

from harness import SLOW

BUILD = os.path.abspath(sys.argv[1])
INSPECT = os.path.join(BUILD, "rondo-inspect")
MAKE_STATE = os.path.join(BUILD, "tests", "make_state")
ROOT = tempfile.mkdtemp(prefix="rondo-test-inspect-")
count = failures = 0


def check(ok, name, detail=""):
    global count, failures
    count += 1
    if ok:
        print(f"ok {count} - {name}", flush=True)
        return
    failures += 1
    print(f"not ok {count} - {name}", flush=True)
    for line in str(detail).splitlines():
        print(f"# {line}", flush=True)


def inspect(*arguments, **more):
    return subprocess.run([INSPECT, *map(str, arguments)], capture_output=True, text=True, timeout=60 * SLOW, **more)


def state(kind, rounds=10):
    path = os.path.join(ROOT, f"{kind}-{rounds}")
    if not os.path.exists(path):
        subprocess.run([MAKE_STATE, path, kind, str(rounds)], check=True)
    return path


def rows(directory, sql):
    database = sqlite3.connect(f"file:{directory}/rondo.db?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    found = [dict(row) for row in database.execute(sql)]
    database.close()
    return found


def same(text, value):
    """A CSV field against what the database holds, to the last bit."""
    if value is None:
        return text == ""
    if isinstance(value, str):
        return text == value
    return text != "" and float(text) == float(value)


def expected_loss(r):
    return 2.3 / (r + 1.0) + 0.1


# ---- rounds ----

def test_rounds_table():
    directory = state("classification")
    run = inspect("rounds", directory)
    check(run.returncode == 0 and run.stderr == "", "rounds: exit 0, nothing on stderr", run.stderr)
    lines = run.stdout.splitlines()
    check(lines[0].startswith("it's a {test}_run: classification (run ") and lines[0].endswith(
        ": 10 of 10 rounds, finished"), "rounds: title says what the run is and how far", lines[0])
    heading = lines[2]
    for word in ("round", "test loss", "accuracy", "train loss", "counted", "selected", "late", "failed", "samples",
                 "seconds", "bytes in", "bytes out", "model", "note"):
        check(word in heading, f"rounds: column '{word}'", heading)
    check("hold-out" not in heading, "rounds: a column that is empty for the whole run is left out", heading)
    check(len(lines) == 3 + 11, "rounds: a line for each round and one for the initial model", run.stdout)
    first = lines[3 + 1]
    for text in (f"{expected_loss(1):.4f}", "50.00 %", "1,500", "1,593,680", "2,390,521", "0.143"):
        check(text in first, f"rounds: round 1 shows {text}", first)
    check("model kept: too few updates" in lines[3 + 4], "rounds: an abandoned round says so", lines[3 + 4])
    digest = rows(directory, "SELECT model_sha256 FROM rounds WHERE round = 10")[0]["model_sha256"]
    check(digest[:12] in lines[-1] and digest[:13] not in lines[-1], "rounds: prefix of the model's SHA-256")
    positions = {line.index(word) for line, word in ((heading, "model"), (lines[-1], digest[:12]))}
    check(len(positions) == 1, "rounds: columns are aligned", run.stdout)
    run = inspect("rounds", directory, "--from", 9)
    check([line.split()[0] for line in run.stdout.splitlines()[3:]] == ["9", "10"], "rounds: --from", run.stdout)


def test_rounds_columns_that_are_empty():
    heading = inspect("rounds", state("plain")).stdout.splitlines()[2]
    check("loss" not in heading and "accuracy" not in heading, "rounds: no loss columns where none was measured",
          heading)
    heading = inspect("rounds", state("regression")).stdout.splitlines()[2]
    check("test loss" in heading and "accuracy" not in heading, "rounds: no accuracy in regression", heading)


def test_rounds_csv():
    directory = state("classification")
    found = list(csv.DictReader(io.StringIO(inspect("rounds", directory, "--csv").stdout)))
    own = {"header_sha256", "packed_sha256", "server_sha256", "frozen_sha256", "record_sha256", "synced"}  # of use to the store alone
    stored = [{key: value for key, value in row.items() if key not in own}
              for row in map(dict, rows(directory, "SELECT * FROM rounds ORDER BY round"))]
    check(len(found) == len(stored) == 11, "rounds --csv: all rounds")
    unmeasured = {f"{part}_samples" for part in ("test", "train", "holdout", "personal")}
    wrong = [(f["round"], key, f.get(key), s[key]) for f, s in zip(found, stored) for key in s
             if not same(f[key], s[key]) and not (key in unmeasured and s[key] == 0 and f[key] == "")]
    check(not wrong, "rounds --csv: every field of the database, to the last bit", wrong)
    check(set(found[0]) == set(stored[0]), "rounds --csv: the columns of the table rounds")
    check(float(found[7]["test_loss"]) == expected_loss(7), "rounds --csv: the loss that was put in")


def test_rounds_jsonl():
    directory = state("classification")
    found = [json.loads(line) for line in inspect("rounds", directory, "--jsonl").stdout.splitlines()]
    stored = rows(directory, "SELECT * FROM rounds ORDER BY round")
    check([f["round"] for f in found] == list(range(11)), "rounds --jsonl: an object a round")
    check(all(f["test"].items() >= {"loss": s["test_loss"], "accuracy": s["test_accuracy"], "samples": 10000}.items() and
              f["finished_at"] == s["finished_at"] and f["update_norm"] == s["update_norm"] and
              f["bytes_out"] == s["bytes_out"] for f, s in zip(found, stored)), "rounds --jsonl: full precision")
    check(found[1]["holdout"] is None and found[0]["running_loss"] is None and found[4]["aggregated"] is False,
          "rounds --jsonl: what was not measured is null")
    regression = json.loads(inspect("rounds", state("regression"), "--jsonl").stdout.splitlines()[3])
    check(regression["test"]["accuracy"] is None, "rounds --jsonl: no accuracy is null")


def test_rounds_follow():
    directory = os.path.join(ROOT, "live")
    follower = subprocess.Popen([INSPECT, "rounds", directory, "--follow", "--jsonl"], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
    time.sleep(0.4)
    check(follower.poll() is None, "rounds --follow: waits where there is no run yet")
    writer = subprocess.Popen([MAKE_STATE, directory, "classification", "6", "150"])
    first = json.loads(follower.stdout.readline())
    check(writer.poll() is None, "rounds --follow: prints a round while the run goes on")
    rest, notes = follower.stdout.read(), follower.stderr.read()  # communicate() would forget what readline() has buffered
    follower.wait(timeout=30 * SLOW)
    seen = [first["round"]] + [json.loads(line)["round"] for line in rest.splitlines()]
    check(writer.wait() == 0 and seen == list(range(7)), "rounds --follow: every round once, in order", seen)
    check(follower.returncode == 0, "rounds --follow: ends with the run")
    check("waiting for a run" in notes, "rounds --follow: says that it waits", notes)
    run = inspect("rounds", directory, "--follow")
    check(run.returncode == 0 and len(run.stdout.splitlines()) == 10, "rounds --follow: a finished run ends at once")


def test_rounds_follow_table():
    directory = os.path.join(ROOT, "live-table")
    writer = subprocess.Popen([MAKE_STATE, directory, "classification", "4", "200"])
    run = inspect("rounds", directory, "--follow")
    writer.wait()
    numbers = [line.split()[0] for line in run.stdout.splitlines()[2:] if line.strip()[:1].isdigit()]
    check(numbers == ["0", "1", "2", "3", "4"], "rounds --follow: a table that grows", run.stdout)


# ---- clients ----

def test_clients():
    directory = state("classification")
    run = inspect("clients", directory)
    check(run.returncode == 0, "clients: exit 0", run.stderr)
    lines = run.stdout.splitlines()
    check(len(lines) == 4 and lines[1].split()[:2] == ["alice", "700"], "clients: a line for each", run.stdout)
    check("\033" not in run.stdout, "clients: a name cannot steer the terminal")
    found = list(csv.DictReader(io.StringIO(inspect("clients", directory, "--csv").stdout)))
    check([f["client"] for f in found] == ["alice", 'b,"ob"', "zoë\033[31m"], "clients --csv: awkward names survive")
    totals = rows(directory, "SELECT c.name, count(*) AS selected, sum(status = 'counted') AS counted, sum(status = "
                             "'late') AS late, sum(status = 'failed') AS failed FROM participation p JOIN clients c ON "
                             "c.id = p.client GROUP BY c.id ORDER BY c.id")
    check(all(f["client"] == t["name"] and all(int(f[key]) == t[key] for key in ("selected", "counted", "late",
                                                                                "failed"))
              for f, t in zip(found, totals)), "clients: totals are those of the participations", totals)
    found = [json.loads(line) for line in inspect("clients", directory, "--jsonl").stdout.splitlines()]
    check(found[2]["client"] == "zoë\033[31m" and found[0]["software"] == "rondo-client 1.0.0", "clients --jsonl")


def test_clients_of_a_round():
    directory = state("classification")
    run = inspect("clients", directory, "--round", 4)
    lines = run.stdout.splitlines()
    check(len(lines) == 4 and "failed" in lines[1] and lines[1].endswith("tensor 'fc1.bias', element 17: NaN"),
          "clients --round: who failed, and why", run.stdout)
    found = list(csv.DictReader(io.StringIO(inspect("clients", directory, "--round", 3, "--csv").stdout)))
    stored = rows(directory, "SELECT p.* FROM participation p WHERE round = 3 ORDER BY client")
    wrong = [(f["client"], key, f[key], s[key]) for f, s in zip(found, stored) for key in s
             if key != "client" and not same(f[key], s[key]) and not (s[key] == 0 and f[key] == "")]
    check(len(found) == 3 and not wrong, "clients --round --csv: every field of the database", wrong)
    found = [json.loads(line) for line in inspect("clients", directory, "--round", 3, "--jsonl").stdout.splitlines()]
    check(found[0]["running_loss"] == 1 / 3 and found[0]["holdout"] == {"loss": 0.3, "accuracy": None, "samples": 70},
          "clients --round --jsonl", found[0])
    check("nobody took part" not in run.stdout and inspect("clients", directory, "--round", 11).returncode == 2,
          "clients --round: a round that is not there is refused")


# ---- model ----

def safetensors(path, tensors, metadata=None):
    """tensors: (name, dtype, shape, bytes)"""
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, dtype, shape, content in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    return path


def test_model_dense():
    weights = [((i * 7919) % 1000003) / 1000003 - 0.5 for i in range(500000)]
    path = safetensors(os.path.join(ROOT, "dense.safetensors"), [
        ("fc1.weight", "F32", [500, 1000], struct.pack("<500000f", *weights)),
        ("fc1.bias", "F32", [500], struct.pack("<500f", *([0.25] * 500)))], {"round": "7"})
    run = inspect("model", path)
    check(run.returncode == 0, "model: exit 0", run.stderr)
    lines = run.stdout.splitlines()
    check("500 x 1,000" in lines[1] and "500,000" in lines[1] and "2,000,000" in lines[1], "model: weights", lines)
    check(lines[2].split()[:5] == ["fc1.bias", "F32", "500", "500", "2,000"], "model: biases", lines)
    check("total: 500,500 parameters (500,000 weights + 500 biases), 2,002,000 bytes" in run.stdout, "model: totals",
          run.stdout)
    check("round: 7" in run.stdout, "model: metadata")
    check("NaN" not in run.stdout, "model: no column for NaN where there are none")
    found = [json.loads(line) for line in inspect("model", path, "--jsonl").stdout.splitlines()]
    exact = struct.unpack("<500000f", struct.pack("<500000f", *weights))
    check(found[0]["min"] == min(exact) and found[0]["max"] == max(exact) and
          abs(found[0]["mean"] - math.fsum(exact) / len(exact)) < 1e-15, "model: min, mean, max", found[0])
    check(found[0]["shape"] == [500, 1000] and found[1]["mean"] == 0.25 and found[1]["parameters"] == 500,
          "model --jsonl")
    found = list(csv.DictReader(io.StringIO(inspect("model", path, "--csv").stdout)))
    check(found[0]["shape"] == "500x1000" and float(found[0]["max"]) == max(exact), "model --csv", found[0])


def test_model_types():
    nan, inf = float("nan"), float("inf")
    tensors = [
        ("f64", "F64", [3], struct.pack("<3d", -1.5, 2.0, 4.0)),
        ("f32", "F32", [5], struct.pack("<5f", nan, inf, -inf, 1.0, 3.0)),
        ("f16", "F16", [6], struct.pack("<6e", -65504.0, 6.103515625e-05, 5.960464477539063e-08, 1.5, 0.0, inf)),
        ("bf16", "BF16", [2], struct.pack("<2H", 0x3FC0, 0xC000)),  # 1.5 and -2
        ("i64", "I64", [2], struct.pack("<2q", -5, 7)),
        ("i32", "I32", [2], struct.pack("<2i", -50, 70)),
        ("i16", "I16", [2], struct.pack("<2h", -500, 700)),
        ("i8", "I8", [2], struct.pack("<2b", -128, 127)),
        ("u8", "U8", [2], struct.pack("<2B", 0, 255)),
        ("bool", "BOOL", [2], bytes([0, 1])),
        ("scalar", "F32", [], struct.pack("<f", 9.0)),
        ("empty", "F32", [0, 4], b""),
    ]
    expected = {"f64": (-1.5, 1.5, 4.0, 0), "f32": (1.0, 2.0, 3.0, 3),
                "f16": (-65504.0, (-65504.0 + 1.5 + 6.103515625e-05 + 5.960464477539063e-08) / 5, 1.5, 1),
                "bf16": (-2.0, -0.25, 1.5, 0), "i64": (-5, 1, 7, 0), "i32": (-50, 10, 70, 0),
                "i16": (-500, 100, 700, 0), "i8": (-128, -0.5, 127, 0), "u8": (0, 127.5, 255, 0),
                "bool": (0, 0.5, 1, 0), "scalar": (9.0, 9.0, 9.0, 0), "empty": (None, None, None, 0)}
    path = safetensors(os.path.join(ROOT, "types.safetensors"), tensors)
    run = inspect("model", path, "--jsonl")
    found = {f["tensor"]: f for f in map(json.loads, run.stdout.splitlines())}
    for name, values in expected.items():
        f = found.get(name, {})
        got = (f.get("min"), f.get("mean"), f.get("max"), f.get("non_finite"))
        close = all(a == b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-14))
                    for a, b in zip(got, values))
        check(close, f"model: values of type {name}", f"{got} {run.stderr}")
    table = inspect("model", path).stdout
    check("NaN or Inf" in table and "scalar" in table and "0 x 4" in table, "model: table of odd tensors", table)


def test_model_memory():
    path = os.path.join(ROOT, "large.safetensors")
    text = json.dumps({"w": {"dtype": "F32", "shape": [100000000], "data_offsets": [0, 400000000]}}).encode()
    with open(path, "wb") as file:  # 400 MB of zeros that take no disk
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + 400000000)
    program = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); " \
              "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    run = subprocess.run([sys.executable, "-c", program, INSPECT, "model", path], capture_output=True, text=True,
                         timeout=60 * SLOW)
    kilobytes = int(run.stdout.splitlines()[-1]) if run.returncode == 0 else -1
    sanitized = b"__asan_init" in open(INSPECT, "rb").read()
    check("100,000,000" in run.stdout and (sanitized or 0 < kilobytes < 50000),
          f"model: 400 MB pass through little memory ({kilobytes} KB)", run.stderr)
    os.remove(path)


def test_model_errors():
    path = os.path.join(ROOT, "short.safetensors")
    safetensors(path, [("w", "F32", [4], bytes(16))])
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) - 3)
    run = inspect("model", path)
    check(run.returncode == 1 and path in run.stderr, "model: a file that ends too early", run.stderr)
    run = inspect("model", os.path.join(ROOT, "absent.safetensors"))
    check(run.returncode == 1 and "absent.safetensors" in run.stderr, "model: no such file", run.stderr)


# ---- plot ----

def png_size(path):
    with open(path, "rb") as file:
        start = file.read(24)
    return struct.unpack(">2I", start[16:24]) if start[:8] == b"\x89PNG\r\n\x1a\n" else None


def test_plot():
    for kind, size in (("classification", (1200, 500)), ("regression", (800, 500)), ("participants", (1200, 500))):
        out = os.path.join(ROOT, f"{kind}.png")
        run = inspect("plot", state(kind), "--out", out)
        check(run.returncode == 0 and run.stderr == "" and png_size(out) == size, f"plot: PNG of a {kind} run",
              run.stderr)
    out = os.path.join(ROOT, "curve.svg")
    run = inspect("plot", state("classification"), "--out", out, "--width", 900, "--height", 400)
    text = open(out).read() if run.returncode == 0 else ""
    check('width="900" height="400"' in text, "plot: SVG of the size asked for", run.stderr)
    for words in ("it&apos;s a {test}_run: classification", "Round", "Accuracy (%)", "cross-entropy, nats",
                  "test set"):
        plain = words.replace("&apos;", "'")
        check(words in text or plain in text, f"plot: SVG says '{plain}'")
    out = os.path.join(ROOT, "regression.svg")
    inspect("plot", state("regression"), "--out", out)
    text = open(out).read()
    check("mean squared error" in text and "Accuracy" not in text, "plot: regression has loss alone")
    out = os.path.join(ROOT, "quoted 'x' \"y\".svg")
    check(inspect("plot", state("regression"), "--out", out).returncode == 0 and os.path.exists(out),
          "plot: any file name")
    run = inspect("plot", state("plain"), "--out", os.path.join(ROOT, "none.png"))
    check(run.returncode == 1 and "no loss" in run.stderr, "plot: nothing to draw", run.stderr)
    check(not [name for name in os.listdir(ROOT) if name.endswith(".tmp")], "plot: leaves nothing half done")


def test_plot_errors():
    out = os.path.join(ROOT, "missing.png")
    empty = os.path.join(ROOT, "empty-path")
    os.makedirs(empty, exist_ok=True)
    run = inspect("plot", state("classification"), "--out", out, env={"PATH": empty})
    check(run.returncode == 1 and "gnuplot" in run.stderr and "apt install" in run.stderr and
          not os.path.exists(out) and not os.path.exists(out + ".tmp"), "plot: says that gnuplot is missing", run.stderr)
    with open(os.path.join(empty, "gnuplot"), "w") as file:
        file.write("#!/bin/sh\nexit 3\n")
    os.chmod(os.path.join(empty, "gnuplot"), 0o755)
    run = inspect("plot", state("classification", 3000), "--out", out, env={"PATH": f"{empty}:/bin"})
    check(run.returncode == 1 and "exit status 3" in run.stderr and not os.path.exists(out),
          "plot: a gnuplot that fails", run.stderr)
    run = inspect("plot", state("classification"), "--out", "loss.pdf")
    check(run.returncode == 2 and "loss.pdf" in run.stderr and ".svg" in run.stderr, "plot: another ending", run.stderr)
    run = inspect("plot", state("classification"), "--out", os.path.join(ROOT, "no", "where.png"))
    check(run.returncode == 1 and "where.png" in run.stderr, "plot: a folder that is not there", run.stderr)
    run = inspect("plot", state("classification"))
    check(run.returncode == 2 and "--out" in run.stderr, "plot: --out is required", run.stderr)


# ---- the command line ----

def test_command_line():
    for arguments, word in (([], "command"), (["turn"], "turn"), (["rounds"], "DIR"), (["model"], "FILE"),
                            (["rounds", "a", "b"], "'b'"), (["rounds", "a", "--csvv"], "csvv"),
                            (["rounds", "a", "--csv", "--jsonl"], "--jsonl"),
                            (["rounds", "a", "--from", "x"], "from"), (["--nonsense"], "nonsense")):
        run = inspect(*arguments)
        check(run.returncode == 2 and word in run.stderr and run.stdout == "",
              f"usage error: rondo-inspect {' '.join(arguments)}", run.stderr)
    for arguments in (["--help"], ["rounds", "--help"], ["clients", "--help"], ["model", "--help"], ["plot", "--help"]):
        run = inspect(*arguments)
        check(run.returncode == 0 and "rondo-inspect" in run.stdout and run.stderr == "", f"help: {' '.join(arguments)}")
    check(inspect("--version").returncode == 0, "--version")
    empty = os.path.join(ROOT, "no-run")
    os.makedirs(empty)
    for command in (["rounds", empty], ["clients", empty], ["plot", empty, "--out", "x.png"]):
        run = inspect(*command)
        check(run.returncode == 1 and "no run" in run.stderr and empty in run.stderr, f"{command[0]}: no run there",
              run.stderr)
    check(os.listdir(empty) == [], "looking for a run leaves nothing behind", os.listdir(empty))
    with open("/dev/full", "w") as full:
        run = subprocess.run([INSPECT, "rounds", state("classification"), "--csv"], stdout=full, stderr=subprocess.PIPE,
                             text=True, timeout=60 * SLOW)
    check(run.returncode == 1 and "standard output" in run.stderr, "output that cannot be written is an error",
          run.stderr)


try:
    for test in [value for name, value in list(globals().items()) if name.startswith("test_")]:
        try:
            test()
        except Exception:  # what a test cannot digest is a failure of that test alone
            check(False, f"{test.__name__} came to an end", traceback.format_exc())
finally:
    shutil.rmtree(ROOT)
print(f"1..{count}")
sys.exit(1 if failures else 0)
