#!/usr/bin/env python3
"""Certificate files: whatever one side could not use is said at signing or at start, in words that name it; nobody is asked on a terminal."""
import calendar
import os
import pty
import re
import select
import signal
import time

import harness
from fake_aggregator import FakeAggregator
from harness import SLOW, read, wait_exit, wait_for

RUN = {"rounds": 1, "model": {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]}, "training": {"learning_rate": 0.1}}


def begin(world):
    world.certificates(["one", "two"])
    world.write("t.csv", "a,b,label\n1.5,2,0\n3,4,1\n5,1,0\n2,2,1\n")
    world.write("private.csv", "a,b,c,y\n1,2,3,4\n2,3,1,5\n")  # what FakeAggregator's run is about
    world.write("run.json", RUN)


def client(world, url, name="one", *options, **changes):
    files = {"--ca": world.path("certs/ca.crt"), "--cert": world.path(f"certs/{name}.crt"), "--key": world.path(f"certs/{name}.key"), **changes}
    return [world.program("rondo-client"), "--aggregator", url, *(v for pair in files.items() for v in pair), "--data", world.path("t.csv"), *options]


def client_of_fake(world, fake, name="one", *options, **changes):
    return client(world, fake.url, name, "--data", world.path("private.csv"), "--regression", *options, **changes)


def serve(world, name="aggregator", *options):
    return [world.program("rondo-aggregator"), "serve", "--config", world.path("run.json"), "--state", world.path("state"), "--listen", "127.0.0.1:0",
            *world.tls(name), *options]


def certificate(world, name, key, extension="extendedKeyUsage=clientAuth", dates=("-days", "9"), digest="-sha256"):
    """Signed without make-certs, which would refuse."""
    world.write("extension", extension)
    world.check("openssl", "req", "-new", "-newkey", *key, "-nodes", "-subj", f"/CN={name}", "-keyout", world.path(f"certs/{name}.key"), "-out", world.path("csr"))
    world.check("openssl", "x509", "-req", "-in", world.path("csr"), "-CA", world.path("certs/ca.crt"), "-CAkey", world.path("certs/ca.key"), digest,
                "-set_serial", "99", *dates, "-extfile", world.path("extension"), "-out", world.path(f"certs/{name}.crt"))


KINDS = {"ed": (["ed25519"], "ED25519"), "p521": (["ec", "-pkeyopt", "ec_paramgen_curve:P-521"], "P-521"),
         "k256": (["ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"], "secp256k1"), "small": (["rsa:1024"], "RSA of 1024 bits")}
USABLE = {"p384": ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], "rsa": ["rsa:2048"]}


def test_keys_that_the_aggregator_cannot_use(world):
    begin(world)
    make = os.path.join(harness.ROOT, "certs", "make-certs")
    for name, (key, word) in KINDS.items():
        world.check("openssl", "req", "-new", "-newkey", *key, "-nodes", "-subj", f"/CN={name}", "-keyout", world.path("key"), "-out", world.path("csr"))
        result = world.run(make, world.path("certs"), "sign", world.path("csr"))
        assert result.returncode == 1 and word in result.stderr and "EC P-256" in result.stderr, result
        assert not os.path.exists(world.path(f"certs/{name}.crt"))
        certificate(world, name, key)
        result = world.run(*client(world, "https://127.0.0.1:9", name))
        assert result.returncode == 6 and f"certs/{name}.crt: its key" in result.stderr and "EC P-256 or P-384, or RSA" in result.stderr, result
        certificate(world, name, key, "extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1")
        result = world.run(*serve(world, name))
        assert result.returncode == 1 and f"certs/{name}.crt: its key" in result.stderr, result
    aggregator, clients = world.aggregator(world.write("two.json", {**RUN, "cohort": {"min_clients": 2}})), []
    for name, key in USABLE.items():
        certificate(world, name, key)
        world.check("openssl", "req", "-new", "-key", world.path(f"certs/{name}.key"), "-subj", f"/CN={name}-signed", "-out", world.path("csr"))
        world.check(make, world.path("certs"), "sign", world.path("csr"))
        clients.append(world.start(*client(world, aggregator.url, name), log=f"{name}.log"))
    for process in [*clients, aggregator]:
        assert wait_exit(process) == 0, read(process.log)


def test_files_that_cannot_be_used_are_named_at_start(world):
    begin(world)
    certificate(world, "server", ["rsa:2048"], "extendedKeyUsage=serverAuth")
    certificate(world, "expired", ["rsa:2048"], dates=world.expired())
    certificate(world, "silent", ["rsa:2048"], "extendedKeyUsage=clientAuth\nkeyUsage=critical,keyAgreement")
    certificate(world, "sha1", ["rsa:2048"], digest="-sha1")
    path = world.path
    for name, changes, words in (("server", {}, ["server.crt: it is not a client's certificate"]), ("expired", {}, ["expired.crt: the certificate expired on 20"]),
                                 ("silent", {}, ["silent.crt", "key usage"]), ("sha1", {}, ["sha1.crt", "hash"]),
                                 ("one", {"--key": path("certs/two.key")}, ["two.key is not the key of the certificate", "one.crt"]),
                                 ("one", {"--ca": path("certs/one.key")}, ["--ca", "one.key: expected certificates"]),
                                 ("one", {"--cert": path("nowhere.crt")}, ["--cert", "nowhere.crt"]), ("one", {"--key": path("t.csv")}, ["--key", "t.csv"])):
        started = time.monotonic()
        result = world.run(*client(world, "https://127.0.0.1:9", name, **changes))
        assert result.returncode == 6, result
        for word in words:
            assert word in result.stderr, (word, result.stderr)
        assert time.monotonic() - started < 3 * SLOW
    for name, command, code in (("one", client(world, "https://127.0.0.1:9"), 6), ("aggregator", serve(world), 1)):
        key = path(f"certs/{name}.key")
        for mode in (0o604, 0o644, 0o602):
            os.chmod(key, mode)
            result = world.run(*command)
            assert result.returncode == code and f"(mode {mode:o}): chmod 600 {key}" in result.stderr, result
        os.chmod(key, 0o600)
    result = world.run(*serve(world, "one"))
    assert result.returncode == 1 and "one.crt: it is not an aggregator's certificate" in result.stderr, result


def encrypt(world, name, out, *how):
    world.check("openssl", "pkcs8", "-topk8", "-in", world.path(f"certs/{name}.key"), "-out", world.path(out), "-passout", "pass:open sesame", *how)
    return world.path(out)


def on_terminal(command, seconds):
    """Runs the command on a terminal of its own, on which nobody types; what it says, and how it ends."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    said, end = b"", time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                piece = os.read(fd, 4096)
            except OSError:
                break
            if not piece:
                break
            said += piece
    else:
        os.kill(pid, signal.SIGKILL)
    return said.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_pass_phrase_is_in_a_file_or_refused(world):
    begin(world)
    world.write("phrase", "open sesame\n")
    world.write("wrong", "open barley\n")
    world.write("nothing", "\n")
    key = encrypt(world, "one", "locked.key")
    for command, code in ((client(world, "https://127.0.0.1:9", "one", **{"--key": key}), 6),
                          ([*serve(world)[:-1], encrypt(world, "aggregator", "aggregator.key")], 1)):
        said, found = on_terminal([str(c) for c in command], 10)
        assert found == code and "--key-passphrase-file" in said and "Enter" not in said, (found, said)
        for file, word in (("wrong", "does not open it"), ("nothing", "expected the pass phrase in its first line"), ("nowhere", "nowhere")):
            said, found = on_terminal([*command, "--key-passphrase-file", world.path(file)], 10)
            assert found == code and word in said and "Enter" not in said, (found, said)
    ways = {"aes256": [], "aes128": ["-v2", "aes-128-cbc"], "sha512": ["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"],
            "sha1": ["-v2", "aes-192-cbc", "-v2prf", "hmacWithSHA1"], "des3": ["-v2", "des3"]}
    for name, how in ways.items():
        state = f"state-{name}"
        locked = encrypt(world, "aggregator", f"a-{name}.key", *how)
        aggregator = world.start(*serve(world)[:-1], locked, "--state", world.path(state), "--key-passphrase-file", world.path("phrase"), log=f"{name}.log")
        port = wait_for(lambda: re.search(r"\(port (\d+)\)", read(aggregator.log)), "it listens", process=aggregator).group(1)
        world.check(*client(world, f"https://127.0.0.1:{port}", "one", "--key-passphrase-file", world.path("phrase"),
                            **{"--key": encrypt(world, "one", f"c-{name}.key", *how)}))
        assert wait_exit(aggregator) == 0, read(aggregator.log)
    world.check("openssl", "ec", "-aes256", "-in", world.path("certs/one.key"), "-out", world.path("old.key"), "-passout", "pass:open sesame")
    fake = FakeAggregator(world)
    world.check(*client_of_fake(world, fake, "one", "--key-passphrase-file", world.path("phrase"), **{"--key": world.path("old.key")}))


def test_certificates_begin_a_day_ago(world):
    begin(world)
    for name, days in (("ca", 3650), ("aggregator", 825), ("one", 825)):
        text = world.check("openssl", "x509", "-in", world.path(f"certs/{name}.crt"), "-noout", "-dates")
        begins, ends = (calendar.timegm(time.strptime(line.split("=", 1)[1], "%b %d %H:%M:%S %Y GMT")) for line in text.splitlines())
        assert abs(begins - (time.time() - 86400)) < 120 * SLOW and abs(ends - (time.time() + 86400 * days)) < 120 * SLOW, (name, text)


def test_not_valid_yet_is_waited_for(world):
    """A machine may start with a wrong clock: its own certificate, and then the aggregator's."""
    begin(world)
    from_now = ["-startdate", "-enddate"]
    world.write("register", "")
    world.write("serial", "7001\n")
    world.write("ca.cnf", f"[ca]\ndefault_ca=x\n[x]\ndatabase={world.path('register')}\nserial={world.path('serial')}\nnew_certs_dir={world.dir}\n"
                "default_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n")

    def valid_in(seconds, name, extension):
        world.write("extension", extension)
        world.check("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", world.path(f"certs/{name}.key"), "-out", world.path("csr"))
        dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + s)) for s in (seconds, seconds + 86400)]
        world.check("openssl", "ca", "-batch", "-notext", "-config", world.path("ca.cnf"), "-in", world.path("csr"), "-out", world.path(f"certs/{name}.crt"),
                    "-cert", world.path("certs/ca.crt"), "-keyfile", world.path("certs/ca.key"), "-extfile", world.path("extension"),
                    *(v for pair in zip(from_now, dates) for v in pair))

    fake = FakeAggregator(world)
    valid_in(6, "early", "extendedKeyUsage=clientAuth")
    process = world.start(*client_of_fake(world, fake, "early"), log="early.log")
    assert wait_exit(process) == 0, read(process.log)
    assert "early.crt: the certificate is not valid before 20" in read(process.log) and "trying for 300 s" in read(process.log)
    valid_in(3600, "early", "extendedKeyUsage=clientAuth")
    result = world.run(*client_of_fake(world, fake, "early", "--retry-seconds", "1"))
    assert result.returncode == 6 and "is the clock right?" in result.stderr, result
    process = world.start(*client_of_fake(world, fake, "early"), log="left.log")
    wait_for(lambda: "trying for" in read(process.log), "it waits", process=process)
    process.terminate()
    assert wait_exit(process, 5) == 143

    valid_in(6, "server", "extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1")
    other = FakeAggregator(world, certificate="server")
    process = world.start(*client_of_fake(world, other), log="server.log")
    assert wait_exit(process) == 0, read(process.log)
    assert "the aggregator's certificate is not valid yet; is this machine's clock right?; trying for 300 s" in read(process.log), read(process.log)


def test_another_authority_for_clients_is_reported(world):
    begin(world)
    make = os.path.join(harness.ROOT, "certs", "make-certs")
    world.check(make, world.path("other"), "ca")
    world.check(make, world.path("other"), "client", "one")
    fake = FakeAggregator(world)
    result = world.run(*client(world, fake.url, **{"--cert": world.path("other/one.crt"), "--key": world.path("other/one.key")}))
    assert result.returncode == 3 and "does not trust the authority that signed --cert" in result.stderr, result
    assert "other/one.crt is not signed by --ca" in result.stdout, result


if __name__ == "__main__":
    harness.main()
