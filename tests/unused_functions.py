#!/usr/bin/env python3
"""Which functions no program calls: unused_functions.py BUILD_DIR, of a build with any preset.

A function that a file defines for others is one that another file of the programs or libraries uses, or one of librondo
(common/include/rondo), or a part of what its own file does that tests hold by itself. One that only tests call would
be held by them to what nobody needs; one that only its own file calls is static."""
import os
import re
import sys

import call_circles

PUBLIC = os.path.join(call_circles.ROOT, "common", "include", "rondo")
TESTS = os.path.join(call_circles.ROOT, "tests")
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def read(path):
    with open(path) as f:
        return COMMENT.sub("", f.read())


def public_functions():
    """All that the headers of librondo name before a parenthesis."""
    names = set()
    for header in os.listdir(PUBLIC):
        names |= set(re.findall(r"\b(rd_\w+)\(", read(os.path.join(PUBLIC, header))))
    return names


def tests_words():
    """All names in the C sources of the tests."""
    names = set()
    for folder, _, files in os.walk(TESTS):
        for file in files:
            if file.endswith((".c", ".h")):
                names |= set(re.findall(r"\w+", read(os.path.join(folder, file))))
    return names


def is_part(source, name, held):
    """Is it called in its own file, and held by a test?"""
    text = read(os.path.join(call_circles.ROOT, source))
    return name in held and len(re.findall(rf"\b{name}\(", text)) > 1


def unused(build):
    """"file: function", sorted."""
    symbols = {}
    for sources in call_circles.objects(build).values():
        for source, path in sources.items():
            defined, needed = symbols.setdefault(source, (set(), set()))
            more_defined, more_needed = call_circles.functions(path)
            defined |= more_defined
            needed |= more_needed
    allowed = set().union(*(needed for _, needed in symbols.values())) | public_functions() | {"main"}
    held = tests_words()
    # A dot is in the names of what the compiler has made of a function (its copies for other processors).
    return sorted(f"{source}: {name}" for source, (defined, _) in symbols.items() for name in defined - allowed
                  if "." not in name and not is_part(source, name, held))


if __name__ == "__main__":
    found = unused(sys.argv[1])
    print("\n".join(found))
    sys.exit(1 if found else 0)
