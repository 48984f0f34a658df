//! What becomes of an effect that lies exactly at the threshold of a change.
//!
//! Statistics 1.6: it is the evidence mode that says how often such an effect passes. Said beside
//! a plan, because people take the threshold for the effect that is found.

use super::model::EvidenceMode;

/// "would pass about half the time at any size", or what is true instead.
///
/// `threshold` is in good direction, `chance` the chance at the size in question, if that is
/// known, `alpha` the error rate of the two-sided test.
pub(crate) fn at_threshold(
    evidence: EvidenceMode,
    threshold: f64,
    chance: Option<f64>,
    alpha: f64,
) -> String {
    let percent = |share: f64| {
        let text = format!("{:.1}", 100.0 * share);
        text.strip_suffix(".0").unwrap_or(&text).to_owned()
    };
    let half = "would pass about half the time at any size".to_owned();
    match evidence {
        EvidenceMode::Point => half,
        EvidenceMode::NotRefuted => {
            format!("would pass with {} % at least, at any size", percent(1.0 - alpha))
        }
        EvidenceMode::Significant if threshold > 0.0 => match chance {
            // Where "no change" is not excluded yet, the threshold is not what decides.
            Some(chance) if chance < 0.45 => {
                format!("would pass with {} % then, about half the time at best", whole(chance))
            }
            _ => half,
        },
        EvidenceMode::Proven | EvidenceMode::Significant => {
            format!("would pass with {} % at most, at any size", percent(alpha))
        }
    }
}

fn whole(chance: f64) -> String {
    if chance < 0.005 { "less than 1".to_owned() } else { format!("{:.0}", 100.0 * chance) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_evidence_has_its_own_truth() {
        let words = |evidence, threshold, chance| at_threshold(evidence, threshold, chance, 0.05);
        let half = "would pass about half the time at any size";
        assert_eq!(words(EvidenceMode::Significant, 0.03, Some(0.5)), half);
        assert_eq!(words(EvidenceMode::Significant, 0.03, None), half);
        assert_eq!(words(EvidenceMode::Point, 0.0, Some(0.1)), half);
        let early = words(EvidenceMode::Significant, 0.03, Some(0.123));
        assert_eq!(early, "would pass with 12 % then, about half the time at best");
        let nothing = "would pass with 5 % at most, at any size";
        assert_eq!(words(EvidenceMode::Significant, 0.0, Some(0.02)), nothing);
        assert_eq!(words(EvidenceMode::Proven, 0.03, Some(0.02)), nothing);
        let often = at_threshold(EvidenceMode::NotRefuted, 0.03, Some(0.97), 0.025);
        assert_eq!(often, "would pass with 97.5 % at least, at any size");
    }
}
