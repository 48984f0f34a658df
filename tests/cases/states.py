#!/usr/bin/env python3
"""Days and numbers of the stories about states, evidence modes and margins.

The formulas are those of reference.py (nothing is shared with the Rust sources). Run it to see
every number that a case quotes:  python3 tests/cases/states.py
"""
from math import exp, log, sqrt

from reference import (Arms, arms_on, first_day, ln_e_one, ln_e_two, log_interval, one_proportion,
                       show, spread, widening)

AIM, PROXY = 0.08, 0.04  # tau: |35 % - 27 %|, and 10 % of 40 %


def state_on(xc, xt, n, tau, m, relative=False, days=28):
    """Changes of state over the matured days of even series: [(day, state)]."""
    changes, before = [], None
    for day in range(1, days + 1):
        state = arms_on(day, xc, xt, n, tau, days).state(m, relative)
        if state != before:
            changes.append((day, state))
        before = state
    return changes


def two_halves(day, half, first, second):
    """`first` a day for `half` days, then `second` a day."""
    return first * min(day, half) + second * max(day - half, 0)


def relative_interval(arms):
    """Ends of the relative change: the sequential Fieller set, by bisection from the estimate."""
    seen = arms.pt / arms.pc - 1
    ends = []
    for far in (-0.9, 0.9):
        inside, outside = seen, seen + far
        for _ in range(60):
            middle = (inside + outside) / 2
            if arms.excludes(middle, relative=True):
                outside = middle
            else:
                inside = middle
        ends.append(inside)
    return ends


def drifted():
    """100 users a day and arm: 40 against 60 starts for a week, then 40 against 37."""
    most, shown = 0, False
    for day in range(1, 30):
        wide = widening([(60 if i < 7 else 37, 100, 40, 100) for i in range(day)])
        arms = Arms(40 * day, 100 * day, two_halves(day, 7, 60, 37), 100 * day, PROXY, wide)
        se = sqrt(arms.vc + arms.vt)
        now = ln_e_two(arms.d / se, (PROXY / se) ** 2)
        most = max(most, now)
        if day <= 3:
            print(f"drifted, day {day}: widened {wide:.2f}, ln e {now:.2f} of {log(20):.2f}")
        if most >= log(20) and bool(arms.excludes(0)) != shown:
            shown = not shown
            lo, hi = relative_interval(arms)
            print(f"drifted from day {day} on, no change excluded {shown}: {arms.d:+.4f}, "
                  f"{arms.pt / arms.pc - 1:+.4f} ({lo:+.4f} to {hi:+.4f}), smallest p "
                  f"{exp(-most):.2e}")


def empty_wins():
    """First matured day on which a real change is too small for its numerator, with its ends."""
    for name, xc, xt, n, least, tau, days in [
        ("started +3.75 % of 60,000", 24000, 24900, 60000, 0.1, PROXY, 28),
        ("finished +1.5 pts of 60,000", 16200, 17100, 60000, 0.03 / 0.27, AIM, 28),
        ("finished +4 pts of 9,000", 2430, 2790, 9000, 0.08 / 0.27, AIM, 42),
    ]:
        for day in range(1, days + 1):
            arms = arms_on(day, xc, xt, n, tau, days)
            c, t = spread(xc, days, day), spread(xt, days, day)
            ends = log_interval(log(t / c), sqrt(1 / t + 1 / c))
            den = spread(n, days, day)
            wide = log_interval(0, sqrt(2 / den))
            if arms.excludes(0) > 0 and ends[1] < log(1 + least):
                words = " ".join(f"{exp(x) - 1:.3f}" for x in (log(t / c), *ends, *wide))
                print(f"empty win, {name}: day {day}: {words}")
                break


def mean_wait():
    """`wait` in ms, sd 100, 100 sessions a day and arm; margin and tau 40 ms, want down."""
    for change in (20, 60, 40):
        for day in range(1, 43):
            n = 100 * day
            se = sqrt(2 * 100.0**2 / n * n / (n - 1)) if n > 1 else 0
            inside = ln_e_one((40 - change) / se, (40 / se) ** 2) >= log(20)
            worse = ln_e_one(change / se, (40 / se) ** 2) >= log(20)
            state = ("tripped" if change >= 40 and worse else "ok" if inside else "unproven")
            if day in (1, 2, 3, 42) or state != before:
                print(f"wait +{change} ms on day {day}: {state}")
            before = state


def slo():
    """1,000 requests a day against 99.9 %: one bad each for ten days, then three, then none."""
    for bads in ([1] * 10 + [3] * 6 + [0] * 20,):
        bad = total = 0
        for day, more in enumerate(bads, 1):
            bad, total = bad + more, total + 1000
            ln_e = one_proportion(bad, total, 0.001, 0.001, 0.001)
            print(f"slo day {day}: {bad} of {total}, burn {bad / total / 0.001:.2f}, "
                  f"ln e {ln_e:.2f} of {log(100):.2f}")


def main():
    for name, xc, xt, n, tau, m, rel in [
        ("finished +1.5 pts of 60,000", 16200, 17100, 60000, AIM, 0.03, False),
        ("finished +2.6 pts of 30,000", 8100, 8880, 30000, AIM, 0.03, False),
        ("started -10 %", 2400, 2160, 6000, PROXY, 0.1, True),
        ("started +2.5 % of 60,000", 24000, 24900, 60000, PROXY, 0.1, True),
        ("finished flat", 1620, 1620, 6000, AIM, 0.03, False),
        ("finished +4 pts, aim 8 pts", 1620, 1860, 6000, AIM, 0.08, False),
        ("finished +6 pts", 1620, 1980, 6000, AIM, 0.03, False),
        ("started +20 %", 2400, 2880, 6000, PROXY, 0.1, True),
        ("started +8 %", 2400, 2592, 6000, PROXY, 0.1, True),
    ]:
        print(f"{name}: {state_on(xc, xt, n, tau, m, rel)}")
        show(name, Arms(xc, n, xt, n, tau), m, rel)
    drifted()
    empty_wins()
    mean_wait()
    slo()
    proven = Arms(1620, 6000, 1980, 6000, AIM)
    first = first_day(lambda d: arms_on(d, 1620, 1980, 6000, AIM).excludes(0.03) > 0)
    print(f"+6 pts of 6,000 proves +3: {proven.excludes(0.03) > 0}; "
          f"+5 pts: {Arms(1620, 6000, 1920, 6000, AIM).excludes(0.03) > 0}; "
          f"first day of +6: {first}")
    few = Arms(1620, 6000, 1710, 6000, AIM)
    print(f"+1.5 pts of 6,000: zero {few.excludes(0)}, three points {few.excludes(0.03)}")


if __name__ == "__main__":
    main()
