//! Fixed-horizon tests: valid at one planned look only.
//!
//! Place in the line: `look: once` (evaluated at the review date, later looks repeat the stored
//! result) and displays. The always-valid methods are the default.
//!
//! Invariants: a test that is 0/0 on the data (no variance, no events) answers `None`, never NaN;
//! tails are survival functions, never `1 - cdf`.

pub mod block_t;
pub mod fisher;
pub mod mann_whitney;
pub mod poisson_rates;
pub mod score;
pub mod two_proportion;
pub mod welch;

use super::special::{norm_cdf, norm_sf};

/// Which alternative a p-value speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alternative {
    /// Different in either direction.
    TwoSided,
    /// Treatment larger.
    Greater,
    /// Treatment smaller.
    Less,
}

/// The p-value of a normal statistic.
#[must_use]
pub fn z_p(z: f64, alternative: Alternative) -> f64 {
    match alternative {
        Alternative::TwoSided => (2.0 * norm_sf(z.abs())).min(1.0),
        Alternative::Greater => norm_sf(z),
        Alternative::Less => norm_cdf(z),
    }
}
