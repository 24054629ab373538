#!/usr/bin/env python3
"""The form of sources and documents, as far as a reader would stumble over it."""
import os
import re
import sys

import harness

sys.path.insert(0, os.path.join(harness.ROOT, "tests"))
import call_circles
import unused_functions

WIDTH = 120
PARAMETERS = 7
MANY_PARAMETERS = ("dpotrs_",)  # LAPACK's
COMMENTS_AND_TEXTS = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
# A type and a name, or an array's or a function's; no expression of a call looks so.
PARAMETER = re.compile(r"((const|struct|unsigned|enum) )*[A-Za-z_]\w*( const)?( ?\*+ ?(const |restrict )?| )(\w+(\[.*\])?|\(\*\w+\).*)?|\.\.\.")
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
    found = call_circles.circles(world.build)
    assert not found, "\n\n".join("\n".join(circle) for circle in found)


def test_programs_call_what_there_is(world):
    """No function is there for tests alone."""
    found = unused_functions.unused(world.build)
    assert not found, "\n".join(found)


def parameter_lists(text):
    """(name, line, parameters) of all that is declared or defined in a C text: functions and pointers to them."""
    plain = COMMENTS_AND_TEXTS.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    for begin in re.finditer(r"(\w+)\)?\s*\(", plain):
        depth, parts, place = 1, [""], begin.end()
        while depth > 0 and place < len(plain):
            c = plain[place]
            depth += (c in "([{") - (c in ")]}")
            if c == "," and depth == 1:
                parts.append("")
            elif depth > 0:
                parts[-1] += c
            place += 1
        parts = [" ".join(part.split()) for part in parts]
        if all(PARAMETER.fullmatch(part) for part in parts):
            yield begin[1], plain.count("\n", 0, begin.start()) + 1, parts


def test_functions_take_few_parameters(world):
    """What belongs together travels as one."""
    counted = [(name, f"{path}:{line}: {name} has {len(parts)} parameters", len(parts))
               for path, lines in files(".c", ".h") if not path.startswith("tests/")
               for name, line, parts in parameter_lists("\n".join(lines))]
    assert len(counted) > 2000, "the sources were not understood"
    many = [where for name, where, count in counted if count > PARAMETERS and name not in MANY_PARAMETERS]
    assert not many, "\n".join(many)


def test_each_test_that_the_threats_name_exists(world):
    """A defence stands in the document with the test that holds it, or not at all."""
    text = harness.read(os.path.join(harness.ROOT, "aggregator/THREATS.md"))
    named = re.findall(r"`(test_\w+)(\.py)?: (\w+)`", text)
    assert len(named) > 50
    missing = []
    for name, system, test in named:
        path = os.path.join(harness.ROOT, "tests", "system" if system else "unit", name + (system or ".c"))
        definition = rf"^def {test}\(" if system else rf"^(Parameterized)?Test\(\w+, {test}[,)]"
        if not os.path.exists(path) or not re.search(definition, harness.read(path), re.M):
            missing.append(f"{name}{system}: {test}")
    rows = [line for line in text.split("## What is not defended")[0].splitlines() if line.startswith("|") and not re.match(r"\|[-|]+$|\|.*held by \|$", line)]
    missing += [row for row in rows if not re.search(r"`(test_\w+(\.py)?: \w+|tests/run\.sh --ci)`", row)]
    assert not missing, "\n".join(missing)


def test_changes_that_have_no_effect_are_changes(world):
    """Of the code as it stands: the reason for one was that of a line that may be another now."""
    world.check(sys.executable, os.path.join(harness.ROOT, "tests/mutate"), "--known")


if __name__ == "__main__":
    harness.main()
