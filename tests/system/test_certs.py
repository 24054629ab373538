#!/usr/bin/env python3
"""make-certs: what it makes is judged by the openssl command; what exists stays."""
import os
import shutil
import stat

import harness

MAKE = os.path.join(harness.ROOT, "certs", "make-certs")


def make(world, *arguments, code=0):
    result = world.run(MAKE, world.path("certs"), *arguments)
    assert result.returncode == code, (arguments, result.stdout, result.stderr)
    return result.stdout + result.stderr


def text(world, name, *what):
    return world.check("openssl", "x509", "-in", world.path("certs", name + ".crt"), "-noout", *what)


def test_authority_aggregator_and_clients(world):
    make(world, "ca")
    make(world, "aggregator", "server-1", "--san", "DNS:rondo.example.org,IP:10.1.2.3", "--days", "30")
    out = make(world, "client", "alice", "bob")
    assert "alice.crt" in out and "bob.crt" in out and "ca.crt" in out.split("Give each client")[1]
    ca = world.path("certs/ca.crt")
    for name, purpose in (("server-1", "sslserver"), ("alice", "sslclient"), ("bob", "sslclient")):
        world.check("openssl", "verify", "-x509_strict", "-CAfile", ca, "-purpose", purpose, world.path("certs", name + ".crt"))
        key = world.check("openssl", "pkey", "-in", world.path("certs", name + ".key"), "-noout", "-text")
        assert "prime256v1" in key and stat.S_IMODE(os.stat(world.path("certs", name + ".key")).st_mode) == 0o600
        assert text(world, name, "-subject", "-nameopt", "RFC2253").strip() == f"subject=CN={name}"
    assert stat.S_IMODE(os.stat(world.path("certs/ca.key")).st_mode) == 0o600
    result = world.run("openssl", "verify", "-CAfile", ca, "-purpose", "sslserver", world.path("certs/alice.crt"))
    assert result.returncode != 0, "a client must not pass as a server"
    names = text(world, "server-1", "-ext", "subjectAltName")
    for expected in ("DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1", "DNS:server-1", "DNS:rondo.example.org", "IP Address:10.1.2.3"):
        assert expected in names, names
    serials = {text(world, n, "-serial") for n in ("ca", "server-1", "alice", "bob")}
    assert len(serials) == 4
    assert world.run("openssl", "x509", "-in", world.path("certs/server-1.crt"), "-noout", "-checkend", 31 * 86400).returncode == 1
    assert world.run("openssl", "x509", "-in", world.path("certs/server-1.crt"), "-noout", "-checkend", 29 * 86400).returncode == 0


def test_nothing_is_overwritten(world):
    for command in (("ca",), ("aggregator", "aggregator"), ("client", "alice")):
        make(world, *command)
    before = {n: open(world.path("certs", n), "rb").read() for n in os.listdir(world.path("certs"))}
    for command in (("ca",), ("aggregator", "aggregator"), ("client", "alice")):
        assert "kept" in make(world, *command)
    assert before == {n: open(world.path("certs", n), "rb").read() for n in os.listdir(world.path("certs"))}
    assert "10.9.9.9" in make(world, "aggregator", "aggregator", "--san", "IP:10.9.9.9", code=1)
    os.remove(world.path("certs/alice.crt"))
    assert "not overwritten" in make(world, "client", "alice", code=1)
    assert open(world.path("certs/alice.key"), "rb").read() == before["alice.key"]


def test_what_exists_is_kept_only_where_it_is_of_use(world):
    make(world, "ca")
    addresses = "IP:2001:db8::1,IP:10.0.0.11,DNS:*.example.org"
    make(world, "aggregator", "aggregator", "--san", addresses)
    assert "kept" in make(world, "aggregator", "aggregator", "--san", addresses.replace("::1", ":0:0::1"))
    assert "10.0.0.1;" in make(world, "aggregator", "aggregator", "--san", "IP:10.0.0.1", code=1), "10.0.0.11 is another machine"
    assert "DNS:example.org" in make(world, "aggregator", "aggregator", "--san", "DNS:example.org", code=1)
    make(world, "client", "alice", "bob")
    assert "purpose" in make(world, "aggregator", "alice", code=1)
    os.rename(world.path("certs/alice.crt"), world.path("alice.crt"))
    shutil.copy(world.path("certs/bob.crt"), world.path("certs/alice.crt"))
    assert "do not belong together" in make(world, "client", "alice", code=1)
    os.replace(world.path("alice.crt"), world.path("certs/alice.crt"))
    world.check("openssl", "x509", "-x509toreq", "-in", world.path("certs/bob.crt"), "-signkey", world.path("certs/bob.key"), "-out", world.path("bob.csr"))
    world.check("openssl", "x509", "-req", "-in", world.path("bob.csr"), "-CA", world.path("certs/ca.crt"), "-CAkey", world.path("certs/ca.key"),
                "-set_serial", "7", *world.expired(), "-out", world.path("certs/bob.crt"))
    assert "expired" in make(world, "client", "bob", code=1)
    for name in ("ca.crt", "ca.key"):
        os.remove(world.path("certs", name))
    make(world, "ca")
    assert "another authority" in make(world, "client", "alice", code=1)


def test_a_mistake_leaves_nothing_behind(world):
    assert "make the authority first" in make(world, "client", "alice", code=1)
    assert not os.path.exists(world.path("certs"))
    make(world, "ca")
    before = sorted(os.listdir(world.path("certs")))
    assert "999.1.1.1" in make(world, "aggregator", "aggregator", "--san", "IP:999.1.1.1", code=1)
    assert sorted(os.listdir(world.path("certs"))) == before
    make(world, "aggregator", "aggregator", "--san", "IP:99.1.1.1")
    make(world, "aggregator", "10.0.0.7")
    assert "IP Address:10.0.0.7" in text(world, "10.0.0.7", "-ext", "subjectAltName")
    assert sorted(os.listdir(world.path("certs"))) == sorted(before + [n + e for n in ("aggregator", "10.0.0.7") for e in (".crt", ".key")])


def test_without_openssl(world):
    result = world.run("/bin/bash", MAKE, world.path("certs"), "ca", env={"PATH": "/nowhere"})
    assert result.returncode == 1 and "apt-get install openssl" in result.stderr, result


def test_a_client_keeps_its_key_to_itself(world):
    make(world, "ca")
    world.check("openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=carol", "-keyout",
                world.path("carol.key"), "-out", world.path("carol.csr"))
    make(world, "sign", world.path("carol.csr"))
    world.check("openssl", "verify", "-CAfile", world.path("certs/ca.crt"), "-purpose", "sslclient", world.path("certs/carol.crt"))
    assert not os.path.exists(world.path("certs/carol.key"))
    assert "not overwritten" in make(world, "sign", world.path("carol.csr"), code=1)


def test_mistakes(world):
    assert "authority first" in make(world, "client", "alice", code=1)
    make(world, "ca")
    for command, words in ((("client", "al ice"), "letters"), (("client", "../x"), "letters"), (("client", "ca"), "authority"), (("client",), "name"),
                           (("aggregator", "a", "--san", "10.0.0.1"), "DNS:HOST"), (("client", "a", "--days", "0"), "--days"),
                           (("client", "a", "--dayz", "1"), "--dayz"), (("clients", "a"), "clients"), (("client", "a", "--san", "DNS:x"), "--san"),
                           (("client", "a", "--name", "x"), "--name"), (("ca", "--name", "A/O=B"), "--name"), (("sign", "/nowhere.csr"), "/nowhere.csr")):
        assert words in make(world, *command, code=1), command
    assert world.run(MAKE).returncode == 2
    assert "Usage" in world.check(MAKE, "--help")


if __name__ == "__main__":
    harness.main()
