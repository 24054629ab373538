#!/usr/bin/env python3
"""Values for tests/unit/test_exact_double.c: sums of doubles, rounded once. fsum does that; Fraction says so again.

Each line: how many, the numbers, and their sum, all as C's hexadecimal floats.

Run it again with:  python3 make_exact_double.py > exact_double.txt     (Python alone; the same bytes every time)
"""
import math
import random
from fractions import Fraction

random.seed(20261126)


def cases():
    yield [0.1] * 10
    yield [1e16, 1.0, -1e16]
    yield [2.0 ** 53, 1.0, 1.0]
    yield [2.0 ** 53, 1.0]
    yield [2.0 ** 53, 1.0, 2.0 ** -60]
    yield [5e-324] * 3
    yield [-5e-324, 2.2250738585072014e-308]
    yield [1.7976931348623157e308, -1.7976931348623157e308, 4.0]
    yield [1e300, 1.0, 1e-300, -1e300, -1.0]
    yield [-1.5, 0.25, -0.0]
    for _ in range(60):
        spread = random.choice([0, 10, 100, 900])
        yield [random.choice([-1, 1]) * random.random() * 2.0 ** random.randint(-spread, spread) for _ in range(random.randint(1, 30))]


for numbers in cases():
    total = math.fsum(numbers)
    exact = sum(map(Fraction, numbers))
    assert total == float(exact)
    print(len(numbers), *(x.hex() for x in numbers), total.hex())
