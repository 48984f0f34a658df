//! Student's t on the block means of a series.
//!
//! Place in the line: `look: once` for values in arms or against a level, and every planned look
//! (`weekly`) of a value. The always-valid form is [`super::super::blocks`].
//!
//! Formula (statistics 1.5; Schmeiser 1982): block means are nearly independent, so the mean of
//! `k` of them has variance `s^2/k` with `k - 1` degrees of freedom; two periods share the pooled
//! `s^2 = ((k0-1) s0^2 + (k1-1) s1^2)/(k0+k1-2)`. Assumptions: stationary apart from the change,
//! blocks long enough (lag-1 of their means at most 0.1). Invariants: variances finite, `None`
//! below two blocks.

use super::super::bounded;

/// Block means of one period, or of paired differences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockSums {
    /// Mean of the block means.
    pub mean: f64,
    /// Their standard deviation, `k - 1` in the denominator.
    pub sd: f64,
    /// How many.
    pub count: f64,
}

impl BlockSums {
    /// Variance of the mean and its degrees of freedom; `None` below two blocks.
    #[must_use]
    pub fn one_sample(&self) -> Option<(f64, f64)> {
        let usable = self.count >= 2.0 && self.count.is_finite();
        usable.then(|| (bounded(self.sd * self.sd / self.count), self.count - 1.0))
    }
}

/// Pooled variance of one block mean over two periods and its degrees of freedom.
#[must_use]
pub fn pooled(later: &BlockSums, before: &BlockSums) -> Option<(f64, f64)> {
    let df = later.count + before.count - 2.0;
    if !(later.count >= 2.0 && before.count >= 2.0 && df.is_finite()) {
        return None;
    }
    let squares = |side: &BlockSums| (side.count - 1.0) * side.sd * side.sd;
    Some((bounded((squares(later) + squares(before)) / df), df))
}
