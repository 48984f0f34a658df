//! The method behind a number: its title and name, the planned look, and what must hold.

use crate::analyse::{Evidence, PlannedLook};
use crate::spec::LookPlan;

/// `Welch's t test (welch), look 2 on 50 % of the planned information, bound 2.37; assumes
/// independent units; means nearly normal`.
pub fn method_line(evidence: &Evidence) -> String {
    let about = evidence.method.about();
    let look = evidence.planned.map(|look| planned_words(&look)).unwrap_or_default();
    let phi =
        evidence.phi.map_or_else(String::new, |phi| format!(", errors widened by phi {phi:.2}"));
    let assumed = if evidence.assumptions.is_empty() {
        about.assumes.to_owned()
    } else {
        evidence.assumptions.join("; ")
    };
    format!("{} ({}){look}{phi}; assumes {assumed}", about.title, about.name)
}

fn planned_words(look: &PlannedLook) -> String {
    let on = format!("on the data of {}", look.judged_at);
    match look.plan {
        LookPlan::Always => String::new(),
        LookPlan::Once => format!(", the one planned look, {on}"),
        LookPlan::Weekly(_) => {
            let share = 100.0 * look.fraction;
            let over = if look.overrun { ", overrun" } else { "" };
            format!(
                ", planned look {} {on}: {share:.0} % of the planned information, \
                 bound {:.2}{over}",
                look.looks, look.bound
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::evidence;

    #[test]
    fn a_planned_look_says_which_one_and_what_it_may_spend() {
        let mut evidence = evidence(0.004, -0.012, 0.02);
        assert_eq!(
            method_line(&evidence),
            "information-time confidence sequence (information_time); assumes independent units; \
             normal approximation"
        );
        let look = PlannedLook {
            plan: LookPlan::Weekly(4),
            judged_at: "2026-06-15T00:00:00Z".parse().unwrap(),
            looks: 2,
            fraction: 0.5,
            bound: 2.368,
            alpha: 0.018,
            overrun: false,
        };
        evidence.planned = Some(look);
        let line = method_line(&evidence);
        let wanted = "planned look 2 on the data of 2026-06-15T00:00:00Z: 50 % of the planned \
                      information, bound 2.37;";
        assert!(line.contains(wanted), "{line}");
        evidence.planned = Some(PlannedLook { overrun: true, ..look });
        assert!(method_line(&evidence).contains("bound 2.37, overrun;"));
        evidence.planned = Some(PlannedLook { plan: LookPlan::Once, ..look });
        assert!(method_line(&evidence).contains(", the one planned look, on the data of 2026"));
    }
}
