//! Special functions, accurate at the counts a daemon meets (up to 2^53).
//!
//! Place in the line: every test of `stats` stands on these. They are our own where the usual
//! library loses digits: differences of log-gammas cancel catastrophically at counts of 1e9, so
//! the deviance form of Loader (2000, "Fast and accurate computation of binomial probabilities")
//! is used throughout: `ln Gamma(x) = (x - 1/2) ln x - x + ln(2 pi)/2 + stirling_error(x)`, with
//! the large terms combined symbolically before any number is computed.
//!
//! Invariants: pure functions of their arguments; outside its domain a function gives its limit
//! value, or NaN where its documentation says so (callers inside `stats` check before they call).

mod beta;
mod gamma;
mod normal;
mod student;

pub use beta::{betainc, binom_cdf, binom_pmf, binom_sf, ln_binom_pmf};
pub use gamma::{
    chi_square_sf, deviance, gamma_p, gamma_q, ln_beta, ln_gamma, poisson_cdf, poisson_pmf,
    poisson_sf, stirling_error,
};
pub use normal::{ln_phi, norm_cdf, norm_isf, norm_pdf, norm_quantile, norm_sf};
pub use student::{t_cdf, t_isf, t_quantile, t_sf};

/// `ln(2 pi) / 2`.
pub const HALF_LN_TWO_PI: f64 = 0.918_938_533_204_672_8;
