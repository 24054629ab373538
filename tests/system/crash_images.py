"""What a loss of power may leave of a folder: from a journal of all that a program did to its files (faults.c), the folder is made as
it may lie on the disk after any of these steps.

On the disk is certainly what was waited for: bytes of a file by fsync of the file, names in a folder by fsync of the folder. All else
may have come there or not, and what was being written may be anything: names and bytes are each chosen "old" (nothing that was not
waited for), "new" (everything), or at random: some names, and of bytes each sector written, not written, or garbled; or the
bytes of the database are "new" and all others are "old"."""
import os
import random
import struct

MADE, FOLDER_MADE, WRITTEN, CUT, SYNCED, FOLDER_SYNCED, RENAMED, REMOVED = range(8)
HEAD = struct.Struct("<IIQQQ")
SECTOR = 512


def read_journal(path):
    """[(kind, name, inode, offset, bytes)]"""
    with open(path, "rb") as f:
        raw = f.read()
    steps, at = [], 0
    while at < len(raw):
        kind, name_size, inode, offset, size = HEAD.unpack_from(raw, at)
        at += HEAD.size
        steps.append((kind, os.path.normpath(raw[at:at + name_size].decode()), inode, offset, raw[at + name_size:at + name_size + size]))
        at += name_size + size
    return steps


class File:
    def __init__(self):
        self.now, self.certain, self.writes = bytearray(), b"", []

    def write(self, offset, data):
        if len(self.now) < offset + len(data):
            self.now.extend(bytes(offset + len(data) - len(self.now)))
        self.now[offset:offset + len(data)] = data
        self.writes.append((offset, data))

    def cut(self, length):
        del self.now[length:]
        self.now.extend(bytes(length - len(self.now)))
        self.writes.append((length, None))

    def sync(self):
        self.certain, self.writes = bytes(self.now), []

    def content(self, choice, draw):
        if choice == "new":
            return bytes(self.now)
        content = bytearray(self.certain)
        if choice == "random":
            for offset, data in self.writes:
                if data is None:
                    if draw.random() < 0.5:
                        del content[offset:]
                    continue
                for begin in range(0, len(data), SECTOR):
                    piece, fate = data[begin:begin + SECTOR], draw.random()
                    if fate < 0.4:
                        continue
                    if fate > 0.8:
                        piece = draw.randbytes(len(piece))
                    if len(content) < offset + begin:
                        content.extend(bytes(offset + begin - len(content)))
                    content[offset + begin:offset + begin + len(piece)] = piece
        return bytes(content)


class Disk:
    """The folder as programs see it, and what of it is certain, after the steps so far."""

    def __init__(self, root):
        self.root, self.files, self.now, self.certain, self.names = root, {}, {}, {}, []

    def file(self, inode):
        return self.files.setdefault(inode, File())

    def name(self, path, what):
        """That name is now of this file, or folder, or of nothing (None)."""
        self.names.append((path, what))
        if what is None:
            self.now.pop(path, None)
        else:
            self.now[path] = what

    def step(self, kind, name, inode, offset, data):
        if kind == MADE:
            self.files[inode] = File()
            self.name(name, self.files[inode])
        elif kind == FOLDER_MADE:
            self.name(name, "folder")
        elif kind == WRITTEN:
            self.file(inode).write(offset, data)
        elif kind == CUT:
            self.file(inode).cut(offset)
        elif kind == SYNCED:
            self.file(inode).sync()
        elif kind == RENAMED:
            what = self.now[name]
            self.name(data.decode(), what)
            self.name(name, None)
        elif kind == REMOVED:
            self.name(name, None)
        else:
            apply(self.certain, [n for n in self.names if os.path.dirname(n[0]) == name])
            self.names = [n for n in self.names if os.path.dirname(n[0]) != name]

    def build(self, target, names, content, seed):
        """Leaves in the folder `target` what may be on the disk now."""
        draw, found = random.Random(seed), dict(self.certain)
        apply(found, [n for n in self.names if names == "new" or (names == "random" and draw.random() < 0.5)])
        os.makedirs(target)
        for path, what in sorted(found.items()):
            place = os.path.join(target, os.path.relpath(path, self.root))
            if not os.path.isdir(os.path.dirname(place)):
                continue  # the folder's own name was not certain
            if what == "folder":
                os.mkdir(place)
                continue
            database = os.path.basename(path).startswith("rondo.db")
            with open(place, "wb") as f:
                f.write(what.content(("new" if database else "old") if content == "database" else content, draw))


def apply(names, changes):
    for path, what in changes:
        if what is None:
            names.pop(path, None)
        else:
            names[path] = what
