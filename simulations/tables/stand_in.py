"""Stand-ins for the data sets of data/fetch.sh, for tables with --quick: the same names and formats, a few hundred rows
that are easily told apart, and the same bytes on every machine."""
import gzip
import os
import random
import struct
import tempfile


def make(folder):
    """Fills the folder, where it is not there yet, and returns it."""
    if os.path.exists(folder):
        return folder
    os.makedirs(os.path.dirname(folder) or ".", exist_ok=True)
    new = tempfile.mkdtemp(dir=os.path.dirname(folder) or ".")
    draw = random.Random(1)
    for name in ("mnist", "fashion-mnist"):
        os.makedirs(os.path.join(new, name))
        for part, count in (("train", 600), ("t10k", 100)):
            labels = bytes(i % 10 for i in range(count))
            pixels = b"".join(bytes((200 if row // 2 == label else 0) + draw.randrange(50) for row in range(28) for _ in range(28))
                              for label in labels)
            for kind, head, body in (("images-idx3", struct.pack(">4I", 0x803, count, 28, 28), pixels),
                                     ("labels-idx1", struct.pack(">2I", 0x801, count), labels)):
                write_bytes(os.path.join(new, name, f"{part}-{kind}-ubyte"), head + body, zipped=name == "fashion-mnist")
    rows = {"digits": (64, 10, "digits.csv"), "breast-cancer": (30, 2, "breast-cancer.csv"), "iris": (4, 3, "iris.csv")}
    for name, (columns, classes, file) in rows.items():
        lines = [",".join([f"x{i}" for i in range(columns)] + ["label"])]
        for row in range(120):
            label = row % classes
            lines.append(",".join([f"{draw.randrange(3) + (5 if i % classes == label else 0)}" for i in range(columns)] + [str(label)]))
        os.makedirs(os.path.join(new, name))
        write_bytes(os.path.join(new, name, file), ("\n".join(lines) + "\n").encode())
    words = "the king and queen of night may speak to thee no more".split()
    speeches = (f"SPEAKER {chr(65 + i % 4)}:\n" + " ".join(draw.choice(words) for _ in range(60)) + ".\n\n" for i in range(24))
    os.makedirs(os.path.join(new, "shakespeare"))
    write_bytes(os.path.join(new, "shakespeare", "tinyshakespeare.txt"), "".join(speeches).encode())
    os.rename(new, folder)
    return folder


def write_bytes(path, content, zipped=False):
    if zipped:
        path, content = path + ".gz", gzip.compress(content, mtime=0)
    with open(path, "wb") as file:
        file.write(content)
