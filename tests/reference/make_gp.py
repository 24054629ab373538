#!/usr/bin/env python3
"""Writes gp.txt: a Gaussian process and expected improvement by NumPy, which tests/unit/test_search.c compares with Rondo's.

Run it again (Debian: apt-get install python3-numpy) with:  /usr/bin/python3 make_gp.py > gp.txt

Posterior of observations normalised to mean 0 and (population) deviation 1, Matern 5/2 kernel, by the textbook formulas
(Rasmussen and Williams 2006, equations 2.25, 2.26 and 2.30), given back in the observations' units; and the
expected improvement over 0.3 (Jones et al. 1998). Lines: n d length noise; points with their values; then for points
to predict: x, mean, variance, improvement; last the log marginal likelihood.
"""
import math

import numpy

N, D, LENGTH, NOISE, BEST = 7, 3, 0.45, 1e-3, 0.3


def kernel(a, b):
    r = math.sqrt(5) * numpy.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)) / LENGTH
    return (1 + r + r * r / 3) * numpy.exp(-r)


def show(*values):
    print(*(f"{v:.15g}" for v in values))


random = numpy.random.default_rng(1)
x = random.random((N, D))
y = numpy.sin(5 * x[:, 0]) + x[:, 1] ** 2 - x[:, 2]
z = (y - y.mean()) / y.std()
inverse = numpy.linalg.inv(kernel(x, x) + NOISE * numpy.eye(N))
print(N, D, LENGTH, NOISE)
for point, value in zip(x, y):
    show(*point, value)
for point in numpy.vstack([random.random((5, D)), x[:1]]):
    k = kernel(point[None], x)[0]
    mean = y.mean() + y.std() * (k @ inverse @ z)
    variance = y.var() * (1 - k @ inverse @ k)
    s = math.sqrt(variance)
    u = (BEST - mean) / s
    gain = (BEST - mean) * 0.5 * (1 + math.erf(u / math.sqrt(2))) + s * math.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    show(*point, mean, variance, gain)
determinant = numpy.linalg.slogdet(kernel(x, x) + NOISE * numpy.eye(N))[1]
show(-0.5 * z @ inverse @ z - 0.5 * determinant - N / 2 * math.log(2 * math.pi))
