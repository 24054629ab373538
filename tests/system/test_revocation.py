#!/usr/bin/env python3
"""Who was let in can be thrown out: by the authority's list, by name, by the end of a certificate; and certificates are replaced
while rounds go on."""
import os
import re
import shutil
import signal
import ssl
import time

import harness
from harness import SLOW, read, wait_exit, wait_for

MODEL = {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]}


def config(world, rounds=1000000, **cohort):
    return world.write("run.json", {"rounds": rounds, "model": MODEL, "training": {"learning_rate": 0.01}, "cohort": cohort})


def table(world):
    return world.write("t.csv", "x,y,label\n1,2,0\n3,4,1\n")


def says(process, text, times=1):
    return wait_for(lambda: read(process.log).count(text) >= times, f"the log says {text}", process=process)


def hang_up(process, text, times=1):
    process.send_signal(signal.SIGHUP)
    says(process, text, times)


def crl(world, *names, path="list.crl", days=("-crldays", "30"), ca="ca"):
    """The authority's list of the certificates of these names."""
    certs = world.path("certs")
    register = "".join(
        "R\t400101000000Z\t200101000000Z\t%s\tunknown\t/CN=%s\n" % (world.check("openssl", "x509", "-in", f"{certs}/{n}.crt", "-noout", "-serial").strip()[7:], n)
        for n in names)
    world.write("certs/crl.register", register)
    world.write("certs/crl.number", "01\n")
    world.write("certs/crl.config", f"[ca]\ndefault_ca=here\n[here]\ndatabase={certs}/crl.register\ncrlnumber={certs}/crl.number\ndefault_md=sha256\n")
    world.check("openssl", "ca", "-gencrl", "-config", f"{certs}/crl.config", "-cert", f"{certs}/{ca}.crt", "-keyfile", f"{certs}/{ca}.key", *days,
                "-out", world.path(path))
    return world.path(path)


def refused(answer, *words):
    status, data, _ = answer
    assert status == 403 and data["error"] == "refused" and all(w in data["message"] for w in words), answer


def closed(session):
    """The connection on which a refusal was read carries no further request."""
    wait_for(lambda: session.connection.sock is None or session.connection.sock.recv(1) == b"", "the connection is closed")


def alert(world, aggregator, name):
    """With which words TLS ends a handshake under that certificate."""
    try:
        world.session(aggregator, name).request("GET", "/v1/run")
    except (ssl.SSLError, OSError) as e:
        return str(e).lower()
    raise AssertionError("the handshake succeeded")


def test_the_authority_revokes(world):
    """An open connection is refused at its next request, a new one in the handshake, and the round does not wait."""
    world.certificates(["one", "two", "three"])
    path = crl(world, "three")
    aggregator = world.aggregator(config(world, min_clients=3), "--crl", path)
    assert "revoked" in alert(world, aggregator, "three")
    says(aggregator, 'certificate "CN=three" refused: it was revoked')
    one, two = world.session(aggregator, "one"), world.session(aggregator, "two")
    assert one.join()[0] == two.join()[0] == 200
    says(aggregator, "2 of 3 clients are there")
    crl(world, "two", "three")
    hang_up(aggregator, "SIGHUP: " + path + " read again: 2 certificates are revoked")
    refused(two.request("GET", "/v1/task?wait=0"), "revoked by its authority")
    closed(two)
    says(aggregator, "1 of 3 clients are there")
    assert one.task(wait=0)[0] == 204
    assert "revoked" in alert(world, aggregator, "two")
    client = world.client(aggregator, "two", table(world))
    assert wait_exit(client) == 3 and "--cert was revoked" in read(client.log), read(client.log)
    world.write("list.crl", "nothing\n")
    hang_up(aggregator, "SIGHUP: --crl " + path + ": expected a certificate revocation list in PEM")
    says(aggregator, "the list as it was stays in force")
    assert "revoked" in alert(world, aggregator, "two")


def test_lists_that_are_of_no_use_are_refused(world):
    world.certificates(["one"])
    world.check(os.path.join(harness.ROOT, "certs", "make-certs"), world.path("others"), "ca")
    for end in ("crt", "key"):
        shutil.copy(world.path("others", "ca." + end), world.path("certs", "other." + end))
    cases = [(crl(world, "one", path="foreign.crl", ca="other"), "no authority in --ca"),
             (crl(world, "one", path="old.crl", days=("-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200102000000Z")), "due on 2020-01-02"),
             (world.write("empty.crl", ""), "expected a certificate revocation list"), (world.path("none.crl"), "No such file")]
    forged = read(crl(world, "one", path="good.crl")).splitlines()
    forged[-2] = forged[-2][:4] + ("A" if forged[-2][4] != "A" else "B") + forged[-2][5:]
    cases.append((world.write("forged.crl", "\n".join(forged) + "\n"), "forged.crl: "))
    for path, words in cases:
        result = world.run(world.program("rondo-aggregator"), "serve", "--config", config(world), "--state", world.path("none"),
                           *world.tls("aggregator"), "--crl", path)
        assert result.returncode == 1 and "--crl" in result.stderr and words in result.stderr, (path, result.stderr)


def test_a_client_is_revoked_by_name(world):
    """While the aggregator runs, and without a signal; what was revoked is so after a restart, and in a copy."""
    world.certificates(["one", "two"])
    aggregator = world.aggregator(config(world))
    two = world.session(aggregator, "two")
    assert two.join()[0] == 200
    world.check(world.program("rondo-aggregator"), "revoke", "two", "--state", world.path("state"))
    refused(two.request("GET", "/v1/run"), "was revoked")
    closed(two)
    says(aggregator, "two refused: this client was revoked")
    assert "revoked" in alert(world, aggregator, "two")
    assert world.session(aggregator, "one").join()[0] == 200
    world.certificate("newer", subject="/CN=two")
    assert "revoked" in alert(world, aggregator, "newer"), "whoever the authority gives that name"
    world.check(world.program("rondo-aggregator"), "revoke", "Clinic 7 (north)", "--state", world.path("state"), "--quiet")
    world.certificate("north", subject="/CN=Clinic 7 (north)")
    assert "revoked" in alert(world, aggregator, "north")
    world.check(world.program("rondo-aggregator"), "backup", world.path("state"), world.path("copy"))
    aggregator.terminate()
    aggregator.wait()
    # A power loss may leave half a line behind; a damaged one is not read as another.
    with open(world.path("state/members"), "ab") as f:
        f.write(b"0123456789abcdef revo")
    for state in ("state", "copy"):
        aggregator = world.aggregator(config(world), state=state)
        assert "revoked" in alert(world, aggregator, "two")
        world.check(world.program("rondo-aggregator"), "revoke", "one", "--state", world.path(state))
        assert "revoked" in alert(world, aggregator, "one")
        aggregator.terminate()
        aggregator.wait()
    journal = world.path("state/members")
    text = read(journal)
    assert "revo\n" not in text and os.stat(journal).st_mode & 0o777 == 0o600, text
    world.write("state/members", text.replace("revoked two", "revoked tw0"))
    result = world.run(world.program("rondo-aggregator"), "revoke", "one", "--state", world.path("state"))
    assert result.returncode == 1 and "the line at byte 0 is damaged" in result.stderr, result.stderr
    result = world.run(world.program("rondo-aggregator"), "revoke", "", "--state", world.path("copy"))
    assert result.returncode != 0, result.stderr


def test_certificates_that_are_no_clients(world):
    world.certificates(["one"])
    aggregator = world.aggregator(config(world))
    for number, (extensions, words) in enumerate([("basicConstraints=critical,CA:FALSE", "and no authority"),
                                                  ("extendedKeyUsage=serverAuth", "and no authority"),
                                                  ("basicConstraints=critical,CA:TRUE\nextendedKeyUsage=clientAuth", "and no authority")]):
        world.certificate(f"odd{number}", extensions=extensions)
        assert "unsupported certificate" in alert(world, aggregator, f"odd{number}")
        says(aggregator, words, 1 + number)


def test_a_connection_ends_with_its_certificate(world):
    world.certificates(["one"])
    world.certificate("brief", seconds=3 * SLOW)
    aggregator = world.aggregator(config(world, min_clients=3))
    brief, one = world.session(aggregator, "brief"), world.session(aggregator, "one")
    assert brief.join()[0] == one.join()[0] == 200
    began = time.monotonic()
    try:
        answer = brief.request("GET", "/v1/task?wait=60")
        raise AssertionError(answer)
    except OSError as e:
        assert "closed" in str(e).lower() or "reset" in str(e).lower() or "eof" in str(e).lower(), e
    assert time.monotonic() - began < 20 * SLOW
    says(aggregator, "the certificate of 'brief' has ended, and its connection with it")
    assert one.task(wait=0)[0] == 204, "the other's goes on"
    assert "expired" in alert(world, aggregator, "brief")


def serial(session):
    return ssl.DER_cert_to_PEM_cert(session.connection.sock.getpeercert(True))


def test_certificate_and_key_are_replaced_while_rounds_go_on(world):
    world.certificates(["one", "two"])
    aggregator = world.aggregator(config(world))
    client = world.client(aggregator, "one", table(world))
    says(aggregator, "round 3/")
    old = world.session(aggregator, "two")
    old.request("GET", "/v1/run")
    before = serial(old)
    server = "extendedKeyUsage=serverAuth\nsubjectAltName=IP:127.0.0.1"
    path = world.certificate("aggregator", seconds=86400 * 12 + 3600, extensions=server)
    hang_up(aggregator, f"SIGHUP: --cert {path} read again: it is good until ")
    says(aggregator, f"--cert {path} ends in 12 days")
    new = world.session(aggregator, "two")
    new.request("GET", "/v1/run")
    assert serial(new) != before
    assert old.request("GET", "/v1/run")[0] == 200 and serial(old) == before, "who is there stays"
    # Neither half of a pair, nor a client's certificate, nor nothing takes the place of what is of use.
    good = read(path)
    for text, words in [(read(world.path("certs/one.crt")), "not an aggregator's"), ("", "found none"), (before, "is not the key of the certificate")]:
        world.write("certs/aggregator.crt", text)
        hang_up(aggregator, words)
    assert read(aggregator.log).count("certificate and key as they were stay in force") == 3
    third = world.session(aggregator, "two")
    third.request("GET", "/v1/run")
    assert serial(third) == serial(new)
    world.write("certs/aggregator.crt", good)
    hang_up(aggregator, "read again: it is good until", 2)
    done = len(re.findall(r"^round \d+/", read(aggregator.log), re.M))
    wait_for(lambda: len(re.findall(r"^round \d+/", read(aggregator.log), re.M)) > done, "rounds go on", process=aggregator)
    assert "lost" not in read(client.log) and "abandoned" not in read(aggregator.log), read(client.log)


if __name__ == "__main__":
    harness.main()
