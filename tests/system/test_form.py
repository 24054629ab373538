#!/usr/bin/env python3
"""The form of sources and documents, as far as a reader would stumble over it."""
import os
import re
import sys

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "tests"))
import call_circles

WIDTH = 120
# A line that is nothing but a type, or begins with the size of an array: its name went to another line.
TORN = re.compile(r"^\s*((static|const|unsigned|struct|extern) )*(?!(else|do|return|break|continue)\b)[a-z_][a-z_0-9]*( \*+)?$|^\s+\[[A-Z_0-9a-z]*\];")


def files(*endings):
    """(name, lines) of the sources and documents; what is built lies in folders of its own."""
    found = []
    for folder in ("aggregator", "certs", "client", "common", "simulations", "tests", ""):
        for path, _, names in os.walk(os.path.join(harness.ROOT, folder)):
            found += [os.path.join(path, name) for name in names if name.endswith(endings)]
            if not folder:
                break
    assert found, endings
    return [(os.path.relpath(path, harness.ROOT), harness.read(path).split("\n")) for path in found]


def test_documents_fit_a_terminal(world):
    """But for tables, whose rows cannot be wrapped, and commands and files, which are shown as they are."""
    wide = [f"{name}:{i}: {len(line)} columns" for name, lines in files(".md") for i, line in enumerate(lines, 1)
            if len(line) > WIDTH and not line.startswith(("|", "    "))]
    assert not wide, "\n".join(wide)


def test_types_stand_beside_their_names(world):
    torn = [f"{name}:{i}: {line}" for name, lines in files(".c", ".h")
            for i, line in enumerate(lines, 1) if TORN.match(line)]
    assert not torn, "\n".join(torn)


def test_rooms_keep_to_themselves(world):
    """What a TLS library is called is known to the files that bear its name; the HTTPS server knows nothing of Rondo."""
    wrong = []
    for name, lines in files(".c", ".h"):
        for line in lines:
            included = re.match(r"\s*#include [<\"]([^>\"]+)", line)
            if included is None:
                continue
            if included[1].startswith("mbedtls/") and "mbedtls" not in os.path.basename(name):
                wrong.append(f"{name}: {line}")
            if name.startswith("aggregator/https/") and '"' in line and not included[1].startswith(("https/", "core/", "credentials/", "rondo/")):
                wrong.append(f"{name}: {line}")
    assert not wrong, "\n".join(wrong)


def test_calls_go_one_way(world):
    """No file calls another that, over whatever others, calls it back."""
    found = [circle for circle in call_circles.circles(world.build)
             if circle != ["simulations/late.c", "simulations/simulator.c"]]
    assert not found, "\n\n".join("\n".join(circle) for circle in found)


if __name__ == "__main__":
    harness.main()
