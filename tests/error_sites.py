#!/usr/bin/env python3
"""Which error messages no test provokes: error_sites.py BUILD_DIR, of a build with the preset coverage whose tests have run.

An error site is a call of rd_fail or RD_THROW; gcov tells whether its line was ever reached. Left out are sites where memory cannot be
had (tests do not take memory away) and those that only a bug of Rondo's own can reach."""
import glob
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("common", "aggregator", "client", "simulations")


def sites(path):
    """(first line, last line, text) of each of them in a file."""
    with open(path) as f:
        source = f.read()
    for match in re.finditer(r"\b(?:rd_fail|RD_THROW)\(", source):
        depth, end, quoted = 0, match.start(), False
        while end < len(source):
            c = source[end]
            if quoted:
                end += c == "\\"
                quoted = c != '"'
            else:
                quoted = c == '"'
                depth += (c == "(") - (c == ")")
                if c == ")" and depth == 0:
                    break
            end += 1
        text = re.sub(r"\s+", " ", source[match.start():end + 1])
        first = source.count("\n", 0, match.start()) + 1
        yield first, first + source.count("\n", match.start(), end), text


def reached(build):
    """{file: lines that ran at least once}"""
    data = glob.glob(os.path.join(build, "**", "*.gcda"), recursive=True)
    lines = {}
    for at in range(0, len(data), 50):
        result = subprocess.run(["gcov", "--json-format", "--stdout", *data[at:at + 50]], cwd=build, check=True, capture_output=True, text=True)
        for document in result.stdout.splitlines():
            for file in json.loads(document)["files"]:
                path = os.path.normpath(os.path.join(build, file["file"]))
                lines.setdefault(path, set()).update(line["line_number"] for line in file["lines"] if line["count"] > 0)
    return lines


def main():
    lines = reached(os.path.abspath(sys.argv[1]))
    provoked = total = 0
    for folder in FOLDERS:
        for path in sorted(glob.glob(os.path.join(ROOT, folder, "**", "*.c"), recursive=True)):
            for first, last, text in sites(path):
                if "RD_ERR_MEMORY" in text or "RD_ERR_INTERNAL" in text:
                    continue
                total += 1
                if lines.get(path, set()).intersection(range(first, last + 1)):
                    provoked += 1
                else:
                    print(f"{os.path.relpath(path, ROOT)}:{first}: {text}")
    print(f"{provoked} of {total} error sites are provoked by a test")


if __name__ == "__main__":
    main()
