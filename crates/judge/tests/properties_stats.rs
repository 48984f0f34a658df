//! Laws the statistics must obey on every input, and the published figures they must reproduce.
//!
//! Place in the line: beside `vectors.rs` (numbers of other libraries) these are the laws no
//! sample of numbers can show: totality, symmetry, invariance, calibration.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a missing answer must end the test; simulations print their rates"
)]

#[path = "properties_stats/calibration.rs"]
mod calibration;
#[path = "properties_stats/figures.rs"]
mod figures;
#[path = "properties_stats/laws.rs"]
mod laws;
#[path = "properties_stats/series.rs"]
mod series;
#[path = "properties_stats/total.rs"]
mod total;

/// A small deterministic generator, so that simulations repeat exactly.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Standard normal.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        radius * libm::cos(2.0 * core::f64::consts::PI * self.uniform())
    }
}
