"""What the system tests share: real processes, real TLS, temporary folders, bounded waits, TAP output.

A test file defines functions named test_..., each taking a World, and ends with harness.main(). It is run as
`test_x.py BUILD_DIR [TEST...]` and prints its plan and 'ok N - name' or 'not ok N - name'.
"""
import contextlib
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SANITIZED = bool(os.environ.get("RONDO_SLOW"))  # run.sh says so: sanitizers take time and memory
SLOW = 10 if SANITIZED else 1


class Skip(Exception):
    """This machine lacks what the test needs."""


class World:
    """A temporary folder, the built programs, and the processes that a test started."""

    def __init__(self, build, name):
        self.build = build
        self.dir = tempfile.mkdtemp(prefix=f"rondo-{name}-")
        self.processes = []

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, content):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb" if isinstance(content, bytes) else "w") as f:
            f.write(content if isinstance(content, (bytes, str)) else json.dumps(content))
        return path

    def program(self, name):
        return os.path.join(self.build, name)

    def run(self, *command, timeout=120, **options):
        return subprocess.run([str(c) for c in command], capture_output=True, text=True,
                              timeout=timeout * SLOW, **options)

    def check(self, *command, **options):
        result = self.run(*command, **options)
        assert result.returncode == 0, f"{command} ended with {result.returncode}:\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def peak(self, *command):
        """Peak resident bytes of a command that succeeds."""
        script = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
                  "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)")
        return int(self.check("python3", "-c", script, *command).split()[-1])

    def start(self, *command, log, **options):
        out = open(self.path(log), "ab")
        process = subprocess.Popen([str(c) for c in command], stdout=out, stderr=subprocess.STDOUT, **options)
        out.close()
        process.log = self.path(log)
        self.processes.append(process)
        return process

    # ---- Rondo's own pieces ----

    def certificates(self, clients):
        """An authority, an aggregator and some clients in certs/."""
        make = os.path.join(ROOT, "certs", "make-certs")
        self.check(make, self.path("certs"), "ca")
        self.check(make, self.path("certs"), "aggregator", "aggregator")
        if clients:
            self.check(make, self.path("certs"), "client", *clients)

    def certificate(self, name, seconds=86400, extensions="extendedKeyUsage=clientAuth", subject=None, keep_key=False):
        """A certificate of the authority in certs/ with what a test wants of it; `openssl ca` takes the second of its end."""
        certs = self.path("certs")
        if not keep_key:
            self.check("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{certs}/{name}.key")
            os.chmod(f"{certs}/{name}.key", 0o600)
        self.write("certs/x.ext", extensions + "\n")
        self.write("certs/x.register", "")
        self.write("certs/x.serial", "%032x\n" % (uuid.uuid4().int >> 2))
        self.write("certs/x.config", f"[ca]\ndefault_ca=here\n[here]\ndatabase={certs}/x.register\nserial={certs}/x.serial\n"
                   f"new_certs_dir={certs}\ndefault_md=sha256\npolicy=any\npreserve=yes\n[any]\ncommonName=supplied\n")
        self.check("openssl", "req", "-new", "-key", f"{certs}/{name}.key", "-subj", subject or f"/CN={name}", "-out", f"{certs}/x.csr")
        begin, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + s)) for s in (-3600, seconds))
        self.check("openssl", "ca", "-batch", "-notext", "-config", f"{certs}/x.config", "-in", f"{certs}/x.csr", "-out", f"{certs}/{name}.crt",
                   "-extfile", f"{certs}/x.ext", "-startdate", begin, "-enddate", end, "-cert", f"{certs}/ca.crt", "-keyfile", f"{certs}/ca.key")
        return f"{certs}/{name}.crt"

    def expired(self):
        """What makes `openssl x509` sign for days gone by: new versions refuse negative days, old ones take no dates."""
        if "-not_after" in self.run("openssl", "x509", "-help").stderr:
            return ["-not_before", "20200101000000Z", "-not_after", "20200102000000Z"]
        return ["-days", "-1"]

    def tls(self, name):
        return ["--ca", self.path("certs", "ca.crt"), "--cert", self.path("certs", name + ".crt"),
                "--key", self.path("certs", name + ".key")]

    def aggregator(self, config, *options, state="state", log="aggregator.log", port=0, command=(), **started):
        offset = os.path.getsize(self.path(log)) if os.path.exists(self.path(log)) else 0
        process = self.start(*command, self.program("rondo-aggregator"), "serve", "--config", config, "--state",
                             self.path(state), "--listen", f"127.0.0.1:{port}", *self.tls("aggregator"), *options, log=log, **started)
        text = wait_for(lambda: re.search(r"\(port (\d+)\)", read(process.log)[offset:]), "the aggregator listens",
                        process=process)
        process.port = int(text.group(1))
        process.url = f"https://127.0.0.1:{process.port}"
        return process

    def client(self, aggregator, name, data, *options, certificate=None, **how):
        return self.start(self.program("rondo-client"), "--aggregator", aggregator.url, *self.tls(certificate or name),
                          "--data", data, *options, log=name + ".log", **how)

    def session(self, aggregator, name):
        return Session(self, aggregator.port, name)

    @contextlib.contextmanager
    def small_disk(self, name="state"):
        """A file system of 4 MB at that path; what it gives is a function that fills it and returns the file to remove."""
        path = self.path(name)
        os.makedirs(path)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", path], capture_output=True).returncode != 0:
            raise Skip("cannot mount a small file system here")

        def fill():
            filler = os.path.join(path, "filler")
            with open(filler, "wb", buffering=0) as f:
                try:
                    while True:
                        f.write(b"x" * 4096)
                except OSError:
                    return filler
        try:
            yield fill
        finally:
            subprocess.run(["umount", "-l", path], check=True)

    def rounds(self, state="state"):
        text = self.check(self.program("rondo-inspect"), "rounds", self.path(state), "--jsonl")
        return [json.loads(line) for line in text.splitlines()]

    def kill_midway(self, process, rounds, state="state"):
        """kill -9 of a process that is running, of a run with rounds left to do; returns how many are done."""
        process.kill()
        code = process.wait()
        assert code == -signal.SIGKILL, f"it had ended with {code} before it was killed:\n{read(process.log)}"
        done = len(self.rounds(state)) - 1
        assert done < rounds, f"all {rounds} rounds were done before it was killed"
        return done

    def close(self):
        for process in self.processes:
            if process.poll() is None and os.path.basename(self.build) == "coverage":
                process.terminate()  # what is killed does not say which lines it reached
                try:
                    process.wait(timeout=20)
                except subprocess.TimeoutExpired:
                    pass
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Session:
    """A client written with nothing but Python's own HTTPS: the protocol's second implementation."""

    def __init__(self, world, port, name):
        context = ssl.create_default_context(cafile=world.path("certs", "ca.crt"))
        if name:
            context.load_cert_chain(world.path("certs", name + ".crt"), world.path("certs", name + ".key"))
        self.connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30 * SLOW)
        self.version, self.model = 0, None  # of the last task, and how it is named
        self.fields = {}  # headers of every request

    def request(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body=body, headers={**self.fields, **(headers or {})})
        response = self.connection.getresponse()
        data = response.read()
        if data and response.headers.get("Content-Type") == "application/json":
            data = json.loads(data)
        return response.status, data, response.headers

    def join(self, samples=10, **more):
        return self.request("POST", "/v1/join", json.dumps({"protocol": 1, "samples": samples, **more}))

    def task(self, wait=20):
        answer = self.request("GET", f"/v1/task?wait={wait}")
        if answer[0] == 200:
            self.version, self.model = answer[1]["model"], None
        return answer

    def name_of_model(self):
        """How the aggregator names the model of the last task; asked for once a task."""
        if self.model is None:
            self.model = self.request("GET", f"/v1/model/{self.version}", headers={"Range": "bytes=0-0"})[2]["ETag"]
        return self.model

    def update(self, round, body, **headers):
        """Without another Rondo_Model: trained from the model of the last task."""
        fields = {k.replace("_", "-"): v for k, v in headers.items()}
        fields.setdefault("Rondo-Model", self.name_of_model())
        return self.request("POST", f"/v1/rounds/{round}/train", body, {k: v for k, v in fields.items() if v is not None})


def read(path):
    with open(path, errors="replace") as f:
        return f.read()


def wait_for(condition, what, seconds=60, process=None):
    """Polls until condition() is true and returns its value."""
    end = time.monotonic() + seconds * SLOW
    while True:
        value = condition()
        if value:
            return value
        if process is not None and process.poll() is not None:
            value = condition()  # what it did last may have come between the question and its end
            if value:
                return value
            raise AssertionError(f"waiting until {what}, but the process ended with {process.returncode}:\n{read(process.log)}")
        assert time.monotonic() < end, f"waited {seconds} s in vain until {what}" + (
            f"\n{read(process.log)}" if process else "")
        time.sleep(0.02)


def wait_exit(process, seconds=60):
    try:
        return process.wait(timeout=seconds * SLOW)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"still running after {seconds} s:\n{read(process.log)}") from None


def safetensors(tensors, metadata=None, dtype="F32", pad=True):
    """A file by hand: tensors is {name: (shape, list of floats)}."""
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (shape, values) in tensors.items():
        raw = struct.pack(f"<{len(values)}{'f' if dtype == 'F32' else 'd'}", *values)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    if pad:
        text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def read_safetensors(raw):
    """{name: (shape, tuple of floats)} of a file with F32 tensors."""
    (size,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + size])
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        tensors[name] = (entry["shape"], struct.unpack(f"<{(end - begin) // 4}f", raw[begin:end]))
    return tensors


def free_port():
    """For an aggregator that is not there yet, or stops and comes back: none that the system gives to connections that are
    made meanwhile, by this test or by one beside it."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        first = int(f.read().split()[0])
    while True:
        port = random.randrange(10000, first) if first > 11000 else 0
        try:
            with socket.socket() as s:
                s.bind(("127.0.0.1", port))
                return s.getsockname()[1]
        except OSError:
            pass


def solve(a, b):
    """Gauss-Jordan elimination with partial pivoting."""
    n = len(b)
    m = [row[:] + [v] for row, v in zip(a, b)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(m[r][i]))
        m[i], m[pivot] = m[pivot], m[i]
        m[i] = [v / m[i][i] for v in m[i]]
        for r in range(n):
            if r != i:
                m[r] = [v - m[r][i] * w for v, w in zip(m[r], m[i])]
    return [row[n] for row in m]


def main():
    build = os.path.abspath(sys.argv[1])
    chosen = sys.argv[2:]
    module = sys.modules["__main__"]
    tests = [(n, f) for n, f in vars(module).items() if n.startswith("test_") and (not chosen or n in chosen)]
    unknown = set(chosen) - {n for n, _ in tests}
    if unknown:
        sys.exit(f"no such test: {', '.join(sorted(unknown))}")
    failures = 0
    # Under nohup and in a shell's background the programs would ignore these, as they should.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(f"1..{len(tests)}", flush=True)  # first, so that a file which dies half-way is seen to have planned more
    for number, (name, function) in enumerate(tests, 1):
        world = World(build, name)
        try:
            if getattr(module, "SKIP", None):  # why a file leaves all of its tests out
                raise Skip(module.SKIP)
            function(world)
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception:
            failures += 1
            print(f"not ok {number} - {name}", flush=True)
            for line in traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)
        finally:
            world.close()
    sys.exit(1 if failures else 0)
