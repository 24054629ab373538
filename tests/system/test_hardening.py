#!/usr/bin/env python3
"""What compiler and linker were to put into the programs against bytes that overwrite memory is in them.

readelf and objdump look at the files that were built, not at the flags that were asked for.
"""
import os
import platform
import re

import harness

PROGRAMS = ("rondo-aggregator", "rondo-client", "rondo-sim", "rondo-inspect")


def built(world):
    """Programs and the library of an optimised build without sanitizers."""
    cache = harness.read(os.path.join(world.build, "CMakeCache.txt"))
    kind = re.search(r"^CMAKE_BUILD_TYPE:\w+=(\w*)$", cache, re.M)[1]
    if kind == "Debug" or "-fsanitize" in cache:
        raise harness.Skip("sanitizers and debuggers look closer")
    return {name: world.program(name) for name in (*PROGRAMS, "librondo.so")}


def test_nothing_writable_can_be_executed(world):
    for name, path in built(world).items():
        headers = world.check("readelf", "-lW", path)
        segments = re.findall(r"^  (\w+) +0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ (.{3}) ", headers, re.M)
        stack = [flags for kind, flags in segments if kind == "GNU_STACK"]
        assert stack == ["RW "], (name, stack)
        loaded = [flags for kind, flags in segments if kind == "LOAD"]
        assert loaded and not any("W" in flags and "E" in flags for flags in loaded), (name, loaded)


def test_addresses_are_drawn_and_tables_are_read_only(world):
    for name, path in built(world).items():
        assert re.search(r"Type:\s+DYN", world.check("readelf", "-hW", path)), name
        assert "GNU_RELRO" in world.check("readelf", "-lW", path), name
        flags = re.search(r"\(FLAGS_1\)\s+Flags: (.*)", world.check("readelf", "-dW", path))
        assert flags and "NOW" in flags[1].split(), name
        assert name.startswith("lib") or "PIE" in flags[1].split(), name


def test_stacks_and_copies_are_guarded(world):
    for name, path in built(world).items():
        taken = set(re.findall(r" UND (\w+)", world.check("readelf", "--dyn-syms", "-W", path)))
        assert "__stack_chk_fail" in taken, name
        assert {"__snprintf_chk", "__vsnprintf_chk"} & taken, (name, sorted(taken))


def test_jumps_reach_beginnings_of_functions_only(world):
    if platform.machine() != "x86_64":
        raise harness.Skip("endbr64 is an instruction of x86-64")
    for name, path in built(world).items():
        function = "rd_version" if name.startswith("lib") else "main"
        code = world.check("objdump", "-d", f"--disassemble={function}", path)
        assert re.search(rf"<{function}>:\n.*endbr64", code), (name, code[:400])


def test_large_frames_are_touched_page_by_page(world):
    """-fstack-clash-protection: a frame of pieces of 64 KiB does not jump over the guard page below the stack."""
    if platform.machine() != "x86_64":
        raise harness.Skip("looks for x86-64's orq $0x0,(%rsp)")
    code = world.check("objdump", "-d", "--disassemble=rd_upload_add_to", built(world)["rondo-aggregator"])
    assert "orq    $0x0,(%rsp)" in code, code[:1000]


if __name__ == "__main__":
    harness.main()
