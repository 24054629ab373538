#!/usr/bin/env python3
"""From a token to a certificate, and what must not come of it: a token used twice, for another name, for another right, or by
guessing; and what the door that is open to strangers does not let in."""
import concurrent.futures
import json
import os
import re
import shlex
import ssl
import stat
import time

import harness
from harness import SLOW, read, wait_exit, wait_for

MODEL = {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]}


def begin(world, *options, sign=None, clients=("old",), **cohort):
    world.certificates(list(clients))
    config = world.write("run.json", {"rounds": 1000000, "model": MODEL, "training": {"learning_rate": 0.01}, "cohort": cohort})
    return world.aggregator(config, *(sign or ["--ca-key", world.path("certs/ca.key")]), *options)


def says(process, text, times=1):
    return wait_for(lambda: read(process.log).count(text) >= times, f"the log says {text}", process=process)


def token(world, aggregator, name, *options):
    """The command line that the operator hands on, in words."""
    text = world.check(world.program("rondo-aggregator"), "token", name, "--state", world.path("state"), "--ca", world.path("certs/ca.crt"),
                       "--aggregator", aggregator.url, *options)
    words = shlex.split(text)
    assert words[:2] == ["rondo-client", "enroll"], text
    return words[1:]


def enroll(world, words, *more):
    return world.run(world.program("rondo-client"), *words, "--out", world.path("certs"), *more)


def request(world, subject, *options, key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
    world.check("openssl", "req", "-new", "-newkey", *key, "-nodes", "-subj", subject, "-keyout", world.path("x.key"), "-out", world.path("x.csr"), *options)
    return read(world.path("x.csr"))


def ask(world, aggregator, word, csr):
    """POST /v1/enrol by Python's own HTTPS, without a certificate."""
    return world.session(aggregator, None).request("POST", "/v1/enrol", json.dumps({"token": word, "request": csr}))


def refused(answer, status, *words):
    assert answer[0] == status and all(w in answer[1]["message"] for w in words), answer


def test_a_newcomer_enrols_and_takes_part(world):
    aggregator = begin(world)
    words = token(world, aggregator, "alice")
    result = enroll(world, words)
    assert result.returncode == 0 and "alice is enrolled" in result.stdout, result.stderr
    key, cert = world.path("certs/alice.key"), world.path("certs/alice.crt")
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    world.check("openssl", "verify", "-x509_strict", "-CAfile", world.path("certs/ca.crt"), "-purpose", "sslclient", cert)
    text = world.check("openssl", "x509", "-in", cert, "-noout", "-text", "-subject", "-nameopt", "RFC2253")
    assert "CA:FALSE" in text and "TLS Web Client Authentication\n" in text and "subject=CN=alice" in text, text
    assert world.run("openssl", "x509", "-in", cert, "-noout", "-checkend", 89 * 86400).returncode == 0
    assert world.run("openssl", "x509", "-in", cert, "-noout", "-checkend", 91 * 86400).returncode == 1
    client = world.client(aggregator, "alice", world.write("t.csv", "x,y,label\n1,2,0\n3,4,1\n"))
    says(client, "round 2: delivered")
    der = world.check("openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256").strip().split("=")[1].replace(":", "").lower()
    (entry,) = [json.loads(x)["entry"] for x in world.check(world.program("rondo-inspect"), "audit", world.path("state"), "--jsonl").splitlines() if '"enrolled"' in x]
    assert (entry["client"], entry["why"]) == ("alice", "certificate " + der), entry
    secret = words[words.index("--token") + 1]
    journal = read(world.path("state/members"))
    assert secret not in journal and secret.split(":")[1] not in journal, "who reads the state directory has no token"
    # The token is used; the certificate is there, and so is the authority's.
    assert enroll(world, words).returncode == 2
    os.rename(cert, cert + ".old")
    result = enroll(world, words)
    assert result.returncode == 3 and "used before" in result.stderr, result.stderr
    # It has one certificate at a time: enrolled anew, the former is of no use.
    os.rename(key, key + ".old")
    assert enroll(world, token(world, aggregator, "alice")).returncode == 0
    for name in ("crt", "key"):
        os.rename(world.path(f"certs/alice.{name}.old"), world.path(f"certs/former.{name}"))
    assert wait_exit(client) == 3 and "another certificate by now" in read(client.log), read(client.log)
    assert world.session(aggregator, "alice").join()[0] == 200
    # Revoked, and let in again by a new token alone.
    unused = token(world, aggregator, "alice")
    world.check(world.program("rondo-aggregator"), "revoke", "alice", "--state", world.path("state"))
    os.remove(cert)
    result = enroll(world, unused)
    assert result.returncode == 3 and "withdrawn" in result.stderr, result.stderr
    assert enroll(world, token(world, aggregator, "alice")).returncode == 0
    assert world.session(aggregator, "alice").join()[0] == 200


def test_tokens_are_good_once_and_for_one_name(world):
    aggregator = begin(world)
    words = token(world, aggregator, "alice")
    secret = words[words.index("--token") + 1]
    other = request(world, "/CN=mallory")
    mine = request(world, "/CN=alice")
    refused(ask(world, aggregator, secret, other), 403, "it is for 'mallory', expected 'alice'")
    refused(ask(world, aggregator, "mallory:" + secret.split(":")[1], other), 403, "none that was given out")
    refused(ask(world, aggregator, secret[:-1] + "x", mine), 403, "none that was given out")
    refused(ask(world, aggregator, secret, request(world, "/CN=alice/CN=mallory")), 403, "more than one common name")
    refused(ask(world, aggregator, secret, request(world, "/O=nobody")), 403, "no common name")
    refused(ask(world, aggregator, secret, request(world, "/CN=alice", key=("rsa:1024",))), 403, "RSA of 1024 bits")
    der = bytearray(ssl.PEM_cert_to_DER_cert(mine.replace("CERTIFICATE REQUEST", "CERTIFICATE")))
    der[-1] ^= 1
    forged = ssl.DER_cert_to_PEM_cert(bytes(der)).replace("CERTIFICATE", "CERTIFICATE REQUEST")
    refused(ask(world, aggregator, secret, forged), 403, "its signature is not that of its key")
    refused(ask(world, aggregator, secret, "x" * 5000), 400, "at most 4095 bytes")
    refused(ask(world, aggregator, secret, "nothing"), 400, "expected a certificate request")
    assert ask(world, aggregator, secret, "x" * 20000)[0] == 413
    # What a request wants beside its name is not given, whatever its size (where it insists, mbedTLS 3 cannot read it).
    world.write("wishes.cnf", "[req]\ndistinguished_name=dn\nreq_extensions=wishes\n[dn]\n[wishes]\nbasicConstraints=CA:TRUE\n"
                "keyUsage=keyCertSign\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:rondo.example.org\nnsComment=" + "x" * 1000 + "\n")
    status, data, _ = ask(world, aggregator, secret, request(world, "/CN=alice", "-config", world.path("wishes.cnf")))
    assert status == 200, data
    text = world.check("openssl", "x509", "-in", world.write("given.crt", data["certificate"]), "-noout", "-text")
    assert "CA:FALSE" in text and "CA:TRUE" not in text and "Server Auth" not in text and "example.org" not in text and "Certificate Sign" not in text, text
    refused(ask(world, aggregator, secret, mine), 403, "used before")
    brief = token(world, aggregator, "brief", "--hours", "0.001")
    time.sleep(4.5)
    refused(ask(world, aggregator, brief[brief.index("--token") + 1], request(world, "/CN=brief")), 403, "expired")
    for name in ("a b", "", "x" * 65, "alice;rm"):
        result = world.run(world.program("rondo-aggregator"), "token", name, "--state", world.path("state"), "--ca", world.path("certs/ca.crt"))
        assert result.returncode in (1, 2) and "a member's name" in result.stderr, (name, result.stderr)


def test_of_two_who_race_with_one_token_one_gets_in(world):
    script = world.write("slowly", "sleep 0.5; cat >%s; exec openssl x509 -req -in %s -CA %s -CAkey %s -CAcreateserial -days 5 -extfile %s" % tuple(
        world.path(p) for p in ("slow.csr", "slow.csr", "certs/ca.crt", "certs/ca.key", "client.ext")))
    world.write("client.ext", "extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n")
    aggregator = begin(world, sign=["--sign-command", "sh " + script])
    words = token(world, aggregator, "alice")
    secret = words[words.index("--token") + 1]
    requests = [request(world, "/CN=alice") for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda csr: ask(world, aggregator, secret, csr), requests))
    assert sorted(a[0] for a in answers) == [200, 403, 403], answers
    assert read(world.path("state/members")).count(" enrolled alice ") == 1


def test_another_program_signs(world):
    """The key need not be here; and who signs something else than was asked for, or nothing, has signed for nobody."""
    world.write("client.ext", "extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n")
    world.write("server.ext", "extendedKeyUsage=serverAuth\n")
    ca = f"-CA {world.path('certs/ca.crt')} -CAkey {world.path('certs/ca.key')} -set_serial 77 -days 5"
    sign = f"openssl x509 -req {ca} -extfile {world.path('client.ext')}"
    key = world.path("certs/old.key")
    cases = [("echo nothing", "expected a certificate"), ("exit 7", "exit code 7"), (f"openssl x509 -req {ca} -extfile {world.path('server.ext')}", "not a client's"),
             (f"openssl req -new -key {key} -subj /CN=alice | {sign}", "for another key"),
             (f"openssl x509 -req -signkey {key} -days 5 -extfile {world.path('client.ext')} -force_pubkey /dev/stdin", "--sign-command"),
             ("yes", "more than 8191 bytes"), (f"cat {world.path('certs/old.crt')}", "for another name")]
    script = world.write("sign", "")
    aggregator = begin(world, sign=["--sign-command", "sh " + script])
    words = token(world, aggregator, "alice")
    for command, reason in cases:
        world.write("sign", command + "\n")
        seen = read(aggregator.log).count("alice was not enrolled: ")
        answer = ask(world, aggregator, words[words.index("--token") + 1], request(world, "/CN=alice"))
        refused(answer, 500, "could not be signed")
        says(aggregator, "alice was not enrolled: ", seen + 1)
        line = [x for x in read(aggregator.log).splitlines() if "alice was not enrolled: " in x][-1]
        assert reason in line, (command, line)
    world.write("sign", sign + "\n")
    result = enroll(world, words)
    assert result.returncode == 0, "a token that came to nothing is still good: " + result.stderr
    assert world.session(aggregator, "alice").join()[0] == 200


def test_strangers_find_two_doors_and_no_third(world):
    aggregator = begin(world, "--idle-seconds", "2")
    for method, path in (("POST", "/v1/join"), ("GET", "/v1/run"), ("GET", "/v1/task?wait=0"), ("GET", "/v1/model/0"), ("GET", "/v1/frozen"),
                         ("GET", "/v1/rounds"), ("POST", "/v1/leave"), ("POST", "/v1/rounds/1/train")):
        answer = world.session(aggregator, None).request(method, path)
        assert answer[0] == 401 and answer[2]["Connection"] == "close", (path, answer)
    assert world.session(aggregator, None).request("GET", "/v1/other")[0] == 404
    status, data, headers = world.session(aggregator, None).request("GET", "/v1/ca")
    assert status == 200 and data == {"ca": read(world.path("certs/ca.crt"))} and headers["Connection"] == "close"
    # Who shows a certificate that is wrong is no stranger, but refused.
    world.certificate("expired", seconds=-60)
    try:
        world.session(aggregator, "expired").request("GET", "/v1/ca")
        raise AssertionError("an expired certificate was taken")
    except OSError as e:
        assert "alert" in str(e).lower() or "closed" in str(e).lower(), e
    assert world.session(aggregator, "old").join()[0] == 200
    # One who says nothing is not kept.
    silent = world.session(aggregator, None)
    silent.connection.connect()
    says(aggregator, "a stranger has not said within 2 s what it wants")
    # Guessing ends, and whoever has a token of another address is not in its way: here it is the same, and waits.
    csr = request(world, "/CN=alice")
    answers = [ask(world, aggregator, f"alice:{i:032x}", csr) for i in range(12)]
    assert [a[0] for a in answers] == [403] * 10 + [503] * 2, answers
    aggregator.terminate()
    aggregator.wait()
    aggregator = world.aggregator(world.path("run.json"))
    try:
        answer = world.session(aggregator, None).request("GET", "/v1/ca")
        raise AssertionError(("without enrolment there are no strangers", answer))
    except OSError:
        pass
    assert world.session(aggregator, "old").request("GET", "/v1/ca")[0] == 404


def test_the_aggregator_is_the_one_that_was_meant(world):
    aggregator = begin(world)
    words = token(world, aggregator, "alice")
    at = words.index("--ca-sha256") + 1
    wrong = words[:at] + ["0" * 64] + words[at + 1:]
    result = world.run(world.program("rondo-client"), *wrong, "--out", world.path("new"))
    assert result.returncode == 3 and "is this the aggregator that was meant" in result.stderr, result.stderr
    assert "alice" not in read(aggregator.log) and os.listdir(world.path("new")) == [], "nothing was told"
    spelled = ":".join(re.findall("..", words[at].upper()))
    result = world.run(world.program("rondo-client"), *words[:at], spelled, "--out", world.path("new"), "--proxy", "none")
    assert result.returncode == 0, result.stderr
    assert sorted(os.listdir(world.path("new"))) == ["alice.crt", "alice.key", "ca.crt"]
    for words in (["--token", "x"], ["--token", "a/b:1"], ["--token", "../x:1"]):
        result = world.run(world.program("rondo-client"), "enroll", "--aggregator", aggregator.url, *words, "--ca-sha256", "0" * 64)
        assert result.returncode == 2 and "--token: expected" in result.stderr, result.stderr
    result = world.run(world.program("rondo-client"), "enroll", "--aggregator", aggregator.url, "--token", "a:1", "--ca-sha256", "xyz")
    assert result.returncode == 2 and "64 hexadecimal digits" in result.stderr, result.stderr


def test_an_observer_reads_and_takes_no_part(world):
    aggregator = begin(world, "--certificate-days", "7")
    result = enroll(world, token(world, aggregator, "eve", "--role", "observer"))
    assert result.returncode == 0, result.stderr
    assert world.run("openssl", "x509", "-in", world.path("certs/eve.crt"), "-noout", "-checkend", 8 * 86400).returncode == 1
    eve = world.session(aggregator, "eve")
    status, records, _ = eve.request("GET", "/v1/rounds")
    assert status == 200 and records[0]["round"] == 0
    assert eve.request("GET", "/v1/run")[0] == 200
    for method, path in (("POST", "/v1/join"), ("GET", "/v1/task?wait=0"), ("GET", "/v1/model/0"), ("GET", "/v1/frozen"), ("POST", "/v1/leave"),
                         ("POST", "/v1/rounds/1/train")):
        answer = eve.request(method, path, '{"protocol": 1, "samples": 1}' if "join" in path else None)
        assert answer[0] == 403 and answer[1]["error"] == "role" and "an observer" in answer[1]["message"], (path, answer)
    assert world.session(aggregator, "old").request("GET", "/v1/rounds")[0] == 403, "a client joins first"
    world.check(world.program("rondo-aggregator"), "revoke", "eve", "--state", world.path("state"))
    refused(eve.request("GET", "/v1/rounds"), 403, "was revoked")
    result = world.run(world.program("rondo-aggregator"), "token", "x", "--state", world.path("state"), "--ca", world.path("certs/ca.crt"), "--role", "king")
    assert result.returncode == 2 and "expected client, observer or operator" in result.stderr


def test_an_operator_lets_in_and_throws_out(world):
    """Over the wire, from another machine than the aggregator's; and makes no operators."""
    aggregator = begin(world)
    assert enroll(world, token(world, aggregator, "op", "--role", "operator")).returncode == 0
    assert enroll(world, token(world, aggregator, "other", "--role", "operator")).returncode == 0

    def operate(word, name, *options, by="op"):
        return world.run(world.program("rondo-client"), word, name, "--aggregator", aggregator.url, *world.tls(by), "--proxy", "none", *options)

    def given(*arguments):
        result = operate("token", *arguments)
        assert result.returncode == 0 and result.stderr == "", result
        words = shlex.split(result.stdout)
        assert words[:2] == ["rondo-client", "enroll"], words
        return words[1:]

    words = given("alice")
    assert enroll(world, words).returncode == 0
    assert world.session(aggregator, "alice").join()[0] == 200
    assert enroll(world, given("eve", "--role", "observer", "--hours", "0.5")).returncode == 0
    assert world.session(aggregator, "eve").request("GET", "/v1/rounds")[0] == 200
    # What others may not, and what it may not itself.
    for by, reason in (("old", "a client takes part in the run, and gives no tokens"), ("eve", "an observer reads")):
        for word in ("token", "revoke"):
            result = operate(word, "x", by=by)
            assert result.returncode == 3 and reason in result.stderr, (by, word, result)
    op = world.session(aggregator, "op")
    assert op.request("GET", "/v1/rounds")[0] == 200
    for method, path in (("POST", "/v1/join"), ("GET", "/v1/task?wait=0"), ("GET", "/v1/model/0"), ("POST", "/v1/rounds/1/train")):
        answer = op.request(method, path, '{"protocol": 1, "samples": 1}' if "join" in path else None)
        assert answer[0] == 403 and answer[1]["error"] == "role" and "an operator" in answer[1]["message"], (path, answer)
    for arguments, reason in [(("token", "x", "--role", "operator"), "only the aggregator's own machine makes operators"),
                              (("token", "other"), "'other' is an operator"), (("revoke", "other"), "'other' is an operator"),
                              (("revoke", "op"), "'op' is an operator")]:
        result = operate(*arguments)
        assert result.returncode == 3 and reason in result.stderr, (arguments, result)
    for body, status in (('{"name": "x", "role": "client", "hours": 0}', 400), ('{"name": "x", "role": "client"}', 400),
                         ('{"name": "x y", "role": "client", "hours": 1}', 400), ('{"name": "x", "role": "king", "hours": 1}', 400), ("[]", 400)):
        assert op.request("POST", "/v1/tokens", body)[0] == status, body
    assert op.request("POST", "/v1/revocations", "{}")[0] == 400
    # Thrown out, at the next request, with tokens that were not used.
    unused, alice = given("alice"), world.session(aggregator, "alice")
    assert alice.join()[0] == 200
    result = operate("revoke", "alice")
    assert result.returncode == 0 and "alice" in result.stdout, result
    refused(alice.request("GET", "/v1/run"), 403, "was revoked")
    os.remove(world.path("certs/alice.crt"))
    assert "withdrawn" in enroll(world, unused).stderr
    account = [json.loads(x)["entry"] for x in world.check(world.program("rondo-inspect"), "audit", world.path("state"), "--jsonl").splitlines()]
    found = [(e["event"], e["client"], e["why"]) for e in account if e["event"] in ("token", "revoked")]
    assert found == [("token", "alice", "client, by op"), ("token", "eve", "observer, by op"), ("token", "alice", "client, by op"),
                     ("revoked", "alice", "by op")], found
    # An operator is unmade where it was made.
    world.check(world.program("rondo-aggregator"), "revoke", "op", "--state", world.path("state"))
    assert operate("token", "x").returncode == 3
    aggregator.terminate()
    aggregator.wait()
    aggregator = world.aggregator(world.path("run.json"))
    result = operate("token", "x", by="other")
    assert result.returncode == 3 and "enrols nobody" in result.stderr, result


def test_a_certificate_is_renewed_before_it_ends(world):
    """By the protocol: past the half of its life; the newest is the only one as soon as it was shown."""
    aggregator = begin(world)
    assert enroll(world, token(world, aggregator, "alice")).returncode == 0
    fresh = world.session(aggregator, "alice")
    assert fresh.join()[0] == 200
    csr = json.dumps({"request": request(world, "/CN=old")})
    world.certificate("old", seconds=600, keep_key=True)  # it began an hour ago
    old = world.session(aggregator, "old")
    status, data, _ = fresh.request("POST", "/v1/renew", json.dumps({"request": request(world, "/CN=alice")}))
    assert status == 409 and "not past the half" in data["message"], data
    refused(old.request("POST", "/v1/renew", json.dumps({"request": request(world, "/CN=alice")})), 403, "for 'alice', expected 'old'")
    request_text = world.check("openssl", "req", "-new", "-key", world.path("certs/old.key"), "-subj", "/CN=old")
    status, data, _ = old.request("POST", "/v1/renew", json.dumps({"request": request_text}))
    assert status == 200, data
    assert old.join()[0] == 200, "until the newer one is shown, this one is good"
    world.write("certs/newer.crt", data["certificate"])
    world.write("certs/newer.key", read(world.path("certs/old.key")))
    newer = world.session(aggregator, "newer")
    assert newer.request("GET", "/v1/run")[0] == 200
    refused(old.request("GET", "/v1/run"), 403, "another certificate by now")
    aggregator.terminate()
    aggregator.wait()
    aggregator = world.aggregator(world.path("run.json"))
    assert world.session(aggregator, "newer").request("GET", "/v1/run")[0] == 200
    assert world.session(aggregator, "newer").request("POST", "/v1/renew", csr)[0] == 404, "nothing signs here"
    try:
        raise AssertionError(world.session(aggregator, "old").request("GET", "/v1/run"))
    except OSError as e:
        assert "revoked" in str(e).lower(), e


def test_clients_renew_by_themselves(world):
    """Short lives: the run goes on over several certificates, in one program, and by a key behind a pass phrase."""
    days = 12 * SLOW / 86400
    aggregator = begin(world, "--certificate-days", f"{days:.6f}", clients=["old", "long"])
    assert enroll(world, token(world, aggregator, "alice")).returncode == 0
    first = read(world.path("certs/alice.crt"))
    world.check("openssl", "pkcs8", "-topk8", "-in", world.path("certs/alice.key"), "-passout", "pass:word", "-out", world.path("certs/locked.key"))
    os.chmod(world.path("certs/locked.key"), 0o600)
    os.rename(world.path("certs/locked.key"), world.path("certs/alice.key"))
    table = world.write("t.csv", "x,y,label\n1,2,0\n3,4,1\n")
    client = world.client(aggregator, "alice", table, "--key-passphrase-file", world.write("word", "word\n"))
    says(client, "was renewed: it is good until", 2)
    done = read(client.log).count("delivered")
    wait_for(lambda: read(client.log).count("delivered") > done, "rounds go on", process=client)
    assert read(world.path("certs/alice.crt")) != first and read(aggregator.log).count("alice was given a newer certificate") >= 2
    assert not [n for n in os.listdir(world.path("certs")) if n.endswith(".tmp")]
    client.terminate()
    wait_exit(client)
    # Where nobody signs, it is told how long it can go on.
    aggregator.terminate()
    aggregator.wait()
    aggregator = world.aggregator(world.path("run.json"))
    world.certificate("old", seconds=600, keep_key=True)
    client = world.client(aggregator, "old", table)
    says(client, "ends in 0 days (")
    assert "and could not be renewed: the aggregator refused (404): this aggregator enrols nobody" in read(client.log)
    says(client, "delivered")


def test_what_cannot_sign_is_refused_at_the_start(world):
    world.certificates(["one"])
    config = world.write("run.json", {"rounds": 1, "model": MODEL, "training": {"learning_rate": 0.01}})
    both = world.write("both.crt", read(world.path("certs/ca.crt")) + read(world.path("certs/one.crt")))
    for options, code, words in [(["--ca-key", world.path("certs/one.key")], 1, "is not the key of the certificate --ca"),
                                 (["--ca-key", world.path("none")], 1, "No such file"),
                                 (["--ca-key", world.path("certs/ca.key"), "--sign-command", "x"], 2, "do not go together"),
                                 (["--ca-key", world.path("certs/ca.key"), "--ca", both], 1, "expected one certificate, found several")]:
        result = world.run(world.program("rondo-aggregator"), "serve", "--config", config, "--state", world.path("none"), *world.tls("aggregator"), *options)
        assert result.returncode == code and words in result.stderr, (options, result.stderr)


if __name__ == "__main__":
    harness.main()
