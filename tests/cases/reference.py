#!/usr/bin/env python3
"""Where the expected answers of tests/cases come from, independently of the daemon's own code.

Plain Python on the formulas of Johari et al. (mixture SPRT, two sides), Howard et al. (one side)
and the exact beta-binomial e-process; nothing is shared with the Rust sources. Run it to see every
number that a case quotes:  python3 tests/cases/reference.py
"""
from math import erfc, exp, floor, lgamma, log, pi, sqrt


def spread(total, count, upto):
    """The first `upto` of `count` even whole numbers that sum to `total`."""
    return floor(total * upto / count)


def variance(x, n):
    """Of a share, with one success and one failure added."""
    p = (x + 1) / (n + 2)
    return p * (1 - p) / n


def ln_e_two(z, r):
    return -0.5 * log(1 + r) + 0.5 * z * z * r / (1 + r)


def ln_e_one(z, r):
    phi = 0.5 * erfc(-z * sqrt(r / (1 + r)) / sqrt(2))
    return log(2) + ln_e_two(z, r) + log(max(phi, 1e-300))


def t_quantile(df, upper=0.025):
    """The t that `upper` of the distribution lies above: Simpson's rule, then bisection."""
    scale = exp(lgamma((df + 1) / 2) - lgamma(df / 2)) / sqrt(df * pi)
    density = lambda x: scale * (1 + x * x / df) ** (-(df + 1) / 2)

    def tail(t, steps=2000):
        h = t / steps
        inner = sum((4 if i % 2 else 2) * density(i * h) for i in range(1, steps))
        return 0.5 - h / 3 * (density(0) + inner + density(t))

    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > upper else (low, middle)
    return low


def widening(cells):
    """What the difference of two arms over `(xt, nt, xc, nc)` periods is widened by (ADR 0027): its
    dispersion in sevens, averaged with a prior of 2 that counts for six, with t, above 1.5."""
    spread_of = expected = 0.0
    for at in range(0, len(cells), 7):
        group = cells[at:at + 7]
        weights = [1 / (1 / nt + 1 / nc) for _, nt, _, nc in group]
        gaps = [xt / nt - xc / nc for xt, nt, xc, nc in group]
        mean = sum(w * gap for w, gap in zip(weights, gaps)) / sum(weights)
        spread_of += sum(w * (gap - mean) ** 2 for w, gap in zip(weights, gaps))
        for xt, nt, xc, nc in group:
            p, n = (xt + xc) / (nt + nc), nt + nc
            expected += p * (1 - p) * n / (n - 1) * (len(group) - 1) / len(group)
    df = len(cells) - -(-len(cells) // 7)
    seen = spread_of / expected if df else 0.0
    phi = (seen * df + 2 * 6) / (df + 6)
    return phi * t_at_bound(df + 6) ** 2 if phi > 1.5 else 1.0


def t_at_bound(df):
    """The t that is exceeded as rarely as 3.5 by a normal, as a share of that (ADR 0034)."""
    return t_quantile(df, 0.5 * erfc(3.5 / sqrt(2))) / 3.5


class Arms:
    """Control xc of nc, treatment xt of nt, mixing sd tau, both variances widened."""

    def __init__(self, xc, nc, xt, nt, tau, wide=1.0):
        self.pc, self.pt, self.tau = xc / nc, xt / nt, tau
        self.vc, self.vt = wide * variance(xc, nc), wide * variance(xt, nt)
        self.d = self.pt - self.pc

    def half(self, alpha=0.05):
        se = sqrt(self.vc + self.vt)
        r = (self.tau / se) ** 2
        return se * sqrt((1 + 1 / r) * log((1 + r) / alpha**2))

    def excludes(self, change, alpha=0.05, relative=False):
        """Which side of `change` is shown: +1 better, -1 worse, 0 neither (two sides)."""
        k = 1 + change if relative else 1
        gap = self.pt - k * self.pc - (0 if relative else change)
        se = sqrt(self.vt + k * k * self.vc)
        shown = ln_e_two(gap / se, (self.tau / se) ** 2) >= log(1 / alpha)
        return (1 if gap > 0 else -1) if shown else 0

    def worse(self, alpha=0.025):
        se = sqrt(self.vc + self.vt)
        return ln_e_one(-self.d / se, (self.tau / se) ** 2) >= log(1 / alpha)

    def state(self, m, relative=False, alpha=0.05):
        reached = self.pt >= self.pc * (1 + m) if relative else self.d >= m - 1e-12
        zero, far = self.excludes(0, alpha), self.excludes(m, alpha, relative)
        if zero < 0:
            return "harm"
        if zero > 0:
            return "met" if reached else "short" if far < 0 else "moving"
        return "flat" if far < 0 else "inconclusive"


def ln_beta(a, b):
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def one_proportion(s, n, p0, tau, q):
    """ln e against the share q, mixture around p0."""
    k = min(max(p0 * (1 - p0) / tau**2 - 1, 2), 1e6)
    a, b = k * p0, k * (1 - p0)
    mixed = ln_beta(a + s, b + n - s) - ln_beta(a, b)
    return mixed - s * log(q) - (n - s) * log(1 - q)


def split_ln_bf(counts, shares, k=100):
    a = [k * share for share in shares]
    whole = lambda v: sum(lgamma(x) for x in v) - lgamma(sum(v))
    mixed = whole([x + c for x, c in zip(a, counts)]) - whole(a)
    return mixed - sum(c * log(s) for c, s in zip(counts, shares))


def arms_on(day, xc, xt, n, tau, days=28, nt=None):
    """The two arms when `day` periods of `days` have matured."""
    totals = xt, nt or n, xc, n
    upto = lambda count: [spread(total, days, count) for total in totals]
    periods = [[b - a for a, b in zip(upto(i), upto(i + 1))] for i in range(day)]
    treated, of, held, of_held = upto(day)
    return Arms(held, of_held, treated, of, tau, widening(periods))


def first_day(found, days=28):
    return next((day for day in range(1, days + 1) if found(day)), None)


def show(what, arms, m, relative=False, alpha=0.05):
    half = arms.half(alpha)
    print(f"{what}: {arms.d:+.4f} ({arms.d - half:+.4f} to {arms.d + half:+.4f}) "
          f"{arms.state(m, relative, alpha)}")


def log_interval(estimate, se, margin=0.05, alpha=0.05):
    """Of a part of a ratio on the log scale; tau is the denominator's implicit margin."""
    r = (log(1 + margin) / se) ** 2
    half = se * sqrt((1 + 1 / r) * log((1 + r) / alpha**2))
    return estimate - half, estimate + half


class Orders:
    """The ratio case after `day` days: 500 visitors a day and arm, 600 orders on 1,000 visits;
    treatment 850 visits for 14 days, then 1,010 visits and 660 orders. Poisson squares."""

    def __init__(self, day):
        early, late = min(day, 14), max(day - 14, 0)
        n = 500 * day
        self.held = (n, 600 * day, 1000 * day, 1320 * day, 3000 * day, 1200 * day)
        self.treated = (n, 600 * early + 660 * late, 850 * early + 1010 * late,
                        1320 * early + 1531 * late, 2295 * early + 3050 * late,
                        1020 * early + 1333 * late)

    @staticmethod
    def ratio(sums):
        n, num, den, num_sq, den_sq, cross = sums
        r, m = num / den, den / n
        spread = (num_sq - num * num / n) - 2 * r * (cross - num * den / n) \
            + r * r * (den_sq - den * den / n)
        return r, spread / (n - 1) / (m * m * n)

    @staticmethod
    def log_part(sums, which):
        n, total, squares = sums[0], sums[1 + which], sums[3 + which]
        mean = total / n
        return log(mean), (squares / n - mean * mean) * n / (n - 1) / (n * mean * mean)

    def part(self, which):
        (t, vt), (c, vc) = self.log_part(self.treated, which), self.log_part(self.held, which)
        return t - c, sqrt(vt + vc)

    def better(self, tau=0.06):
        (t, vt), (c, vc) = self.ratio(self.treated), self.ratio(self.held)
        se = sqrt(vt + vc)
        return t > c and ln_e_two((t - c) / se, (tau / se) ** 2) >= log(20)

    def alarm(self):
        (n, se_n), (d, se_d) = self.part(0), self.part(1)
        lo, hi = log_interval(n, se_n)[0], log_interval(d, se_d)[1]
        broken = d <= log(0.95) and hi < 0
        if not self.better():
            return None
        if lo > 0 and broken:
            return "numerator up, denominator down"
        if hi < 0 and -d / (n - d) >= 0.5:
            return "denominator driven"
        if broken:
            return "denominator fell"
        empty = log_interval(n, se_n)[1] < log(1.05)
        return "empty win" if empty else None


def theatre():
    """Looks come a day after the last counted day."""
    before = None
    for day in range(1, 42):
        alarm = Orders(day).alarm()
        if alarm != before:
            (n, se_n), (d, se_d) = Orders(day).part(0), Orders(day).part(1)
            ends = [exp(x) - 1 for x in (*log_interval(n, se_n), *log_interval(d, se_d))]
            print(f"orders on day {day}: {alarm}; numerator {exp(n) - 1:.3f}, denominator "
                  f"{exp(d) - 1:.3f}, ratio {exp(n - d) - 1:.3f}, ends "
                  + " ".join(f"{x:.3f}" for x in ends) + f", share {-d / (n - d):.3f}")
        before = alarm
    for name, xc, xt, tau in [("started", 2400, 2400, 0.04), ("finished", 1620, 1650, 0.08)]:
        for day in range(1, 29):
            den_c, den_t = spread(6000, 28, day), spread(5000, 28, day)
            arms = Arms(spread(xc, 28, day), den_c, spread(xt, 28, day), den_t, tau)
            d, se = log(den_t / den_c), sqrt(1 / den_t + 1 / den_c)
            if arms.excludes(0) > 0 and log_interval(d, se)[1] < 0:
                print(f"srm-holds: the denominator drives `{name}` from matured day {day} on")
                break


def cookie_cats():
    """A published test of a mobile game (a gate at level 30 or 40): its totals, even over 14 days.

    Day-1 retention 44.819 % of 44,700 against 44.228 % of 45,489, day-7 19.020 % against 18.200 %.
    """
    def on(day, control, treatment):
        return arms_on(day, control, treatment, 44700, 0.01, 14, 45489)

    returned = [on(day, 20034, 20119).state(0.01) for day in range(1, 15)]
    stayed = [on(day, 8502, 8279) for day in range(1, 15)]
    print(f"cookie cats: day 1 {' '.join(returned)}")
    print(f"cookie cats: day 7 {' '.join(arms.state(0.01) for arms in stayed)}")
    worse = [day for day, arms in enumerate(stayed, 1) if arms.worse(0.025)]
    naive = [day for day, arms in enumerate(stayed, 1)
             if arms.d / sqrt(arms.vc + arms.vt) < -1.96]
    print(f"cookie cats: harm (one-sided 0.025) on matured days {worse}, z < -1.96 on {naive}")
    off = [split_ln_bf([spread(44700, 14, day), spread(45489, 14, day)], [0.5, 0.5])
           for day in range(1, 15)]
    print(f"cookie cats: split at most {max(off):.2f} of {log(1000):.2f}")


def main():
    for xt, n, m in [(1380, 6000, 0.08), (1000, 5000, 0.03)]:
        states = [arms_on(day, 1620, xt, 6000, 0.08, 28, n).state(m) for day in range(1, 8)]
        print(f"finished 1,620 of 6,000 -> {xt} of {n}, for {m}: {' '.join(states)}")
    theatre()
    cookie_cats()
    aim, proxy = 0.08, 0.04  # tau: |35 % - 27 %|, and 10 % of 40 %
    show("started 2,400 -> 2,880", Arms(2400, 6000, 2880, 6000, proxy), 0.1, True)
    show("started 2,400 -> 2,400", Arms(2400, 6000, 2400, 6000, proxy), 0.1, True)
    show("finished 1,620 -> 1,620", Arms(1620, 6000, 1620, 6000, aim), 0.03)
    show("finished 1,620 -> 1,980", Arms(1620, 6000, 1980, 6000, aim), 0.03)
    show("finished 1,620 -> 1,380", Arms(1620, 6000, 1380, 6000, aim), 0.03)
    show("extend: 540 -> 620 of 2,000", Arms(540, 2000, 620, 2000, aim), 0.03)
    show("extend: 1,080 -> 1,280 of 4,000", Arms(1080, 4000, 1280, 4000, aim), 0.03)
    show("enough: 1,080 -> 1,160 of 4,000", Arms(1080, 4000, 1160, 4000, aim), 0.03)
    show("enough, at the aim: 1,080 -> 1,400", Arms(1080, 4000, 1400, 4000, aim), 0.03)
    show("enough, later: 2,160 -> 2,180 of 8,000", Arms(2160, 8000, 2180, 8000, aim), 0.03)
    flat = first_day(lambda d: arms_on(d, 1620, 1620, 6000, aim).state(0.03) == "flat")
    print(f"finished is flat for 3 pts from matured day {flat} on")
    idle = lambda d: arms_on(min(d + 13, 28), 2400, 2400, 6000, proxy).state(0.1, True) == "flat"
    both = first_day(lambda d: idle(d) and arms_on(d, 1620, 1620, 6000, aim).state(0.03) == "flat")
    print(f"both are flat from matured day {both} of the outcome on")
    harm = first_day(lambda d: arms_on(d, 1620, 1380, 6000, aim).worse(0.025))
    print(f"harm (one-sided 0.025) on matured day {harm}")
    two = first_day(lambda d: arms_on(d, 2400, 2160, 6000, 0.02).worse(0.0125))
    print(f"stop rule started <= -5 % at 2,400 -> 2,160 (one-sided 0.0125) on matured day {two}")
    off = first_day(lambda d: spread(11000, 28, d) >= 100 and split_ln_bf(
        [spread(6000, 28, d), spread(5000, 28, d)], [0.5, 0.5]) >= log(1000))
    print(f"split 6,000 to 5,000 is off on day {off}")
    fell = first_day(lambda d: arms_on(d, 4800, 4560, 6000, 0.02).worse(0.05)
                     and arms_on(d, 4800, 4560, 6000, 0.02).d <= -0.02)
    print(f"csat 4,800 -> 4,560 is worse at one-sided 0.05 and beyond -2 pts on day {fell}")
    fell = first_day(lambda d: arms_on(d, 4800, 4560, 6000, 0.02).worse(0.025)
                     and arms_on(d, 4800, 4560, 6000, 0.02).d <= -0.02)
    print(f"the same at one-sided 0.025 on day {fell}")
    over = first_day(lambda d: one_proportion(9 * d, 100 * d, 0.05, 0.05, 0.05) >= log(100))
    print(f"9 of 100 a day against 5 % reaches ln 100 on day {over}")
    for n in (6000, 12000):
        arms = Arms(0.8 * n, n, 0.8 * n, n, 0.02)
        se = sqrt(arms.vc + arms.vt)
        print(f"csat unchanged on {n:,} per arm: ln e for -2 pts = "
              f"{ln_e_one(0.02 / se, (0.02 / se) ** 2):.2f}, shown at {log(20):.2f}")
    gone = first_day(lambda d: arms_on(d, 1620, 1380, 6000, aim).state(0.03) in ("flat", "harm"))
    print(f"finished 1,620 -> 1,380 excludes +3 pts from matured day {gone} on")
    show("finished 1,080 -> 1,200 of 4,000", Arms(1080, 4000, 1200, 4000, aim), 0.03)
    show("or: 1,080 -> 1,216 of 4,000, alpha 0.05", Arms(1080, 4000, 1216, 4000, aim), 0.03)
    two_chances = Arms(1080, 4000, 1216, 4000, aim)
    show("or: 1,080 -> 1,216 of 4,000, alpha 0.025", two_chances, 0.03, alpha=0.025)
    show("weekly: 6 days of 1,620 -> 2,160", arms_on(6, 1620, 2160, 6000, aim), 0.08)
    show("weekly: 28 days of 1,620 -> 2,160", arms_on(28, 1620, 2160, 6000, aim), 0.08)
    # Support: 660 of 1,200 measured before, 552 of 1,000 after; aim and tau 10 pts.
    show("support: 660/1,200 -> 552/1,000", Arms(660, 1200, 552, 1000, 0.10), 0.10)
    for name, s, n, p0, target, q in [
        ("personalised 340 of 400 against 80 %", 340, 400, 0.5, 0.8, 0.8),
        ("qualified 48 of 400 against 6 %", 48, 400, 0.06, 0.12, 0.06),
        ("replies 120 of 400 against 20 %", 120, 400, 0.20, 0.25, 0.20),
        ("conversion 23 of 160 against 9 %", 23, 160, 0.09, 0.15, 0.09),
        ("conversion 50 of 320 against 9 %", 50, 320, 0.09, 0.15, 0.09),
    ]:
        ln_e = one_proportion(s, n, p0, abs(target - p0), q)
        print(f"{name}: ln e = {ln_e:.2f}, shown at {log(20):.2f}: {ln_e >= log(20)}")
    # Rare events: of 48 events 8 in the treatment, at equal sizes each is one with q0 = 1/2. The
    # aim 0.66 % -> 0.2 % is a rate ratio, and it moves that share to ratio/(1 + ratio).
    q, ratio = 0.5, 0.2 / 0.66
    k = q * (1 - q) / (ratio / (1 + ratio) - q) ** 2 - 1
    for days in range(1, 29):
        c, t = spread(40, 28, days), spread(8, 28, days)
        ln_e = (ln_beta(k * q + t, k * (1 - q) + c) - ln_beta(k * q, k * (1 - q))
                - (c + t) * log(q))
        if days == 28 or ln_e >= log(20):
            print(f"rare, k = {k:.2f}: day {days}, {c} -> {t}: ln e = {ln_e:.2f}, "
                  f"p = {exp(-ln_e):.6f}, at least half: {t <= 0.5 * c}")
    before_a_test()
    mixed_units()
    narrowed_cohorts()


def mixed_units():
    """13 of 428 units a day in both arms, against 1 %; none from day 10 on."""
    for day in range(1, 10):
        s, n = 13 * day, 428 * day
        ln_e = one_proportion(s, n, 0.01, 0.01, 0.01)
        if n >= 100 and ln_e >= log(1000):
            print(f"mixed: day {day}, {s} of {n}, ln e = {ln_e:.2f}, p = {exp(-ln_e):.1e}, "
                  f"shown at {log(1000):.2f}")
            break


def narrowed_cohorts():
    """Fewer of the eligible units are counted: the alarm's first day and its numbers."""
    before = None
    for day in range(1, 43):
        # 100 eligible a day; 80 counted, from day 15 on 60; 27 % did it, from then on 36 %.
        den = 80 * min(day, 14) + 60 * max(day - 14, 0)
        num = 22 * min(day, 14) + 22 * max(day - 14, 0)
        better = one_proportion(num, den, 0.27, 0.08, 0.27) >= log(20) and num / den > 0.27
        d, se = log(den / (100 * day * 0.8)), 1 / sqrt(den)
        n, se_n = log(num / (100 * day * 0.8 * 0.27)), 1 / sqrt(num)
        alarm = better and d <= log(0.95) and log_interval(d, se)[1] < 0
        if alarm != before:
            ends = [exp(x) - 1 for x in (*log_interval(n, se_n), *log_interval(d, se))]
            print(f"cohort on day {day}: {alarm}; {num} of {den} of {100 * day}; coverage "
                  f"{den / (100 * day):.3f}, numerator {exp(n) - 1:.3f}, denominator "
                  f"{exp(d) - 1:.3f}, ratio {exp(n - d) - 1:.3f}, ends "
                  + " ".join(f"{x:.3f}" for x in ends))
        before = alarm


def before_a_test():
    """Covariate, imbalance and unevenness (the cases of their names)."""
    n, var, slope, d, tau = 1400, 25 * 50 / 50, 0.9, 0.5, 1.0
    n_less = n / (n - 1)
    for name, spread in [("plain", var), ("adjusted", var * (1 - slope**2))]:
        se = sqrt(2 * spread * n_less / n)
        print(f"covariate, {name}: ln e = {ln_e_two(d / se, (tau / se) ** 2):.2f}")
    sd = sqrt(25 * 2 * n / (2 * n - 2))
    error = sqrt(2 / n)
    print(f"imbalance: ln p = {-ln_e_two(1.0 / sd / error, (0.1 / error) ** 2):.2f}, "
          f"alarm at {log(0.001):.2f}")
    for m in range(50, n + 1, 50):
        sd, error = sqrt(25 * 2 * m / (2 * m - 2)), sqrt(2 / m)
        ln_p = -ln_e_two(1.0 / sd / error, (0.1 / error) ** 2)
        if ln_p <= log(0.001):
            print(f"imbalance at 50 per arm and day: day {m // 50}, ln p = {ln_p:.2f}")
            break
    days = [60] * 7 + [(80, 40)[i % 2] for i in range(20)] + [60]
    top = low = 0.0
    for week in range(4):
        gaps = [x / 200 - 54 / 200 for x in days[7 * week:7 * week + 7]]
        mean = sum(gaps) / 7
        top += sum(100 * (gap - mean) ** 2 for gap in gaps)
        pooled = [(x + 54) / 400 for x in days[7 * week:7 * week + 7]]
        low += sum(p * (1 - p) * 400 / 399 for p in pooled) * 6 / 7
    phi = (24 * top / low + 2 * 6) / 30
    wide = phi * t_at_bound(30) ** 2
    arms = Arms(54 * 28, 5600, sum(days), 5600, 0.08)
    for name, factor in [("independent", 1.0), (f"phi {phi:.2f}, {wide:.2f} with t", wide)]:
        se = sqrt((arms.vc + arms.vt) * factor)
        print(f"clustered days, {name}: ln e = {ln_e_two(arms.d / se, (0.08 / se) ** 2):.2f}")


if __name__ == "__main__":
    main()
