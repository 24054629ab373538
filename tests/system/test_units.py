#!/usr/bin/env python3
"""The systemd units: installed, understood, closed as far as they say, and the programs run with no more than they leave.

There need be no systemd that runs: its tools judge the files, and the filter of system calls that a unit describes is
laid around the real programs here (by libseccomp, which apt needs, too).
"""
import ctypes
import errno
import os
import re
import shutil
import socket

import harness
from harness import read, wait_exit

UNITS = {"rondo-aggregator": "aggregator/rondo-aggregator@.service", "rondo-client": "client/rondo-client@.service"}
MOST_EXPOSED = 1.5  # of 10, by `systemd-analyze security`
KILL_PROCESS, ALLOW, ERRNO = 0x80000000, 0x7fff0000, 0x00050000
EQUAL, MASKED_EQUAL = 4, 7
PROT_WRITE, PROT_EXEC = 2, 4
NOBODY = 65534
RUN = {"rounds": 3, "model": {"input": 2, "loss": "softmax_cross_entropy", "layers": [{"type": "dense", "units": 2}]},
       "training": {"learning_rate": 0.1}}


def systemd_analyze(world, *arguments):
    if shutil.which("systemd-analyze") is None:
        raise harness.Skip("systemd-analyze is not installed")
    return world.run("systemd-analyze", *arguments)


def settings(unit):
    """[(key, value)] in the order of the file."""
    return re.findall(r"^(\w+)=(.*)$", read(os.path.join(harness.ROOT, UNITS[unit])), re.M)


def exposure(world, text, name):
    found = systemd_analyze(world, "security", "--offline=true", world.write(name, text))
    return float(re.search(r"Overall exposure level for \S+: ([\d.]+)", found.stdout)[1])


def test_installed_and_understood(world):
    world.check("cmake", "--install", world.build, "--prefix", world.path("prefix"))
    for program in UNITS:
        path = world.path("prefix/lib/systemd/system", f"{program}@.service")
        # It has to find the program; where this one is installed nobody looks.
        instance = world.write(f"units/{program}@one.service", read(path).replace(f"ExecStart={program}", f"ExecStart={world.path('prefix/bin', program)}"))
        found = systemd_analyze(world, "verify", "--man=no", "--recursive-errors=no", instance)
        mine = [line for line in found.stderr.splitlines() if program in line]
        assert found.returncode == 0 and not mine, found


def test_options_are_the_programs_own(world):
    """Those that a unit gives, and no other exit code than the program's help has."""
    for program in UNITS:
        told = world.check(world.program(program), "--help")
        (start,) = [value for key, value in settings(program) if key == "ExecStart"]
        for option in re.findall(r"--[a-z-]+", start):
            assert re.search(rf"^\s+{option} ", told, re.M), (program, option)
        codes = re.findall(r"\d+", " ".join(value for key, value in settings(program) if key in ("RestartPreventExitStatus", "SuccessExitStatus")))
        assert codes and all(re.search(rf"\b{code}\b", told[told.index("odes:"):]) for code in codes), (program, codes)


def test_little_is_exposed(world):
    for program, path in UNITS.items():
        unit = read(os.path.join(harness.ROOT, path))
        found = exposure(world, unit, f"{program}@.service")
        assert found <= MOST_EXPOSED, (program, found)
        # The measure measures: without its sandbox the same unit is exposed.
        without = exposure(world, re.sub(r"^(DynamicUser|Protect\w+|Private\w+|Restrict\w+|SystemCall\w+|Capability\w+|NoNew\w+)=.*\n", "", unit, flags=re.M),
                           f"{program}-open@.service")
        assert without > 7, (program, without)


# ---- the filter of system calls ----

class Comparison(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def members(world, name):
    """The system calls of @NAME, sets in it included."""
    found = set()
    for word in re.findall(r"^ +(@?[a-z0-9_-]+)$", systemd_analyze(world, "syscall-filter", name).stdout, re.M):
        found |= members(world, word) if word.startswith("@") else {word}
    assert found, name
    return found


def allowed_calls(world, program):
    """What the lines SystemCallFilter= come to, one after the other; systemd adds @default to a list that allows."""
    allowed = members(world, "@default")
    lines = [value for key, value in settings(program) if key == "SystemCallFilter"]
    assert lines
    for line in lines:
        calls = set()
        for word in line.lstrip("~").split():
            calls |= members(world, word) if word.startswith("@") else {word}
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


def filter_of(world, program):
    """A function for the child between fork and exec, which does with libseccomp what systemd does for the unit."""
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        raise harness.Skip("libseccomp is not installed") from None
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(KILL_PROCESS)))
    values = dict(settings(program))

    def allow(call, *comparisons, action=ALLOW):
        number = library.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            array = (Comparison * max(1, len(comparisons)))(*comparisons)
            code = library.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(comparisons), array)
            assert code == 0, (call, code)

    limited = {"mmap", "mprotect", "pkey_mprotect", "socket"}
    for call in sorted(allowed_calls(world, program) - limited):
        allow(call)
    assert values["MemoryDenyWriteExecute"] == "yes"
    for protection in (0, PROT_WRITE, PROT_EXEC):
        allow("mmap", Comparison(2, MASKED_EQUAL, PROT_WRITE | PROT_EXEC, protection))
    allow("mprotect", Comparison(2, MASKED_EQUAL, PROT_EXEC, 0))
    families = {int(getattr(socket, name)) for name in values["RestrictAddressFamilies"].split()}
    for family in range(46):
        allow("socket", Comparison(0, EQUAL, family, 0), action=ALLOW if family in families else ERRNO | errno.EAFNOSUPPORT)

    def load():
        assert library.seccomp_load(context) == 0
    return load


def as_nobody(world):
    """What starts a program as who it is under systemd: nobody in particular. Root's SQLite also gives files away."""
    os.makedirs(world.path("bin"))
    for name in (*UNITS, "rondo-inspect"):
        shutil.copy(world.program(name), world.path("bin"))
    world.build = world.path("bin")  # where others may read it
    for folder, _, names in os.walk(world.dir):
        for path in [folder, *(os.path.join(folder, name) for name in names)]:
            os.chown(path, NOBODY, NOBODY)
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


def test_the_programs_run_with_the_calls_that_are_left(world):
    """Join, rounds, a reload and the end of a run, of both sides; a call that the unit does not leave would kill them."""
    if harness.SANITIZED:
        raise harness.Skip("sanitizers make calls of their own")
    world.certificates(["one"])
    data = world.write("data.csv", "a,b,label\n1.5,2,0\n3,4,1\n5,1,0\n2,2,1\n")
    config = world.write("run.json", RUN)
    options = as_nobody(world) if os.geteuid() == 0 else {}
    aggregator = world.aggregator(config, "--linger-seconds", 5, preexec_fn=filter_of(world, "rondo-aggregator"), **options)
    client = world.start(world.program("rondo-client"), "--aggregator", aggregator.url, *world.tls("one"), "--data", data,
                         "--keep", world.path("kept"), log="client.log", preexec_fn=filter_of(world, "rondo-client"), **options)
    for process in (aggregator, client):
        assert wait_exit(process) == 0, read(process.log)
    assert len(world.rounds()) == 4
    # The filter is one: what it does not leave ends the program that asks.
    done = world.run("nice", "-n", "1", "true", preexec_fn=filter_of(world, "rondo-client"))
    assert done.returncode == -31, done  # SIGSYS


if __name__ == "__main__":
    harness.main()
