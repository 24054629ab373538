#!/usr/bin/env python3
"""The reference values are what their generators write: each that needs no more than Python and NumPy runs again. Integers and
fractions come out in the same bytes; NumPy's sums may end in another digit on another machine."""
import glob
import os
import re
import subprocess

import harness

FOLDER = os.path.join(harness.ROOT, "tests", "reference")


def same_numbers(found, kept):
    """The same words, numbers within 1e-12."""
    found, kept = found.split(), kept.split()
    if len(found) != len(kept):
        return False
    for a, b in zip(found, kept):
        if a != b:
            try:
                x, y = float(a), float(b)
            except ValueError:
                return False
            if abs(x - y) > 1e-12 * max(1, abs(y)):
                return False
    return True


def test_generators_write_what_is_kept(world):
    done = []
    for script in sorted(glob.glob(os.path.join(FOLDER, "make_*.py"))):
        text = harness.read(script)
        modules = {m.split(".")[0] for m in re.findall(r"^(?:import|from) ([\w.]+)", text, re.M)}
        if modules & {"torch", "sklearn"}:
            continue
        if "numpy" in modules and subprocess.run(["/usr/bin/python3", "-c", "import numpy"], capture_output=True).returncode != 0:
            raise harness.Skip("needs python3-numpy")
        line = re.search(rf"python3 {os.path.basename(script)} (> )?(\S+\.\w+)", text)
        written = world.path(line.group(2))
        if line.group(1):
            with open(written, "wb") as f:
                subprocess.run(["/usr/bin/python3", script], stdout=f, check=True, timeout=300 * harness.SLOW)
        else:
            world.check("/usr/bin/python3", script, written)
        with open(written, "rb") as f, open(os.path.join(FOLDER, line.group(2)), "rb") as g:
            found, kept = f.read(), g.read()
        assert found == kept or "numpy" in modules and same_numbers(found.decode(), kept.decode()), script
        done.append(os.path.basename(script))
    assert len(done) >= 6, done


if __name__ == "__main__":
    harness.main()
