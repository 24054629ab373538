#!/usr/bin/env python3
"""Writes random.txt: what the streams of common/core/random.h hold, by a second implementation in Python integers.

Run it again with:  python3 make_random.py > random.txt     (Python alone; the same bytes every time)

A change of these numbers changes the result of every run that was ever made, so tests/unit/test_random.c holds them.

  stream SEED PURPOSE ROUND CLIENT   names a stream; each of the following lines begins it anew:
    words    the first 9 words of 32 bits
    long     the first 5 words of 64 bits
    below    BOUND, then 6 numbers below it; three such lines
    uniform  4 numbers in [0, 1)
    normal   6 normal numbers
    gamma    SHAPE, then 3 numbers; two such lines
    shuffle  the numbers 0..11 in a new order
  key NAME VALUE                     the 64-bit key of a client's name
"""
import math

M32, M64 = 2**32 - 1, 2**64 - 1


def philox(key, counter):
    """Salmon, Moraes, Dror, Shaw 2011, section 4.3: Philox4x32 with 10 rounds."""
    k, (x0, x1, x2, x3) = list(key), counter
    for _ in range(10):
        a, b = 0xD2511F53 * x0, 0xCD9E8D57 * x2
        x0, x1, x2, x3 = (b >> 32) ^ x1 ^ k[0], b & M32, (a >> 32) ^ x3 ^ k[1], a & M32
        k = [(k[0] + 0x9E3779B9) & M32, (k[1] + 0xBB67AE85) & M32]
    return [x0, x1, x2, x3]


assert philox([0] * 2, [0] * 4) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
assert philox([M32] * 2, [M32] * 4) == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]
assert philox([0xA4093822, 0x299F31D0], [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344]) == [
    0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def halves(n):
    return [n & M32, n >> 32]


class Stream:
    def __init__(self, seed, purpose, round_, client):
        mixed = philox(halves(seed), [purpose, *halves(round_), 0])
        named = philox(mixed[2:], mixed[:2] + halves(client))
        self.words = self._words(named[:2], named[2:])

    @staticmethod
    def _words(key, name):
        block = 0
        while True:
            yield from philox(key, halves(block) + name)
            block += 1

    def u32(self):
        return next(self.words)

    def u64(self):
        high = self.u32()
        return high << 32 | self.u32()

    def below(self, bound):
        """Lemire 2019: the words whose product has a low half under 2^32 mod bound are drawn again."""
        while True:
            product = self.u32() * bound
            if product & M32 >= 2**32 % bound:
                return product >> 32

    def uniform(self):
        return (self.u64() >> 11) / 2**53

    def normal(self):
        radius = math.sqrt(-2 * math.log(1 - self.uniform()))
        return radius * math.cos(2 * math.pi * self.uniform())

    def gamma(self, shape):
        """Marsaglia and Tsang 2000; below 1 a draw of shape + 1 is multiplied by U^(1/shape)."""
        if shape < 1:
            boost = (1 - self.uniform()) ** (1 / shape)
            return boost * self.gamma(shape + 1)
        d = shape - 1 / 3
        while True:
            x = self.normal()
            v = (1 + x / math.sqrt(9 * d)) ** 3
            if v > 0 and math.log(1 - self.uniform()) < x * x / 2 + d - d * v + d * math.log(v):
                return d * v

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]
        return items


def fnv1a(name):
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = (value ^ byte) * 0x100000001B3 & M64
    return value


assert fnv1a("foobar") == 0x85944171F73967E8

names = [(0, 1, 0, 0), (1, 2, 7, 0), (42, 3, 10, fnv1a("alice")), (M64, 7, M64, M64), (2**32, 4, 2**32, 2**32)]
for name in names:
    print("stream", *name)
    draw = lambda what, n, *a: [getattr(s, what)(*a) for s in [Stream(*name)] for _ in range(n)]
    print("words", *(f"{w:08x}" for w in draw("u32", 9)))
    print("long", *(f"{w:016x}" for w in draw("u64", 5)))
    for bound in (10, 3 << 30, M32):
        print("below", bound, *draw("below", 6, bound))
    print("uniform", *(x.hex() for x in draw("uniform", 4)))
    print("normal", *(x.hex() for x in draw("normal", 6)))
    for shape in (0.3, 2.5):
        print("gamma", shape, *(x.hex() for x in draw("gamma", 3, shape)))
    print("shuffle", *Stream(*name).shuffle(list(range(12))))
for text in ("client-1", "client-10000", "Zoë", "日本"):
    print("key", text, f"{fnv1a(text):016x}")
