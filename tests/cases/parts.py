#!/usr/bin/env python3
"""Numerator and denominator of the stories whose split is off: days and numbers of their alarms.

The formulas are those of reference.py and of docs/statistics.md, section theatre (nothing is shared
with the Rust sources): on the log scale either part is a contrast of two counts with the variance
1/treatment + 1/control, the numerator's widened by the larger dispersion of the two arms, and its
interval is the always-valid one with the implicit margin of 5 % as tau. Run it to see every number
that a case quotes:  python3 tests/cases/parts.py
"""
from math import exp, log, sqrt

from reference import Arms, log_interval, spread, widening


def even(total, count=28):
    """`total/count` of a case: whole numbers, as even as can be."""
    return [spread(total, count, i + 1) - spread(total, count, i) for i in range(count)]


def repeated(*runs):
    """`AxN BxM` of a case: A and N more, then B and M more."""
    return [value for value, more in runs for _ in range(more + 1)]


def dispersion(hits, units):
    """Of one arm's days inside its weeks, with the prior of 2 that counts for six."""
    seen = expected = 0.0
    for at in range(0, len(hits), 7):
        x, n = hits[at:at + 7], units[at:at + 7]
        share = sum(x) / sum(n)
        seen += sum(m * (y / m - share) ** 2 for y, m in zip(x, n))
        expected += (len(n) - 1) * share * (1 - share)
    df = len(hits) - -(-len(hits) // 7)
    return ((seen / expected * df if df else 0.0) + 2 * 6) / (df + 6)


def is_better(xt, nt, xc, nc, tau):
    """Whether the ratio is known to have risen (two sides)."""
    wide = widening(list(zip(xt, nt, xc, nc)))
    return Arms(sum(xc), sum(nc), sum(xt), sum(nt), tau, wide).excludes(0) > 0


def parts(xt, nt, xc, nc):
    """Log changes of numerator and denominator, each with its interval."""
    wide = max(1.0, dispersion(xt, nt), dispersion(xc, nc))
    both = []
    for treatment, control, factor in [(sum(xt), sum(xc), wide), (sum(nt), sum(nc), 1.0)]:
        change, se = log(treatment / control), sqrt(factor * (1 / treatment + 1 / control))
        both.append((change, *log_interval(change, se)))
    return both


def cause(numerator, denominator, least):
    """The first of the four that holds, else `None`."""
    (n, n_low, n_high), (d, _, d_high) = numerator, denominator
    broken = d <= log(0.95) and d_high < 0
    if n_low > 0 and broken:
        return "numerator up, denominator down"
    if d_high < 0 and -d / (n - d) >= 0.5:
        return "denominator driven"
    if broken:
        return "denominator fell"
    return "empty win" if n_high < log(1 + least) else None


def days(name, arms, tau, change, matures, looks=42):
    """Prints each day on which the alarm comes, changes or goes.

    `change` gives what the rule asks for as a share of the control's level."""
    before = None
    for day in range(1, min(len(arms[0]), looks) + 1):
        cut = [column[:day] for column in arms]
        numerator, denominator = parts(*cut)
        least = change(sum(cut[2]) / sum(cut[3]))
        now = cause(numerator, denominator, least) if is_better(*cut, tau) else None
        if now != before:
            (n, d), look = (numerator[0], denominator[0]), day + matures
            ends = " ".join(f"{exp(x) - 1:.3f}" for x in (*numerator[1:], *denominator[1:]))
            print(f"{name}: matured day {day}, look of day {look} after the start: {now}; "
                  f"numerator {exp(n) - 1:.3f}, denominator {exp(d) - 1:.3f}, ratio "
                  f"{exp(n - d) - 1:.3f}, ends {ends}, share {-d / (n - d):.3f}, "
                  f"least {least:.3f}")
        before = now


def share(control):
    """`started >= +10%`."""
    return 0.1


def points(control):
    """`finished >= +3pts`, of the control's level."""
    return 0.03 / control


def main():
    off = (even(5000), even(6000))
    days("srm-holds, started", (even(2400), off[0], even(2400), off[1]), 0.04, share, 1)
    days("srm-holds, finished", (even(1650), off[0], even(1620), off[1]), 0.08, points, 14)
    days("harm-on-a-split-that-is-off, started", (even(2400), off[0], even(2400), off[1]), 0.04,
         share, 1)
    days("harm-on-a-split-that-is-off, finished", (even(1000), off[0], even(1620), off[1]), 0.08,
         points, 14)
    mended = repeated((179, 8), (214, 18))
    days("srm-is-acknowledged, started",
         (repeated((86, 8), (103, 18)), mended, even(2400), even(6000)), 0.04, share, 1)
    days("srm-is-acknowledged, finished",
         (repeated((61, 8), (72, 18)), mended, even(1620), even(6000)), 0.08, points, 14)
    lost = repeated((179, 9), (214, 17))
    same = repeated((58, 27))
    days("an-export-that-lost-rows-holds, finished",
         (same, lost, same, repeated((214, 27))), 0.08, points, 14)


if __name__ == "__main__":
    main()
