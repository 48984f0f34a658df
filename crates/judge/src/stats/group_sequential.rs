//! Group-sequential bounds by alpha spending.
//!
//! Place in the line: `look: weekly xK`, when a planned sample is known and few looks are taken.
//!
//! Formula (statistics 1.2; Lan & DeMets 1983, Armitage, McPherson & Rowe 1969): spending
//! `alpha(t) = alpha/sides t^phi` (phi 2 the default, 1 near Pocock, 3 near O'Brien-Fleming); with
//! `f_1 = N(0, t_1)`, `f_k(y) = Int_{-inf}^{b_{k-1}} f_{k-1}(u) N(y-u; dt_k) du`, `b_k` solves
//! `Int f_{k-1}(u) sf((b_k-u)/sqrt(dt_k)) du = alpha(t_k) - alpha(t_{k-1})`, `z_k = b_k/sqrt(t_k)`.
//! Integrals by Simpson's rule on a grid finer than a twelfth of the smallest step's sd; only the
//! upper bound is integrated (two-sided tests halve alpha).
//!
//! Assumptions: independent increments in information. Increments up to 1e-5 and overruns (t > 1)
//! reuse the previous bound: no alpha is left for them. Invariants: one finite bound per look, at
//! most 8.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::special::{norm_pdf, norm_sf};
use super::{Sides, is_alpha};

/// Further away than this many of its sds a step's density adds nothing to a sum.
const REACH: f64 = 10.0;
/// Bounds and grids are truncated here, in sds.
const TRUNCATION: f64 = 8.0;
/// Information increments up to this size reuse the previous bound.
pub const MIN_INCREMENT: f64 = 1.0e-5;
const POINTS_PER_SD: f64 = 12.0;

/// The sub-density of the score process below all bounds so far, on an even grid.
struct Grid {
    low: f64,
    step: f64,
    density: Vec<f64>,
}

impl Grid {
    /// Grid over `[-8 sqrt(t), b]` with an even number of steps no wider than `width`.
    fn span(t: f64, b: f64, width: f64) -> (f64, f64, usize) {
        let low = -TRUNCATION * t.sqrt();
        let wide = (b - low).max(width);
        let steps = (2.0 * libm::ceil(0.5 * wide / width)) as usize;
        (low, wide / steps as f64, steps)
    }

    /// Simpson sum of `density * f` over the points from `low` to `high`, outside of which `f` is
    /// nothing: looks a hair apart have grids of ten thousands of points and steps of a few.
    fn integrate(&self, (low, high): (f64, f64), f: impl Fn(f64) -> f64) -> f64 {
        let last = self.density.len() - 1;
        let place = |u: f64| ((u - self.low) / self.step).clamp(0.0, last as f64);
        let from = libm::floor(place(low)) as usize;
        let to = libm::ceil(place(high)) as usize;
        let sum: f64 = self
            .density
            .iter()
            .enumerate()
            .take(to + 1)
            .skip(from)
            .map(|(i, density)| {
                let weight = match i {
                    0 => 1.0,
                    i if i == last => 1.0,
                    i if i % 2 == 1 => 4.0,
                    _ => 2.0,
                };
                weight * density * f(self.low + self.step * i as f64)
            })
            .sum();
        sum * self.step / 3.0
    }
}

/// Answers that one thread remembers: an experiment asks the same question for every test of every
/// look until more information is in.
const REMEMBERED: usize = 64;

#[derive(Clone, PartialEq)]
struct Asked {
    fractions: Vec<u64>,
    alpha: u64,
    sides: Sides,
    phi: u64,
}

thread_local! {
    static ANSWERS: RefCell<VecDeque<(Asked, Vec<f64>)>> = const { RefCell::new(VecDeque::new()) };
}

/// [`bounds`], which costs milliseconds, remembered for questions asked before: the same numbers.
#[must_use]
pub fn bounds_again(fractions: &[f64], alpha: f64, sides: Sides, phi: f64) -> Vec<f64> {
    let bits = fractions.iter().map(|fraction| fraction.to_bits()).collect();
    let asked = Asked { fractions: bits, alpha: alpha.to_bits(), sides, phi: phi.to_bits() };
    ANSWERS.with_borrow_mut(|answers| {
        if let Some((_, known)) = answers.iter().find(|(question, _)| *question == asked) {
            return known.clone();
        }
        let found = bounds(fractions, alpha, sides, phi);
        answers.truncate(REMEMBERED - 1);
        answers.push_front((asked, found.clone()));
        found
    })
}

/// z bounds for looks at the given information fractions (increasing), spending power `phi` > 0.
///
/// Empty when alpha or phi is unusable.
#[must_use]
pub fn bounds(fractions: &[f64], alpha: f64, sides: Sides, phi: f64) -> Vec<f64> {
    let usable = is_alpha(alpha) && phi > 0.0 && phi.is_finite();
    if !usable {
        return Vec::new();
    }
    let total = if sides == Sides::Two { 0.5 * alpha } else { alpha };
    let spent = |t: f64| total * libm::pow(t, phi);
    let times: Vec<f64> = fractions.iter().map(|t| clip(*t)).collect();
    let mut found: Vec<f64> = Vec::with_capacity(times.len());
    let (mut before, mut grid): (f64, Option<Grid>) = (0.0, None);
    for (k, t) in times.iter().copied().enumerate() {
        if t - before <= MIN_INCREMENT {
            found.push(found.last().copied().unwrap_or(TRUNCATION));
            continue;
        }
        let dt = t - before;
        let target = spent(t) - spent(before);
        let b = solve(grid.as_ref(), t, dt, target);
        // The next look that moves information decides how fine this density must be.
        let next = times[k + 1..].iter().copied().find(|later| later - t > MIN_INCREMENT);
        if let Some(next) = next {
            let width = dt.min(next - t).sqrt() / POINTS_PER_SD;
            grid = Some(advance(grid.as_ref(), t, dt, b, width));
        }
        found.push(b / t.sqrt());
        before = t;
    }
    found
}

fn clip(t: f64) -> f64 {
    if t.is_nan() { 0.0 } else { t.clamp(0.0, 1.0) }
}

/// The bound `b` whose crossing probability at this look is `target`.
fn solve(grid: Option<&Grid>, t: f64, dt: f64, target: f64) -> f64 {
    let sd = dt.sqrt();
    let exceed = |b: f64| match grid {
        None => norm_sf(b / sd),
        Some(grid) => grid.integrate((b - REACH * sd, f64::INFINITY), |u| norm_sf((b - u) / sd)),
    };
    let edge = TRUNCATION * t.sqrt();
    let (mut lo, mut hi) = (-edge, edge);
    for _ in 0..60 {
        let mid = 0.5 * (lo + hi);
        if exceed(mid) > target {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    0.5 * (lo + hi)
}

/// The density after this look, below the bound.
fn advance(grid: Option<&Grid>, t: f64, dt: f64, b: f64, width: f64) -> Grid {
    let (low, step, steps) = Grid::span(t, b, width);
    let sd = dt.sqrt();
    let density = (0..=steps)
        .map(|i| {
            let y = low + step * i as f64;
            match grid {
                None => norm_pdf(y / sd) / sd,
                Some(grid) => {
                    let near = (y - REACH * sd, y + REACH * sd);
                    grid.integrate(near, |u| norm_pdf((y - u) / sd)) / sd
                }
            }
        })
        .collect();
    Grid { low, step, density }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A week in which hardly anybody came: a grid of forty thousand points, cheap to cross, and
    /// the bounds of the looks around it are those of a plan without the hair's breadth.
    #[test]
    fn looks_a_hair_apart_are_cheap_and_change_nothing() {
        let near = bounds(&[0.3, 0.300_02, 0.300_05, 0.5, 1.0], 0.05, Sides::Two, 2.0);
        let plain = bounds(&[0.3, 0.5, 1.0], 0.05, Sides::Two, 2.0);
        for (one, other) in [(near[0], plain[0]), (near[3], plain[1]), (near[4], plain[2])] {
            assert!((one - other).abs() < 2e-3, "{near:?} {plain:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_what_was_found() {
        let asked: Vec<Vec<f64>> = (1..=70).map(|k| vec![f64::from(k) / 100.0, 1.0]).collect();
        for _ in 0..2 {
            for fractions in &asked {
                for sides in [Sides::One, Sides::Two] {
                    let again = bounds_again(fractions, 0.05, sides, 2.0);
                    assert_eq!(again, bounds(fractions, 0.05, sides, 2.0));
                }
            }
        }
        assert!(ANSWERS.with_borrow(VecDeque::len) <= REMEMBERED);
    }
}
