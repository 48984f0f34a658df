#!/usr/bin/env python3
"""First days and their neighbours: when a state or an alarm of a story comes, and when not yet.

The formulas are those of reference.py and parts.py (nothing is shared with the Rust sources). Each
function names the stories it serves. "look" is the day after the start on which a period of that
day has closed and matured. Run it to see every number that a case quotes:
python3 tests/cases/days.py
"""
from datetime import date, timedelta
from math import exp, lgamma, log, sqrt

from parts import dispersion, even
from reference import (Arms, arms_on, first_day, ln_e_one, ln_e_two, one_proportion, spread,
                       t_at_bound, widening)

AIM, PROXY = 0.08, 0.04  # tau: |35 % - 27 %|, and 10 % of 40 %
START = date(2026, 6, 1)


def look(day, matures, start=START):
    """The look at which `day` periods have closed and matured."""
    return start + timedelta(day + matures)


def cells(treatment, control, units):
    """Days of two arms with the same number of units."""
    return list(zip(treatment, units, control, units))


def on(rows, day, tau):
    """Arms, widening and totals when `day` periods have matured."""
    rows = rows[:day]
    xt, nt, xc, nc = (sum(column) for column in zip(*rows))
    wide = widening(rows)
    return Arms(xc, nc, xt, nt, tau, wide), wide, (xc, nc, xt, nt)


def ln_e(arms):
    """Two-sided, against no change."""
    se = sqrt(arms.vc + arms.vt)
    return ln_e_two(arms.d / se, (arms.tau / se) ** 2)


def row(name, rows, days, matures, tau, m, relative=False, alpha=0.05, start=START):
    for day in days:
        arms, wide, (xc, nc, xt, nt) = on(rows, day, tau)
        print(f"{name}: day {day} (look of {look(day, matures, start)}): {xc} of {nc} -> {xt} of "
              f"{nt}, {100 * arms.d:+.2f} +- {100 * arms.half(alpha):.2f} pts, widened "
              f"{wide:.2f}, ln e {ln_e(arms):.3f} of {log(1 / alpha):.3f}: "
              f"{arms.state(m, relative, alpha)}")


def half_in(name, per_week, ends, matures, units):
    """First day with half of the planned units: `units_per_week` x (at - start - maturity)."""
    plan = per_week * (ends - matures) / 7
    day = first_day(lambda d: sum(units[:d]) >= plan / 2, len(units))
    print(f"{name}: plan {plan:.0f}, half {plan / 2:.0f}; day {day - 1}: {sum(units[:day - 1])}, "
          f"day {day}: {sum(units[:day])}, look of {look(day, matures)}")


def both(units):
    """The units of two equal arms."""
    return [2 * n for n in units]


def suspected():
    """Half of the plan is in and no outcome moved: the stories that only quote the day."""
    for name, per_week, total in [
        ("extend-then-continue, extend-only-once, promising-but-past-its-date, point-below-its-"
         "threshold, point-evidence-cannot-graduate-alone, too-far-to-extend", 1000, 2000),
        ("not-refuted-is-enough-here", 1500, 3000),
        ("enough-units-and-still-between", 1000, 4000),
        ("refuted-is-not-enough", 1500, 20000),
        ("weekly-looks-spend-alpha, one-look-is-not-extended", 2000, 4000),
        ("second-cycle-with-another-mechanism", 3000, 6000),
    ]:
        half_in(name, per_week, 42, 14, both(even(total)))
    half_in("clustered-days-are-no-proof", 3000, 42, 14, both([200] * 28))
    half_in("unproven-outcome-keeps-running", 3000, 7, 1, both(even(9000, 42)))
    half_in("sales-needs-a-hundred-more", 40, 42, 14, even(160))
    half_in("a-level-..., recruiting-counts-are-enough", 100, 49, 21, even(400))
    half_in("cohort-narrows", 560, 42, 1, [80] * 14 + [60] * 28)


def one(name, hits, units, days, matures, p0, to):
    """Of one population against the stated `p0`."""
    for day in days:
        s, n = sum(hits[:day]), sum(units[:day])
        found = one_proportion(s, n, p0, to - p0, p0)
        print(f"{name}: day {day} (look of {look(day, matures)}): {s} of {n}, {100 * s / n:.2f} %, "
              f"phi {dispersion(hits[:day], units[:day]):.2f} of 1.5, ln e {found:.3f} of "
              f"{log(20):.3f}, at the aim: {s / n >= to}")


def against_a_stated_share():
    """a-level-must-be-shown-to-stop, a-level-with-a-small-least, recruiting-counts-are-enough (and
    the screens of the other a-level-...), units-that-come-too-late-to-count,
    sales-needs-a-hundred-more, cohort-narrows."""
    one("screens", even(48), even(400), (14, 15, 16, 28), 21, 0.06, 0.12)
    one("screens that come too late", [1] * 42, [10] * 42, (12, 35), 7, 0.06, 0.12)
    one("conversion", even(23) + even(27), even(160) + even(160), (14, 28, 43, 44, 56), 14, 0.09,
        0.15)
    need = first_day(lambda n: one_proportion(0.15 * n, n, 0.09, 0.06, 0.09) >= log(20), 400)
    print(f"conversion at 15 % is shown by {need} calls")
    one("cohort", [22] * 42, [80] * 14 + [60] * 28, (22, 23, 24, 41), 1, 0.27, 0.35)


def extended():
    """extend-then-continue, extend-only-once, point-evidence-cannot-graduate-alone."""
    control, units = even(540) * 2, even(2000) * 2
    row("extend-then-continue", cells(even(620) + even(660), control, units), (14, 28, 31, 32, 56),
        14, AIM, 0.03)
    rows = cells(even(620) + even(580), control, units)
    row("extend-only-once", rows, (14, 28, 56), 14, AIM, 0.03)
    top = max((ln_e(on(rows, day, AIM)[0]), day) for day in range(1, 57))
    print(f"extend-only-once: largest ln e on days 1 to 56: {top[0]:.3f} on day {top[1]}")


def not_shown():
    """enough-units-and-still-between, point-below-its-threshold, not-refuted-is-enough-here,
    refuted-is-not-enough, too-far-to-extend."""
    rows = cells(even(1160) + even(1020), even(1080) * 2, even(4000) * 2)
    row("enough-units-and-still-between", rows, (7, 28, 48, 49, 56), 14, AIM, 0.03)
    row("point-below-its-threshold", cells(even(580), even(540), even(2000)), (14, 28), 14, AIM,
        0.03)
    row("not-refuted-is-enough-here", cells(even(1710, 56), even(1620, 56), even(6000, 56)),
        (14, 28, 56), 14, AIM, 0.03)
    row("refuted-is-not-enough", cells(even(5400), even(5400), even(20000)), (3, 6, 7, 28), 14,
        AIM, 0.03)
    row("too-far-to-extend", cells(even(545), even(540), even(2000)), (14, 28), 14, 0.01, 0.01)
    need = first_day(lambda n: ln_e(Arms(27 * n, 100 * n, 28 * n, 100 * n, 0.01)) >= log(20), 999)
    print(f"too-far-to-extend: +1 pt from 27 % is shown by {100 * need:,} per arm")


def in_the_first_days():
    """definition-changed-holds-until-acknowledged, hold-is-told-after-three-days,
    answers-missing-at-the-checkpoint, immature-outcome-moves-checkpoint,
    wait-for-the-slowest-outcome, at-the-margin-is-beyond-it, rule-without-its-outcome,
    short-proxy-flat-outcome, too-short-extends, retargeted-midway."""
    rows = cells(even(1980), even(1620), even(6000))
    row("finished +6 pts", rows, (5, 6, 28), 14, AIM, 0.03)
    row("retargeted-midway", rows, (8,), 14, 0.13, 0.03)
    for name, at, wanted in [("started", (2880, 2400), 0.1), ("finished", (2340, 1620), 0.03)]:
        relative = name == "started"
        row(f"immature-outcome-moves-checkpoint, {name}", cells([at[0]], [at[1]], [6000]), (1,),
            1 if relative else 14, PROXY if relative else AIM, wanted, relative)
    row("immature..., started with one user less", cells([2879], [2400], [6000]), (1,), 1, PROXY,
        0.1, True)
    row("wait-for-the-slowest-outcome, paid", cells(even(22200), even(12000), even(60000)), (1,),
        21, 0.03, 0.03)
    row("wait-for-the-slowest-outcome, finished", cells(even(21600), even(16200), even(60000)),
        (3, 8), 14, AIM, 0.08)
    print(f"one day alone: errors are sqrt(2) x {t_at_bound(6):.3f} = "
          f"{sqrt(2) * t_at_bound(6):.3f} times as wide, variances {2 * t_at_bound(6) ** 2:.2f}")
    row("at-the-margin-is-beyond-it, started", cells(even(26880), even(22400), even(56000)), (2, 3),
        1, PROXY, 0.1, True)
    for day in (2, 3, 4):
        arms, wide, _ = on(cells(even(43680), even(44800), even(56000)), day, 0.02)
        se = sqrt(arms.vc + arms.vt)
        print(f"at-the-margin-is-beyond-it, csat: day {day} (look of {look(day, 0)}): se "
              f"{100 * se:.4f} pts, widened {wide:.2f}, z {-arms.d / se:.2f}, one-sided ln e "
              f"{ln_e_one(-arms.d / se, (0.02 / se) ** 2):.2f} of {log(20):.2f}")
    flat = cells(even(1620), even(1620), even(6000))
    row("rule-without-its-outcome", flat, (2, 3), 14, AIM, 0.08)
    row("short-proxy-flat-outcome", cells(even(16200), even(16200), even(60000)), (2, 3), 14, AIM,
        0.03)
    units = even(10500, 7)
    row("too-short-extends, started", cells(even(5040, 7), even(4200, 7), units), (2, 3, 6), 1,
        PROXY, 0.1, True)
    row("too-short-extends, finished", cells(even(3465, 7), even(2835, 7), units), (2, 3, 6), 1,
        AIM, 0.03)


def measured_baseline():
    """support-two-cycles-without-effect: 552 of 1,000 in 33 days against 660 of 1,200 before."""
    for start in (START, date(2026, 7, 13)):
        for day in (9, 10, 33):
            s, n = spread(552, 33, day), spread(1000, 33, day)
            wide = max(1.0, dispersion(even(552, 33)[:day], even(1000, 33)[:day]))
            arms = Arms(660, 1200, s, n, 0.10, wide)
            print(f"support: day {day} (look of {look(day, 2, start)}): {s} of {n}, "
                  f"{100 * arms.d:+.2f} +- {100 * arms.half():.2f} pts: {arms.state(0.10)}")


def halves_of_alpha():
    """or-rule-splits-alpha, missing-branch-that-cannot-settle: 0.025 for each of two branches."""
    for name, arms, m, relative in [
        ("or-rule-splits-alpha, started", Arms(1600, 4000, 1600, 4000, PROXY), 0.1, True),
        ("missing-branch..., started", Arms(2400, 6000, 2400, 6000, PROXY), 0.1, True),
        ("missing-branch..., finished", Arms(540, 2000, 620, 2000, AIM), 0.03, False),
        ("missing-branch..., finished at its aim, 4,000", Arms(1080, 4000, 1400, 4000, AIM), 0.03,
         False),
    ]:
        print(f"{name}: {100 * arms.d:+.1f} +- {100 * arms.half(0.025):.2f} pts at 0.025: "
              f"{arms.state(m, relative, 0.025)}")


def clustered():
    """clustered-days-are-no-proof: at the aim with twice the units and the same unevenness."""
    swing = [60] * 7 + [80, 40] * 10 + [60]
    wide = widening(cells(swing, [54] * 28, [200] * 28))
    arms = Arms(0.27 * 11200, 11200, 0.35 * 11200, 11200, AIM, wide)
    print(f"clustered-days-are-no-proof: variance x {wide:.2f}; at the aim of 11,200 per arm "
          f"{100 * arms.d:+.1f} +- {100 * arms.half():.2f} pts")


def widths():
    """flat-and-a-missing-outcome-holds, tolerance-beyond-fails, trip-is-named-before-harm,
    units-in-both-arms-hold, units-in-both-arms-come-back, every-rail-loses-its-data,
    sampled-share-needs-proof, below-its-level-is-futile, above-its-ceiling-is-futile."""
    print(f"flat-and-a-missing-outcome-holds: paid 600 -> 600 of 6,000 +- "
          f"{100 * Arms(600, 6000, 600, 6000, 0.03).half():.2f} pts")
    print(f"tolerance-beyond-fails: csat 9,600 -> 8,640 of 12,000 -8.0 +- "
          f"{100 * Arms(9600, 12000, 8640, 12000, 0.02).half():.2f} pts")
    day = first_day(lambda d: arms_on(d, 1620, 1380, 6000, 0.02).worse(0.05))
    print(f"trip-is-named-before-harm: worse at one-sided 0.05 with tau 2 pts from day {day} on")
    low, high = 0.01, 26 / 856
    for _ in range(60):
        middle = (low + high) / 2
        above = one_proportion(26, 856, 0.01, 0.01, middle) >= log(1000)
        low, high = (middle, high) if above else (low, middle)
    print(f"units-in-both-arms-hold: 26 of 856 are for sure more than {100 * low:.3f} %")
    for day in (8, 9, 10):
        print(f"every-rail-loses-its-data: day {day}: {2 * day} of {20 * day} against 20 %, ln e "
              f"{one_proportion(2 * day, 20 * day, 0.2, 0.2, 0.2):.2f} of {log(100):.2f}")
    for day in (4, 5):
        print(f"sampled-share-needs-proof: day {day}: {9 * day} of {100 * day}, ln e "
              f"{one_proportion(9 * day, 100 * day, 0.05, 0.05, 0.05):.3f} of {log(100):.3f}")
    tau = sqrt(-2 * log(0.05) + log(1 - 2 * log(0.05))) * sqrt(0.25 / 6000)
    for x, level in [(2400, 0.8), (1600, 0.2)]:
        print(f"{x} of 4,000 against {level}: tau 2.82 SE of the planned 6,000 = {tau:.4f}, ln e "
              f"{one_proportion(x, 4000, level, tau, level):.1f} of {log(20):.1f}")
    ends = []
    for far in (0.0001, 0.9999):
        inside, outside = 0.09, far
        for _ in range(60):
            middle = (inside + outside) / 2
            shown = one_proportion(360, 4000, 0.09, 0.06, middle) >= log(20)
            inside, outside = (inside, middle) if shown else (middle, outside)
        ends.append(f"{100 * inside:.2f}")
    print(f"conversion 360 of 4,000: {' to '.join(ends)} %")


def ln_tail(k, n, p):
    """ln P(at least k of n): the exact binomial, term by term upwards."""
    first = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log(1 - p)
    total = term = 1.0
    for at in range(k, n):
        term *= (n - at) / (at + 1) * p / (1 - p)
        total += term
        if term < 1e-17 * total:
            break
    return first + log(total)


def burn_rates():
    """slow-burn-is-a-ticket, rolling-budget-pages, outage-of-a-quiet-service,
    blips-with-for-and-keep-firing: exact tails at factor x 0.1 %."""
    for name, k, n, p in [
        ("slow-burn-is-a-ticket, 35 h", 7000, 7_200_000, 0.28 / 300),
        ("slow-burn-is-a-ticket, 36 h", 7200, 7_200_000, 0.28 / 300),
        ("slow-burn-is-a-ticket, its 6 h", 1200, 600_000, 0.28 / 300),
        ("rolling-budget-pages, 45 min", 1800, 120_000, 0.01344),
        ("rolling-budget-pages, its 5 min", 200, 10_000, 0.01344),
        ("outage-of-a-quiet-service, 00:40", 2, 18, 0.0056),
        ("outage-of-a-quiet-service, 01:00", 3, 18, 0.0056),
        ("outage-of-a-quiet-service, 01:00, a day's ticket", 3, 72, 0.0028),
        ("outage-of-a-quiet-service, 01:00, three days' ticket", 3, 147, 0.28 / 300 * 72 / 49),
        ("outage-of-a-quiet-service, 01:20", 4, 18, 0.0056),
        ("outage-of-a-quiet-service, its 200 min", 4, 10, 0.0056),
        ("outage-of-a-quiet-service, budget of 28 d at 01:00", 3, 147, 2.016 / 147),
        ("outage-of-a-quiet-service, budget of 28 d at 01:20", 4, 148, 2.016 / 148),
    ]:
        print(f"{name}: {k} of {n} at {100 * p:.4f} % by chance: p {exp(ln_tail(k, n, p)):.2e}")
    for k, n in [(8000, 60_000), (5000, 5000)]:
        print(f"blips-with-for-and-keep-firing: {k} of {n} at 1.44 % by chance: 1e"
              f"{ln_tail(k, n, 0.0144) / log(10):.0f}")
    print(f"blips-with-for-and-keep-firing: budget of 28 d at 1,000 a minute: "
          f"{28 * 1440 * 1000 * 0.001:.0f}; outage: of 3 an hour {28 * 24 * 3 * 0.001:.3f}")


def main():
    suspected()
    against_a_stated_share()
    extended()
    not_shown()
    in_the_first_days()
    measured_baseline()
    halves_of_alpha()
    clustered()
    widths()
    burn_rates()


if __name__ == "__main__":
    main()
