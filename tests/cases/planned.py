#!/usr/bin/env python3
"""Where the expected answers of the cases with planned looks come from.

Plain Python on textbook formulas; nothing is shared with the Rust sources. Run it to see every
number that a case quotes:  python3 tests/cases/planned.py
"""
from math import comb, exp, pi, sqrt
from statistics import NormalDist

PHI = NormalDist()


def pooled_z(xc, nc, xt, nt):
    p = (xc + xt) / (nc + nt)
    return (xt / nt - xc / nc) / sqrt(p * (1 - p) * (1 / nt + 1 / nc))


def wilson(x, n, z):
    centre, root = x + z * z / 2, z * sqrt(x * (n - x) / n + z * z / 4)
    return (centre - root) / (n + z * z), (centre + root) / (n + z * z)


def newcombe(xc, nc, xt, nt, z=1.959964):
    pc, pt = xc / nc, xt / nt
    (lc, uc), (lt, ut) = wilson(xc, nc, z), wilson(xt, nt, z)
    d = pt - pc
    return d - sqrt((pt - lt) ** 2 + (uc - pc) ** 2), d + sqrt((ut - pt) ** 2 + (pc - lc) ** 2)


def fisher(xc, nc, xt, nt):
    hits, every = xc + xt, comb(nc + nt, xc + xt)
    pmf = {k: comb(nt, k) * comb(nc, hits - k) / every for k in range(hits + 1)}
    return sum(p for p in pmf.values() if p <= pmf[xt] * (1 + 1e-7))


def bounds(times, alpha=0.05, power=2, width=0.02):
    """Two-sided spending bounds by the recursion of Armitage, McPherson and Rowe, midpoint rule."""
    found, density, before = [], None, 0
    for t in times:
        sd, target = sqrt(t - before), alpha / 2 * (t**power - before**power)

        def crossing(b):
            if density is None:
                return 1 - PHI.cdf(b / sd)
            return sum(mass * (1 - PHI.cdf((b - u) / sd)) for u, mass in density)

        low, high = -8.0, 8.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if crossing(middle) > target else (low, middle)
        found.append(low / sqrt(t))
        start = -8 * sqrt(t)
        steps = int((low - start) / width)
        cell = (low - start) / steps
        grid = [start + cell * (i + 0.5) for i in range(steps)]
        old = density or [(0.0, 1.0)]
        height = cell / sd / sqrt(2 * pi)
        density = [
            (y, height * sum(m * exp(-(((y - u) / sd) ** 2) / 2) for u, m in old)) for y in grid
        ]
        before = t
    return found


if __name__ == "__main__":
    for arms in [(1600, 4000, 1760, 4000), (1080, 4000, 1200, 4000), (1080, 4000, 1130, 4000)]:
        z = pooled_z(*arms)
        low, high = newcombe(*arms)
        print(arms, f"z {z:.3f}, p {2 * PHI.cdf(-z):.4f}, Newcombe {low:+.4f} to {high:+.4f}")
    z = pooled_z(1080, 4000, 1165, 4000)
    print("weekly: z at 1/4, 1/2, 3/4, 1:", [round(z * sqrt(t / 4), 3) for t in (1, 2, 3, 4)])
    print("bounds:", [round(b, 3) for b in bounds([0.25, 0.5, 0.75, 1.0])])
    print("fisher 0 and 8 of 100:", round(fisher(0, 100, 8, 100), 5))
