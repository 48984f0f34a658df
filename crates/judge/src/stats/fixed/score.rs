//! Miettinen-Nurminen score test and intervals for two proportions.
//!
//! Place in the line: offered as the `score` alternative of `look: once`, and for non-inferiority
//! margins on proportions at small counts.
//!
//! Formulas (Miettinen & Nurminen 1985; Farrington & Manning 1990 for the cubic): the rates are
//! estimated under `p_t - p_c = value` (the root of a cubic in closed form) or
//! `p_t / p_c = value` (a quadratic), `z = (estimate - null)/sqrt(var * N/(N-1))`, interval by
//! inverting z. Assumptions: independent units, one look. Invariants: `None` where z is 0/0.

use core::f64::consts::PI;

use super::super::special::norm_isf;
use super::super::two_arm::Proportion;
use super::super::{Interval, is_alpha};
use super::two_proportion::usable;

/// A constrained rate this close to its end, as a share of its room, is sought there again.
const CLOSE: f64 = 1.0e-5;

/// z of "difference = `value`", `-1 < value < 1`.
#[must_use]
pub fn z_difference(treatment: &Proportion, control: &Proportion, value: f64) -> Option<f64> {
    if !usable(treatment) || !usable(control) || value.abs() >= 1.0 {
        return None;
    }
    if treatment.x + control.x > 0.5 * (treatment.n + control.n) {
        // From the misses, where the rates have all their digits.
        return z_difference(&treatment.misses(), &control.misses(), -value).map(|z| -z);
    }
    let p_c = constrained(treatment, control, value);
    let p_t = (p_c + value).clamp(0.0, 1.0);
    let var = p_t * (1.0 - p_t) / treatment.n + p_c * (1.0 - p_c) / control.n;
    standardise(treatment.mean() - control.mean() - value, var, treatment.n + control.n)
}

/// z of "ratio treatment/control = `value`", `value > 0`.
#[must_use]
pub fn z_ratio(treatment: &Proportion, control: &Proportion, value: f64) -> Option<f64> {
    if !usable(treatment) || !usable(control) || value <= 0.0 || !value.is_finite() {
        return None;
    }
    let total = treatment.n + control.n;
    let a = total * value;
    let b = -(treatment.n * value + treatment.x + control.n + control.x * value);
    let c = treatment.x + control.x;
    let root = (b * b - 4.0 * a * c).max(0.0).sqrt();
    // The smaller root, in the form without cancellation.
    let p_c = (2.0 * c / (-b + root)).clamp(0.0, 1.0);
    let p_t = (p_c * value).clamp(0.0, 1.0);
    let var = p_t * (1.0 - p_t) / treatment.n + value * value * p_c * (1.0 - p_c) / control.n;
    standardise(treatment.mean() - value * control.mean(), var, total)
}

fn standardise(gap: f64, var: f64, total: f64) -> Option<f64> {
    let z = gap / (var * total / (total - 1.0)).sqrt();
    z.is_finite().then_some(z)
}

/// Control rate under `p_t = p_c + value`: maximum likelihood, the cubic's root in closed form,
/// polished by Newton steps because the arc cosine loses half the digits near its ends.
pub(crate) fn constrained(treatment: &Proportion, control: &Proportion, value: f64) -> f64 {
    let (n_t, n_c) = (treatment.n, control.n);
    let total = n_t + n_c;
    let hits = treatment.x + control.x;
    if value == 0.0 {
        return hits / total;
    }
    // p^3 + l2 p^2 + l1 p + l0 = 0
    let l2 = ((n_t + 2.0 * n_c) * value - total - hits) / total;
    let l1 = ((n_c * value - total - 2.0 * control.x) * value + hits) / total;
    let l0 = control.x * value * (1.0 - value) / total;
    let third = l2 / 3.0;
    let q = third * third * third - l1 * l2 / 6.0 + 0.5 * l0;
    let square = (third * third - l1 / 3.0).max(0.0).sqrt();
    let p = if q > 0.0 { square } else { -square };
    let cosine = if p == 0.0 { 0.0 } else { (q / (p * p * p)).clamp(-1.0, 1.0) };
    let (low, high) = ((-value).max(0.0), (1.0 - value).min(1.0));
    let mut root = (2.0 * p * libm::cos((PI + libm::acos(cosine)) / 3.0) - third).clamp(low, high);
    for _ in 0..3 {
        let height = ((root + l2) * root + l1) * root + l0;
        let slope = (3.0 * root + 2.0 * l2) * root + l1;
        let next = root - height / slope;
        if !(next.is_finite() && (next - root).abs() < 1.0e-4) {
            break;
        }
        root = next.clamp(low, high);
    }
    let room = high - low;
    if root - low < CLOSE * room {
        low + near_edge(treatment, control, value, room)
    } else if high - root < CLOSE * room {
        // Misses for hits: the same rates from the other end.
        high - near_edge(&treatment.misses(), &control.misses(), -value, room)
    } else {
        root
    }
}

/// How far the control rate lies above its least possible value, to a relative precision that the
/// cubic, whose coefficients are of the order of 1, does not have for rates of 1e-8.
///
/// The log-likelihood is concave, so its slope has one root: bisected in the logarithm of the gap.
fn near_edge(treatment: &Proportion, control: &Proportion, value: f64, room: f64) -> f64 {
    let share = |hits: f64, rate: f64| if hits > 0.0 { hits / rate } else { 0.0 };
    let slope = |gap: f64| {
        let (p_c, p_t) = if value < 0.0 { (gap - value, gap) } else { (gap, gap + value) };
        share(treatment.x, p_t) + share(control.x, p_c)
            - (treatment.n - treatment.x) / (1.0 - p_t)
            - (control.n - control.x) / (1.0 - p_c)
    };
    let (mut low, mut high) = (f64::MIN_POSITIVE, 2.0 * CLOSE * room);
    if slope(low) <= 0.0 {
        return 0.0;
    }
    for _ in 0..200 {
        let middle = (low * high).sqrt();
        if middle <= low || middle >= high {
            break;
        }
        if slope(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// Score interval of the difference, within [-1, 1]; `None` when z cannot be computed.
#[must_use]
pub fn difference_interval(
    treatment: &Proportion,
    control: &Proportion,
    alpha: f64,
) -> Option<Interval> {
    if !usable(treatment) || !usable(control) || !is_alpha(alpha) {
        return None;
    }
    let limit = norm_isf(0.5 * alpha);
    let d = treatment.mean() - control.mean();
    // Inside: |z| below the limit. A z of 0/0 sits at the estimate itself.
    let inside = |v: f64| z_difference(treatment, control, v).is_none_or(|z| z.abs() < limit);
    let open = 1.0 - 1.0e-12;
    let end = |edge: f64| {
        if inside(edge) { edge } else { bisect(d, edge, inside) }
    };
    Some(Interval::of(end(-open), end(open)))
}

/// Score interval of the ratio treatment/control; `None` when the control has no success.
#[must_use]
pub fn ratio_interval(
    treatment: &Proportion,
    control: &Proportion,
    alpha: f64,
) -> Option<Interval> {
    if !usable(treatment) || !usable(control) || !is_alpha(alpha) || control.x <= 0.0 {
        return None;
    }
    let limit = norm_isf(0.5 * alpha);
    let ratio = treatment.mean() / control.mean();
    let inside = |v: f64| z_ratio(treatment, control, v).is_none_or(|z| z.abs() < limit);
    let lo = if ratio > 0.0 { bisect(ratio, 0.0, inside) } else { 0.0 };
    let mut far = 2.0 * ratio + 1.0;
    while inside(far) && far < 1.0e15 {
        far *= 2.0;
    }
    Some(Interval::of(lo, bisect(ratio, far, inside)))
}

fn bisect(mut inside: f64, mut outside: f64, is_inside: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let mid = 0.5 * (inside + outside);
        if mid == inside || mid == outside {
            break;
        }
        if is_inside(mid) {
            inside = mid;
        } else {
            outside = mid;
        }
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three and nine events: rates so small that only their number counts, so the interval times n
    /// is the same whatever n is, and holds zero as the test of it does (z = sqrt(3)).
    #[test]
    fn an_interval_of_few_events_does_not_depend_on_how_many_had_none() {
        let of = |n: f64| {
            let (t, c) = (Proportion { x: 9.0, n }, Proportion { x: 3.0, n });
            let z = z_difference(&t, &c, 0.0).unwrap();
            let found = difference_interval(&t, &c, 0.05).unwrap();
            assert!((z - 3.0_f64.sqrt()).abs() < 1e-4, "{n}: {z}");
            // From the other end, as far as shares next to 1 can hold it.
            let misses = |arm: Proportion| Proportion { x: n - arm.x, n };
            let mirrored = difference_interval(&misses(c), &misses(t), 0.05).unwrap();
            let apart = (mirrored.lo - found.lo).abs() * n;
            assert!(n > 1.0e9 || apart < 1e-4, "{n}: {mirrored:?} {found:?}");
            (found.lo * n, found.hi * n)
        };
        let (lo, hi) = of(1.0e6);
        assert!(lo < 0.0 && 14.0 < hi && hi < 15.0, "{lo} {hi}");
        for n in [1.0e7, 1.0e9, 1.0e12, 9_007_199_254_740_992.0] {
            let found = of(n);
            let is_same = (found.0 - lo).abs() < 1e-4 && (found.1 - hi).abs() < 1e-4;
            assert!(is_same, "{n}: {found:?}, not {lo} {hi}");
        }
    }

    /// No event at all: neither arm is the better one.
    #[test]
    fn nothing_against_nothing_is_symmetric() {
        for n in [1.0, 10.0, 1.0e6, 1.0e12] {
            let none = Proportion { x: 0.0, n };
            let found = difference_interval(&none, &none, 0.05).unwrap();
            assert!((found.lo + found.hi).abs() < 1e-9, "{n}: {found:?}");
        }
    }
}
