#!/usr/bin/env python3
"""Which files call each other in a circle: call_circles.py BUILD_DIR, of a build with any preset.

Files call each other where one uses a function that another defines; nm of the object files says both. Within a library
or a program no such path may lead back to where it began, so that each file can be read with only those below it in
mind. A table of data that others look things up in (strategies, layers, SQL) is no call: it is how something may be
known by name in one place only."""
import collections
import json
import os
import re
import shlex
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def objects(build):
    """{library or program: {source file: object file}}, without those of the tests"""
    with open(os.path.join(build, "compile_commands.json")) as f:
        commands = json.load(f)
    found = collections.defaultdict(dict)
    for command in commands:
        words = shlex.split(command["command"])
        path = words[words.index("-o") + 1]
        target = re.match(r"CMakeFiles/(.+)\.dir/", path)
        if target is not None:
            found[target[1]][os.path.relpath(command["file"], ROOT)] = os.path.join(command["directory"], path)
    assert found, f"{build}: nothing is built there"
    return found


def functions(path):
    """The functions that an object file defines for others, and all that it needs from others."""
    defined, needed = set(), set()
    for line in subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout.splitlines():
        *_, kind, name = line.split()
        if kind in "TW":
            defined.add(name)
        elif kind == "U":
            needed.add(name)
    return defined, needed


def calls(sources):
    """{file: files whose functions it uses}, among the object files of one library or program"""
    symbols = {source: functions(path) for source, path in sources.items()}
    home = {name: source for source, (defined, _) in symbols.items() for name in defined}
    return {source: {home[name] for name in needed if home.get(name, source) != source}
            for source, (_, needed) in symbols.items()}


def reachable(graph, start):
    seen, ahead = set(), [start]
    while ahead:
        for file in graph[ahead.pop()] - seen:
            seen.add(file)
            ahead.append(file)
    return seen


def circles(build):
    """The groups of files in which each reaches all others, as sorted lists of paths."""
    found = set()
    for sources in objects(build).values():
        graph = calls(sources)
        below = {file: reachable(graph, file) for file in graph}
        found |= {frozenset(other for other in below[file] if file in below[other]) for file in graph
                  if file in below[file]}
    return sorted(sorted(circle) for circle in found)


if __name__ == "__main__":
    found = circles(sys.argv[1])
    for circle in found:
        print("\n".join(circle), end="\n\n")
    sys.exit(1 if found else 0)
