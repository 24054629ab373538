#!/usr/bin/env python3
"""Robust rules on random updates by plain, slow NumPy, for tests/unit/test_robust.c.

    python3 make_robust.py > robust.txt

Each case: rule, k, n, f, chosen; then k lines of weight and n values; then the n values of the result.
"""
import numpy as np

NU, ITERATIONS = 1e-6, 30


def krum_scores(x, f):
    n = len(x)
    nearest = max(1, n - f - 2)
    scores = []
    for i in range(n):
        distances = sorted(np.sum((x[i] - x[j]) ** 2) for j in range(n) if j != i)
        scores.append(sum(distances[:nearest]))
    return scores


def krum(x, w, f, chosen):
    return x[int(np.argmin(krum_scores(x, f)))]


def multi_krum(x, w, f, chosen):
    order = np.argsort(krum_scores(x, f), kind="stable")
    return x[order[:chosen or len(x) - f]].mean(axis=0)


def bulyan(x, w, f, chosen):
    left, selected = list(range(len(x))), []
    theta = len(x) - 2 * f
    while len(selected) < theta:
        best = int(np.argmin(krum_scores(x[left], f)))
        selected.append(left.pop(best))
    y, beta = x[selected], theta - 2 * f
    median = np.median(y, axis=0)
    out = []
    for column, m in zip(y.T, median):
        out.append(column[np.argsort(np.abs(column - m), kind="stable")[:beta]].mean())
    return np.array(out)


def trimmed_mean(x, w, f, chosen):
    return np.sort(x, axis=0)[f:len(x) - f].mean(axis=0)


def geometric_median(x, w, f, chosen):
    v = np.average(x, axis=0, weights=w)
    for _ in range(ITERATIONS):
        v = np.average(x, axis=0, weights=w / np.maximum(NU, np.linalg.norm(x - v, axis=1)))
    return v


RULES = [lambda x, w, f, c: np.median(x, axis=0), trimmed_mean, krum, multi_krum, bulyan, geometric_median]
CASES = [(0, 1, 4, 0, 0), (0, 6, 9, 0, 0), (0, 41, 3, 0, 0), (1, 1, 3, 0, 0), (1, 9, 70, 4, 0), (1, 60, 5, 12, 0), (2, 3, 4, 0, 0),
         (2, 11, 8, 4, 0), (2, 12, 5, 2, 0), (3, 9, 6, 2, 0), (3, 13, 4, 3, 5), (4, 3, 4, 0, 0), (4, 11, 7, 2, 0), (4, 14, 5, 2, 0),
         (4, 15, 6, 3, 0), (5, 1, 3, 0, 0), (5, 10, 6, 0, 0), (5, 33, 4, 0, 0)]


def main():
    rng = np.random.default_rng(11)
    print(len(CASES))
    for rule, k, n, f, chosen in CASES:
        x = rng.normal(size=(k, n)).astype(np.float32)
        bad = rng.permutation(k)[:max(f, k // 4 if rule in (0, 5) else 0)]
        x[bad] += np.float32(20)
        w = rng.integers(1, 50, size=k)
        print(rule, k, n, f, chosen)
        for weight, row in zip(w, x):
            print(weight, " ".join(f"{float(v):.9g}" for v in row))
        print(" ".join(f"{v:.17g}" for v in RULES[rule](x.astype(np.float64), w, f, chosen)))


if __name__ == "__main__":
    main()
