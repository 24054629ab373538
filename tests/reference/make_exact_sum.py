#!/usr/bin/env python3
"""Writes exact_sum.txt: sums and means by fractions.Fraction, which tests/unit/test_exact_sum.c compares with Rondo's.

Run it again with:  python3 make_exact_sum.py > exact_sum.txt     (Python alone; the same bytes every time)

  sums CLIENTS ELEMENTS         then per client one line: its weight, and its elements as the bits of float32
                                then per element: the 128-bit sum as two's complement, and the bits of the mean (float64)
  means COUNT                   then per line: a 128-bit sum, a total weight, the bits of the mean

The definition, written here without regard to how Rondo computes it: a term is the fraction weight * x * 2^63, rounded
to the nearest whole number with halves away from zero; the sum is the sum of the terms; the mean is the sum * 2^-63
rounded to float64 and divided by the total weight in float64. Everything is in hexadecimal but the counts.
"""
import random
import struct
from fractions import Fraction
from math import floor

CLIENTS, ELEMENTS = 20, 203
UNIT = Fraction(1, 2**63)


def value_of(bits):
    return Fraction(struct.unpack("<f", struct.pack("<I", bits))[0])


def bits_of(x):
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    assert value_of(bits) == Fraction(x), "not a float32"
    return bits


def bits64(x):
    return struct.unpack("<Q", struct.pack("<d", x))[0]


def nearest(q):
    """The nearest whole number, halves away from zero."""
    n = floor(abs(q) + Fraction(1, 2))
    return n if q >= 0 else -n


def mean(total, weight):
    rounded = float(Fraction(total) * UNIT)  # Fraction -> float rounds to nearest, halves to even
    return rounded / float(weight)


def element(r, column, client):
    """Bits of one float32; the column decides of what kind."""
    sign = r.getrandbits(1) << 31
    kind = column % 8
    if column == 0:
        return 0
    if column == 1:
        return 1 << 31  # minus zero
    if column == 2:
        return bits_of(2.0**23 - 0.5)  # the largest value that is fit
    if column == 3:
        return bits_of(-(2.0**23 - 0.5))
    if column == 4:
        return sign | 1  # the smallest denormal
    if column == 5:
        return bits_of((-1) ** client * 2.0**-63)  # one unit
    if column == 6:
        return bits_of((-1) ** client * 2.0**-64)  # half a unit: a tie whenever the weight is odd
    if column == 7:
        return bits_of(3.0 * 2.0**-64)  # one and a half
    if kind == 0:
        return sign | r.randrange(0x4B000000)  # any exponent, any mantissa, denormals included
    if kind == 1:
        return sign | r.randrange(1 << 23)  # denormals
    if kind == 2:
        return sign | r.randrange(57 << 23, 72 << 23)  # where bits are lost to the right
    if kind == 3:
        return sign | r.randrange(84 << 23, 90 << 23)  # around the exponent that needs no shift
    if kind == 4:
        return sign | r.randrange(140 << 23, 150 << 23)  # large
    if kind == 5:
        return bits_of(r.choice([1.0, -1.0])) if r.random() < 0.8 else bits_of(2.0**-40)  # cancellation
    if kind == 6:
        return 1 << 31 | r.randrange(110 << 23, 120 << 23)  # small and negative, as deltas are
    return r.randrange(110 << 23, 120 << 23)


def sums(r):
    special = [1, 2, 3, 2**31, 2**31 - 1, 2**31 - 1, 600, 2**16, 2**16 + 1]
    weights = special + [r.randrange(1, 2**31) for _ in range(CLIENTS - len(special))]
    total_weight = sum(weights)
    assert total_weight <= 2**40
    totals = [0] * ELEMENTS
    print("sums", CLIENTS, ELEMENTS)
    for client, weight in enumerate(weights):
        row = [element(r, column, client) for column in range(ELEMENTS)]
        print(f"{weight:x}", *(f"{bits:x}" for bits in row))
        for column, bits in enumerate(row):
            x = value_of(bits)
            term = nearest(weight * x / UNIT)
            if abs(x) >= Fraction(1, 2**40):  # the promise in exact_sum.h: nothing is rounded
                assert term * UNIT == weight * x
            totals[column] += term
    for total in totals:
        assert abs(total) < 2**126
        print(f"{total % 2**128:032x} {bits64(mean(total, total_weight)):016x}")


def means(r):
    cases = []
    for k in range(0, 126):  # powers of two and their neighbours
        cases += [(1 << k) - 1, 1 << k, (1 << k) + 1]
    for k in range(0, 72):  # ties, and one unit to either side of them
        for odd in (0, 1):
            tie = (((1 << 52) + 2 * r.getrandbits(51) + odd) << 1 | 1) << k
            cases += [tie - 1, tie, tie + 1]
    cases += [r.getrandbits(r.randrange(1, 127)) for _ in range(200)]
    cases = [c for c in cases if c < 2**126]
    cases += [-c for c in cases]
    print("means", len(cases))
    for total in cases:
        weight = r.choice([1, 3, 7, 600, 2**40, 2**40 - 1, r.randrange(1, 2**40)])
        print(f"{total % 2**128:032x} {weight:x} {bits64(mean(total, weight)):016x}")


r = random.Random(20170420)
sums(r)
means(r)
