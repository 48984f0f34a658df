#!/usr/bin/env python3
"""Where the expected answers of the cases with planned looks come from.

Plain Python on textbook formulas; nothing is shared with the Rust sources. Run it to see every
number that a case quotes:  python3 tests/cases/planned.py
"""
from datetime import date, timedelta
from math import comb, exp, log, pi, sqrt
from statistics import NormalDist

from parts import even

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
        if t - before <= 1e-5:  # nothing new: the bound before stands
            found.append(found[-1])
            continue
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



def weekly_looks(matures, most, ends=42):
    """Days after the start: the first look of each week since the start that finds data, at most
    `most` of them, and the checkpoint (docs/statistics.md 2.11)."""
    taken, week = [], 0
    for day in range(1, ends + 1):
        new = day // 7 > week and len(taken) < most
        if day > matures and (new or day == ends):
            taken.append(day)
            week = day // 7
    return taken


def weekly(name, control, treatment, units, per_week, matures, most):
    """z and bound of every planned look; the planned units are those of docs/statistics.md 2.11."""
    plan = per_week * (42 - matures) / 7
    looks = weekly_looks(matures, most)
    sums = lambda days: [sum(column[:days]) for column in (control, units, treatment, units)]
    times = [min(1.0, 2 * sums(day - matures)[1] / plan) for day in looks]
    for day, t, bound in zip(looks, times, bounds(times)):
        xc, nc, xt, nt = sums(day - matures)
        print(f"{name}: {date(2026, 6, 1) + timedelta(day)}, {xc} of {nc} -> {xt} of {nt}, "
              f"{100 * (xt / nt - xc / nc):+.2f} pts, {xt * nc / nt / xc - 1:+.2%}, t {t:.4f}: "
              f"z {pooled_z(xc, nc, xt, nt):.3f} of {bound:.3f}")


def score_low(xc, nc, xt, nt, z2=1.959964**2):
    """Lower end of the difference by the score test of Miettinen and Nurminen: the likelihood is
    maximised under `treatment - control = d` by golden section."""
    def likelihood(p, d):
        part = lambda x, n, q: (x * log(q) if x else 0) + ((n - x) * log(1 - q) if n > x else 0)
        return part(xc, nc, p) + part(xt, nt, p + d)

    def statistic(d):
        low, high = max(0.0, -d) + 1e-12, min(1.0, 1 - d) - 1e-12
        for _ in range(200):
            one, other = high - 0.618 * (high - low), low + 0.618 * (high - low)
            if likelihood(one, d) < likelihood(other, d):
                low = one
            else:
                high = other
        p = (low + high) / 2
        q, n = p + d, nc + nt
        spread = (q * (1 - q) / nt + p * (1 - p) / nc) * n / (n - 1)
        return (xt / nt - xc / nc - d) ** 2 / spread

    low, high = -0.5, xt / nt - xc / nc
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if statistic(middle) > z2 else (low, middle)
    return low


if __name__ == "__main__":
    for arms in [(1600, 4000, 1760, 4000), (1080, 4000, 1200, 4000), (1080, 4000, 1130, 4000)]:
        z = pooled_z(*arms)
        low, high = newcombe(*arms)
        print(arms, f"z {z:.3f}, p {2 * PHI.cdf(-z):.4f}, Newcombe {low:+.4f} to {high:+.4f}")
    units = even(4000)
    begun = even(1600), even(1760), units, 2000, 1
    quarters = [sum((even(total, 7) for total in totals), []) for totals in [
        (270, 270, 270, 270), (270, 300, 420, 410), (1000, 1000, 1000, 1000)]]
    weekly("weekly-looks-spend-alpha, started", *begun, 6)
    weekly("weekly-looks-spend-alpha, finished", even(1080), even(1165), units, 2000, 14, 6)
    weekly("planned-looks-are-used-up, started", *begun, 2)
    weekly("planned-looks-are-used-up, finished", *quarters, 2000, 14, 2)
    print("fisher 0 and 8 of 100:", round(fisher(0, 100, 8, 100), 5))
    print("its score interval begins at", round(score_low(0, 100, 8, 100), 4))
