#!/usr/bin/env python3
"""Numbers of the stories that stand at the edge of one comparison.

The formulas are those of reference.py (nothing is shared with the Rust sources). Run it to see
every number that a case quotes:  python3 tests/cases/edges.py
"""
from math import log, sqrt

from reference import Arms, ln_e_one, one_proportion, show, split_ln_bf, widening

AIM = 0.08  # tau: |35 % - 27 %|


def tolerance():
    """Unchanged satisfaction of 80 % against -2 pts, shown at one-sided 0.05 and not at 0.025."""
    for n in range(4000, 12001, 1000):
        arms = Arms(0.8 * n, n, 0.8 * n, n, 0.02)
        se = sqrt(arms.vc + arms.vt)
        ln_e = ln_e_one(0.02 / se, (0.02 / se) ** 2)
        print(f"csat unchanged on {n:,} per arm: ln e for -2 pts = {ln_e:.2f}, "
              f"0.05: {ln_e >= log(20)}, 0.025: {ln_e >= log(40)}")


def harm_forgotten():
    """58 of 214 a day in the control; the treatment has 36 of 179 for ten days, then 54."""
    for day in (10, 17, 21, 28):
        periods = [(36 if i < 10 else 54, 179, 58, 214) for i in range(day)]
        totals = [sum(period[column] for period in periods) for column in range(4)]
        arms = Arms(totals[2], totals[3], totals[0], totals[1], AIM, widening(periods))
        show(f"finished on matured day {day}, {totals[0]} of {totals[1]} against {totals[2]} of "
             f"{totals[3]}", arms, 0.03)
        print(f"  harm at one-sided 0.025: {arms.worse(0.025)}, widened by {widening(periods):.2f}")
    for day in range(1, 29):
        if day * 393 >= 100 and split_ln_bf([214 * day, 179 * day], [0.5, 0.5]) >= log(1000):
            print(f"214 to 179 a day is no even split on day {day}")
            break


def few_units():
    """What the split check would say of few units, were it asked."""
    for counts in [(52, 8), (88, 2), (89, 10)]:
        print(f"{counts[0]} and {counts[1]} units against one half: ln BF = "
              f"{split_ln_bf(counts, [0.5, 0.5]):.2f}, off at {log(1000):.2f}")


def level():
    """840 of 4,000 against a ceiling of 20 %."""
    p = 840 / 4000
    se = sqrt(p * (1 - p) / 4000)
    print(f"840 of 4,000: {p:.3f}, se {se:.4f}, the ceiling is {(p - 0.2) / se:.2f} se away")


def burst():
    """30 of 1,000 bad for two days, then none, against 1 %."""
    for day in range(1, 8):
        bad = 30 * min(day, 2)
        ln_e = one_proportion(bad, 1000 * day, 0.01, 0.01, 0.01)
        print(f"burst on day {day}: {bad} of {1000 * day}, {bad / (10 * day):.2f} %, "
              f"ln e = {ln_e:.2f}, shown at {log(100):.2f}")


def hardly_mixed():
    """1 of 428 units a day in both arms, against a tolerated 1 %: the mixture sees both sides."""
    for day in (1, 2, 3, 7):
        ln_e = one_proportion(day, 428 * day, 0.01, 0.01, 0.01)
        print(f"hardly mixed on day {day}: {day} of {428 * day}, ln e = {ln_e:.2f} for another "
              f"share than 1 %, {log(1000):.2f} would be an alarm")


def main():
    tolerance()
    harm_forgotten()
    few_units()
    level()
    burst()
    hardly_mixed()


if __name__ == "__main__":
    main()
