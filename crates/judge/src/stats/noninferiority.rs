//! Margins: "not worse than", by a shifted contrast.
//!
//! Place in the line: tolerance atoms and `no_worse_than` guardrails; the shifted contrast goes to
//! the engine ([`super::info_time`], one-sided, tau = margin) or to a fixed test.
//!
//! Formula (statistics 1.7): higher is better `z = (d + margin)/SE`, lower is better
//! `z = (d - margin)/SE` tested downwards. Equivalence (TOST, Schuirmann 1987): the larger of both
//! p-values. Relative margins are converted by the caller at the aim's baseline, a constant.
//! Assumption: the margin is fixed before data. Invariant: a margin is used by its size.

use super::Contrast;
use super::info_time::{half_width_one_sided, log_e_one_sided};

/// Which direction of the signal is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Higher is better.
    Higher,
    /// Lower is better.
    Lower,
}

/// The contrast turned so that positive means "inside the margin".
#[must_use]
pub fn inside_margin(contrast: Contrast, margin: f64, better: Better) -> Contrast {
    let good = match better {
        Better::Higher => contrast,
        Better::Lower => contrast.mirrored(),
    };
    good.minus(-margin.abs())
}

/// Log e-value of "worse by the margin or more", valid at every look; tau is the margin.
#[must_use]
pub fn log_e(contrast: Contrast, margin: f64, better: Better) -> f64 {
    let shifted = inside_margin(contrast, margin, better);
    log_e_one_sided(shifted.estimate, shifted.se, margin.abs())
}

/// The bad-side bound of the effect (good direction positive), valid at every look.
///
/// Inside the margin when above `-margin`.
#[must_use]
pub fn bad_side_bound(contrast: Contrast, margin: f64, better: Better, alpha: f64) -> f64 {
    let good = match better {
        Better::Higher => contrast.estimate,
        Better::Lower => -contrast.estimate,
    };
    super::bounded(good - half_width_one_sided(contrast.se, margin.abs(), alpha))
}

/// p of equivalence within ±margin from the two one-sided p-values.
#[must_use]
pub fn tost(p_not_below: f64, p_not_above: f64) -> f64 {
    p_not_below.max(p_not_above)
}
