#!/usr/bin/env python3
"""Every option of a program's --help and every route of the aggregator is used by a test."""
import glob
import os
import re

import harness
from harness import read

PROGRAMS = {"rondo-aggregator": ["serve", "revoke", "token"], "rondo-client": [None, "enroll", "token", "revoke"], "rondo-sim": [None], "rondo-inspect": None}
# An option is used where it stands as a word of a command: in quotes, or in a line that is given to a shell.
USE = r"""(?<![\w-])%s(?=["' \],=]|$)"""


def sources():
    files = glob.glob(os.path.join(harness.ROOT, "tests/system/*.py")) + glob.glob(os.path.join(harness.ROOT, "tests/system/*.sh"))
    return {os.path.basename(f): read(f) for f in files if os.path.basename(f) != os.path.basename(__file__)}


def used(text, word):
    return re.search(USE % re.escape(word), text, re.M)


def tests_that_start(program, command):
    """What the tests say that start the program, and where it has commands, this one."""
    texts = []
    for text in sources().values():
        by_harness = {"rondo-client": ".client(", "rondo-aggregator": ".aggregator("}.get(program, "\0") in text
        if by_harness or program in text and (command is None or re.search(rf"""["' ]{command}["' ,]""", text)):
            texts.append(text)
    return "\n".join(texts)


def options(text):
    """The options of a --help: what begins its lines, after a short form if it has one."""
    return [o for o in re.findall(r"^\s+(?:-\w, )?(--[a-z][a-z0-9-]*)", text, re.M)]


def test_every_option_is_used_by_a_test(world):
    missing = []
    for program, commands in PROGRAMS.items():
        if commands is None:
            commands = re.findall(r"^  (\w+) (?:DIR|FILE)", world.check(world.program(program), "--help"), re.M)
            assert len(set(commands)) > 8, commands
        for command in dict.fromkeys(commands):
            start = [world.program(program), *([command] if command else [])]
            found = options(world.check(*start, "--help"))
            assert re.fullmatch(program + r" \d+\.\d+\.\d+\n", world.check(*start, "--version"))
            assert "--version" in found and len(found) >= 2, (program, command, found)
            text = tests_that_start(program, command)
            missing += [f"{program} {command or ''} {o}" for o in found if not used(text, o) and o not in ("--help", "--version")]
    make_certs = world.check(os.path.join(harness.ROOT, "certs/make-certs"), "--help")
    text = sources()["test_certs.py"]
    missing += [f"make-certs {o}" for o in dict.fromkeys(re.findall(r"--[a-z][a-z-]*", make_certs)) if not used(text, o)]
    missing += [f"make-certs {c}" for c in re.findall(r"make-certs DIR (\w+)", make_certs) if not used(text, c)]
    assert not missing, "no test uses\n" + "\n".join(missing)


def test_every_command_is_used_by_a_test(world):
    everything = "\n".join(sources().values())
    for program in ("rondo-inspect", "rondo-sim"):
        text = world.check(world.program(program), "--help")
        commands = re.findall(r"^  (\w+) (?:DIR|FILE)", text, re.M) or re.search(r"\[((?:\w+\|)+\w+)\]", text).group(1).split("|")
        for command in commands:
            assert re.search(rf"""["' ]{command}["' ,]""", everything), f"no test uses {program} {command}"


def test_every_route_is_used_by_a_test(world):
    protocol = read(os.path.join(harness.ROOT, "aggregator/PROTOCOL.md"))
    told = re.findall(r"^### .*?(GET|POST) (/v1/\w+)", protocol, re.M)
    served = set(re.findall(r'"(/v1/\w+)', "\n".join(read(f) for f in glob.glob(os.path.join(harness.ROOT, "aggregator/*.c")))))
    assert {path for _, path in told} == served, (told, served)
    everything = "\n".join(sources().values())
    calls = {"POST /v1/join": ".join(", "GET /v1/task": ".task(", "POST /v1/rounds": ".update("}  # of harness.Session
    missing = []
    for method, path in told:
        if not (calls.get(f"{method} {path}", "\0") in everything or re.search(rf"""["']{method}["' ],? ?f?["']?{path}""", everything)):
            missing.append(f"{method} {path}")
    assert not missing, f"no test uses {missing}"


if __name__ == "__main__":
    harness.main()
