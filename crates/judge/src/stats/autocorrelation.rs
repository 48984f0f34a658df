//! Dependence of a series on its own past.
//!
//! Place in the line: diagnostics beside the block method, and the block length of a bootstrap.
//!
//! Formulas: autocovariance `g_k = sum (x_i - m)(x_{i+k} - m)/n`; Ljung & Box (1978)
//! `n(n+2) sum r_k^2/(n-k)`; Durbin-Watson on residuals; long-run variance with Bartlett weights
//! (Newey & West 1987); automatic block length of Politis & White (2004) as corrected by Patton,
//! Politis & White (2009).
//! Assumptions: regular steps, no gaps. Invariant: `None` for series without variance or too short.

use super::special::chi_square_sf;

/// Autocovariances of lags 0 to `lags`, divided by n.
#[must_use]
pub fn autocovariance(x: &[f64], lags: usize) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().map(|v| v / n).sum::<f64>();
    let gaps: Vec<f64> = x.iter().map(|v| v - mean).collect();
    (0..=lags)
        .map(|lag| gaps.iter().zip(gaps.iter().skip(lag)).map(|(a, b)| a * b).sum::<f64>() / n)
        .collect()
}

/// Autocorrelation at one lag; `None` without variance.
#[must_use]
pub fn autocorrelation(x: &[f64], lag: usize) -> Option<f64> {
    let covariance = autocovariance(x, lag);
    let r = covariance[lag] / covariance[0];
    r.is_finite().then_some(r)
}

/// A Ljung-Box test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LjungBox {
    /// The statistic.
    pub statistic: f64,
    /// Upper-tail p, chi-square with as many degrees of freedom as lags.
    pub p: f64,
}

/// Ljung-Box test of no autocorrelation up to `lags`; `None` if the series is too short.
#[must_use]
pub fn ljung_box(x: &[f64], lags: usize) -> Option<LjungBox> {
    if lags == 0 || x.len() <= lags + 1 {
        return None;
    }
    let n = x.len() as f64;
    let covariance = autocovariance(x, lags);
    let sum: f64 = (1..=lags)
        .map(|lag| {
            let r = covariance[lag] / covariance[0];
            r * r / (n - lag as f64)
        })
        .sum();
    let statistic = n * (n + 2.0) * sum;
    statistic.is_finite().then(|| LjungBox { statistic, p: chi_square_sf(statistic, lags as f64) })
}

/// Durbin-Watson statistic of residuals; `None` when all are 0.
#[must_use]
pub fn durbin_watson(residuals: &[f64]) -> Option<f64> {
    let top: f64 = residuals.windows(2).map(|w| (w[1] - w[0]) * (w[1] - w[0])).sum();
    let bottom: f64 = residuals.iter().map(|e| e * e).sum();
    let ratio = top / bottom;
    ratio.is_finite().then_some(ratio)
}

/// Long-run variance with Bartlett weights `1 - k/(bandwidth+1)`.
#[must_use]
pub fn bartlett_long_run_variance(x: &[f64], bandwidth: usize) -> Option<f64> {
    let lags = bandwidth.min(x.len().checked_sub(1)?);
    let covariance = autocovariance(x, lags);
    let tail: f64 =
        (1..=lags).map(|k| (1.0 - k as f64 / (bandwidth as f64 + 1.0)) * covariance[k]).sum();
    let total = covariance[0] + 2.0 * tail;
    total.is_finite().then_some(total)
}

/// Automatic block lengths for a bootstrap of the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BlockLength {
    /// For the stationary bootstrap (mean of geometric lengths).
    pub stationary: f64,
    /// For the circular block bootstrap.
    pub circular: f64,
}

/// Politis-White block lengths; `None` below 8 points or without variance.
#[must_use]
pub fn politis_white(x: &[f64]) -> Option<BlockLength> {
    if x.len() < 8 {
        return None;
    }
    let n = x.len() as f64;
    let window = 5.max(libm::log10(n) as usize);
    let most = (libm::ceil(n.sqrt()) as usize + window).min(x.len() - 2);
    let covariance = autocovariance(x, most);
    let significant = 2.0 * (libm::log10(n) / n).sqrt();
    let correlations = windowed_correlations(x, most);
    let quiet = (0..=most.saturating_sub(window))
        .find(|&start| correlations[start..start + window].iter().all(|r| *r < significant));
    let m = quiet.map_or(most, |lag| 2 * lag.max(1)).min(most);
    let (mut slope, mut level) = (0.0, covariance[0]);
    for (k, value) in covariance.iter().enumerate().take(m + 1).skip(1) {
        let share = k as f64 / m as f64;
        let taper = if share <= 0.5 { 1.0 } else { 2.0 * (1.0 - share) };
        slope += 2.0 * taper * k as f64 * value;
        level += 2.0 * taper * value;
    }
    let limit = libm::ceil((3.0 * n.sqrt()).min(n / 3.0));
    let length = |factor: f64| {
        let raw = libm::cbrt(2.0 * slope * slope / (factor * level * level)) * libm::cbrt(n);
        raw.is_finite().then(|| raw.min(limit))
    };
    Some(BlockLength { stationary: length(2.0)?, circular: length(4.0 / 3.0)? })
}

/// |correlation| of the series with its shift, each part normalised on its own overlap.
fn windowed_correlations(x: &[f64], most: usize) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().map(|v| v / n).sum::<f64>();
    let gaps: Vec<f64> = x.iter().map(|v| v - mean).collect();
    let squares = |part: &[f64]| part.iter().map(|g| g * g).sum::<f64>();
    (0..=most)
        .map(|lag| {
            let product: f64 = gaps[lag..].iter().zip(&gaps).map(|(a, b)| a * b).sum();
            let scale = squares(&gaps[lag + 1..]) * squares(&gaps[..gaps.len() - lag - 1]);
            product.abs() / scale.sqrt()
        })
        .collect()
}
