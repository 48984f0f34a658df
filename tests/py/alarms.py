#!/usr/bin/env python3
"""Figures that the tests of the alarms' statistics quote, from numpy and scipy alone.

Nothing is shared with the Rust sources. Run it to see every number:  python3 tests/py/alarms.py
Quoted in crates/judge/src/stats/theatre.rs and proxy_validity.rs.
"""
import numpy as np
from scipy import optimize, stats


def interval(estimate, se, tau=np.log(1.05), alpha=0.05):
    """Where the normal-mixture likelihood ratio of "the truth is x" reaches 1/alpha."""
    def log_e(x):
        top = stats.norm.logpdf(estimate - x, scale=np.hypot(se, tau))
        return top - stats.norm.logpdf(estimate - x, scale=se) - np.log(1 / alpha)
    far = 50 * se + 50 * tau
    return (optimize.brentq(log_e, estimate - far, estimate, xtol=1e-15),
            optimize.brentq(log_e, estimate, estimate + far, xtol=1e-15))


def log_counts(treatment, comparison, phi=1.0):
    return np.log(treatment / comparison), np.sqrt(phi * (1 / treatment + 1 / comparison))


def log_sums(*sides):
    logs, variances = [], []
    for n, total, squares in sides:
        mean = total / n
        variance = (squares / n - mean**2) * n / (n - 1)
        logs.append(np.log(mean))
        variances.append(variance / n / mean**2)
    return logs[0] - logs[1], np.sqrt(sum(variances))


def theatre():
    n, d = log_counts(1320, 1200), log_counts(2700, 3000, 1.5)
    print("theatre: dlnN, SE", n, "interval", interval(*n))
    print("theatre: dlnD, SE", d, "interval", interval(*d))
    ratio = n[0] - d[0]
    print("theatre: dlnR", ratio, "share", -d[0] / ratio)
    print("theatre: sums", log_sums((400, 1000, 3400), (500, 1100, 3300)))


A = np.array([1.2, .4, -.3, 2.1, .9, 1.6, .1, -.8, 1.1, .7, 1.9, .2])
B = np.array([.7, .1, .2, 1.4, .9, .2, -.4, -.5, .8, 0, 1.1, .3])


def corrected(a, b, se=0.2):
    return np.cov(a, b)[0, 1] / (np.var(a, ddof=1) - se**2)


def proxies():
    beta, n = corrected(A, B), len(A)
    rest = np.array([corrected(np.delete(A, i), np.delete(B, i)) for i in range(n)])
    se = np.sqrt((n - 1) / n * np.sum((rest - rest.mean())**2))
    half = stats.t.ppf(0.975, n - 1) * se
    scale = (np.var(A, ddof=1) - 0.04) / (np.var(B, ddof=1) - 0.09)
    print("proxies: slope", beta, "interval", beta - half, beta + half)
    print("proxies: correlation", np.clip(beta * np.sqrt(scale), -1, 1))
    moved, hit = A > 0.5, B > 0.65
    k, m = int((moved & hit).sum()), int(moved.sum())
    wilson = stats.binomtest(k, m).proportion_ci(method="wilson")
    print("proxies: hits", k, "of", m, "score", (k + 1) / (m + 2), "Wilson", wilson)
    known = (abs(A) > 0.2) & (abs(B) > 0.3)
    print("proxies: same sign", int((np.sign(A) == np.sign(B))[known].sum()), "of", int(known.sum()))
    for hits, of in [(0, 5), (1, 5), (1, 9), (9, 9)]:
        print("proxies: Wilson", hits, of, stats.binomtest(hits, of).proportion_ci(method="wilson"))


if __name__ == "__main__":
    theatre()
    proxies()
