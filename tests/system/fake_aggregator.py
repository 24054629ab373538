"""An aggregator that misbehaves on request and writes down every byte a client sends: Python's own HTTPS, nothing of Rondo's.

It serves a linear regression for a number of rounds, in which the model never changes. `script` holds what is to happen
instead: script["POST /v1/rounds/1/train"] = [answer, ...] is used up from its beginning, and then the usual answers follow.
An answer is (status, body) or (status, body, headers), or a function that is given the handler and deals with its socket
itself.
"""
import collections
import http.server
import json
import socket
import ssl
import struct
import threading
import time

from harness import safetensors

Request = collections.namedtuple("Request", "method path headers body at")


def refusal(kind, message="as told"):
    return {"error": kind, "message": message}


def cut(handler):
    """The connection is gone, without an answer."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def silence(seconds):
    def be_silent(handler):
        time.sleep(seconds)
        cut(handler)
    return be_silent


class Tee:
    """A file that writes down what is read from it."""

    def __init__(self, file, record):
        self.file, self.record = file, record

    def read(self, count):
        data = self.file.read(count)
        self.record.extend(data)
        return data

    def readline(self, limit):
        data = self.file.readline(limit)
        self.record.extend(data)
        return data

    def __getattr__(self, name):
        return getattr(self.file, name)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        self.request.settimeout(60)
        if isinstance(self.request, ssl.SSLSocket):
            self.request.do_handshake()  # here and not in accept, where it would hold up everybody
            self.server.fake.ciphers.append(self.request.cipher()[:2])
        self.server.fake.connections.append(self.request)
        super().setup()
        self.rfile = Tee(self.rfile, self.server.fake.wire)

    def answer(self):
        fake = self.server.fake
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key = f"{self.command} {self.path.split('?')[0]}"
        with fake.lock:
            fake.requests.append(Request(self.command, self.path, dict(self.headers), body, time.monotonic()))
            told = fake.script.get(key)
            answer = told.pop(0) if told else fake.usual(self.command, self.path)
        if callable(answer):
            answer(self)
            return
        status, content, headers = (*answer, {}) if len(answer) == 2 else answer
        raw = content if isinstance(content, bytes) else json.dumps(content).encode() if content is not None else b""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}.items():
            if status != 204 or not name.startswith("Content-"):
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_HEAD = do_PATCH = answer

    def log_message(self, *_):
        pass


def table_of(headings, label, kind="target", **more):
    """A settled schema of numbers that are left as they are."""
    number = {"type": "number", "missing": "refuse", "scale": "none"}
    columns = [{"name": name, **number} for name in headings] if headings[0] else [{**number, "count": len(headings)}]
    meaning = {"scale": "none"} if kind == "target" else {"classes": "numbers"}
    return {"columns": columns, "label": {"name": label, "type": kind, "missing": "refuse", **meaning}, **more}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # handshakes that fail, connections that are cut

    def shutdown_request(self, request):
        try:  # an alert under way is lost where a socket is closed over bytes that nobody has read
            request.settimeout(1)
            request.shutdown(socket.SHUT_WR)
            while request.recv(4096):
                pass
        except OSError:
            pass
        super().shutdown_request(request)


class FakeAggregator:
    def __init__(self, world, rounds=1, features=3, config=None, model=None, port=0, tls=True, certificate="aggregator", least=None, most=None, schema=None):
        self.rounds, self.lock = rounds, threading.Lock()
        self.script, self.requests, self.wire = {}, [], bytearray()
        self.ciphers, self.connections = [], []
        self.next_round = 1
        self.config = {"name": "fake", "seed": 1, "rounds": max(rounds, 1), "model": {"preset": "linear-regression", "input": features},
                       "training": {"learning_rate": 0.01, "batch_size": 0}, **(config or {})}
        self.run, self.life = "0123456789abcdef0123456789abcdef", "00000000000000aa"  # of a life: its models have the same names
        self.schema = schema or table_of("abc" if features == 3 else [None] * features, "y")
        self.model = model or safetensors({"fc1.weight": ([1, features], [0.5] * features), "fc1.bias": ([1], [0.25])})
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.fake = self
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=world.path("certs/ca.crt"))
            context.load_cert_chain(world.path("certs", certificate + ".crt"), world.path("certs", certificate + ".key"))
            context.verify_mode = ssl.CERT_REQUIRED
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE  # so that the client's preference shows
            context.minimum_version, context.maximum_version = least or context.minimum_version, most or context.maximum_version
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def usual(self, method, path):
        """The answer of an aggregator that is in order."""
        if path in ("/v1/join", "/v1/run"):
            return 200, {"protocol": 1, "run": self.run, "client": "alice", "config": self.config, "settled": True, "schema": self.schema}
        if path.startswith("/v1/task"):
            if self.next_round > self.rounds:
                return 200, {"task": "finished", "round": self.rounds, "model": self.rounds}
            return 200, {"task": "train", "round": self.next_round, "model": self.next_round - 1}
        if path.startswith("/v1/model/"):
            return 200, self.model, {"Content-Type": "application/octet-stream", "ETag": f'"{self.run}-{path.rsplit("/", 1)[1]}-{self.life}"'}
        if path.startswith("/v1/rounds/") and path.endswith("/train"):
            number = int(path.split("/")[3])
            counted = number == self.next_round
            self.next_round += counted
            return 200, {"round": number, "counted": counted}
        if path == "/v1/leave":
            return 204, None
        return 404, refusal("unknown", "no such path")

    def seen(self, start=""):
        """The requests so far whose "METHOD /path" begins so."""
        return [r for r in list(self.requests) if f"{r.method} {r.path}".startswith(start)]

    def order(self):
        return [f"{r.method} {r.path}" for r in list(self.requests)]

    def vanish(self):
        """Listens no more, and ends its own connections: as if its machine were switched off and on."""
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it is closed


def metadata(body):
    """What an update says beside its tensors."""
    (size,) = struct.unpack("<Q", body[:8])
    return json.loads(body[8:8 + size])["__metadata__"]
