//! One plain sentence for what an atom needs.

use super::{AtomPlan, EffectFrom, Unknown};
use crate::prose::{count, format_change};
use crate::spec::{AtomKind, at_threshold};

/// "+8.0 pts, your aim, needs about 1,010 per arm for 80 %; ..."
pub fn sentence(plan: &AtomPlan, power: f64, units_per_week: Option<f64>) -> String {
    if let Some(unknown) = plan.unknown {
        return format!("{}.", missing(unknown, &plan.signal));
    }
    let change = |value: f64| change_words(plan, value);
    let effect = plan.effect.unwrap_or_default();
    let percent = format!("{:.0} %", power * 100.0);
    let whose = match plan.effect_from {
        EffectFrom::Aim => ", your aim,",
        EffectFrom::Threshold => ", your threshold,",
        EffectFrom::NoChange => "",
    };
    let subject = match plan.effect_from {
        EffectFrom::NoChange => "to show that nothing got worse".to_owned(),
        _ => format!("{}{whose}", change(effect)),
    };
    let mut parts = match plan.needed {
        Some(needed) => {
            let verb = if plan.effect_from == EffectFrom::NoChange { "takes" } else { "needs" };
            vec![format!("{subject} {verb} about {} for {percent}", units(plan, needed))]
        }
        None if plan.kind == AtomKind::Movement && below_threshold(plan) => {
            vec![format!("{subject} is below the rule's own threshold: no size helps")]
        }
        None if plan.kind == AtomKind::Movement && only_at_threshold(plan) => {
            vec![format!("{subject} {}", at_threshold_words(plan))]
        }
        None => vec![format!("{subject} cannot be found with {percent} at any size")],
    };
    parts.extend(time(plan, units_per_week));
    if let Some(chance) = plan.chance {
        parts.push(format!("the chance at your checkpoint is {}", chance_words(chance)));
    }
    let threshold = plan.threshold.filter(|_| {
        plan.kind == AtomKind::Movement && plan.needed.is_some() && !only_at_threshold(plan)
    });
    if let Some(threshold) = threshold {
        let words = at_threshold_words(plan);
        parts.push(if threshold == 0.0 {
            format!("no effect at all {words}")
        } else {
            format!("an effect of exactly {} {words}", change(threshold))
        });
    }
    format!("{}.", parts.join("; "))
}

/// A change in good direction, with the sign that the file would write.
pub fn change_words(plan: &AtomPlan, change: f64) -> String {
    let (form, unit) = &plan.shown_as;
    format_change(change * plan.sign, false, *form, unit.as_deref())
}

/// A chance in whole per cent; nothing is certain and nothing impossible.
pub fn chance_words(chance: f64) -> String {
    match chance {
        chance if chance >= 0.995 => "over 99 %".to_owned(),
        chance if chance < 0.005 => "below 1 %".to_owned(),
        chance => format!("{:.0} %", chance * 100.0),
    }
}

/// Whether the effect is no larger than the threshold: more units do not help.
fn only_at_threshold(plan: &AtomPlan) -> bool {
    plan.effect.zip(plan.threshold).is_some_and(|(effect, threshold)| effect <= threshold)
}

fn below_threshold(plan: &AtomPlan) -> bool {
    plan.effect.zip(plan.threshold).is_some_and(|(effect, threshold)| effect < threshold)
}

fn at_threshold_words(plan: &AtomPlan) -> String {
    let threshold = plan.threshold.unwrap_or_default();
    at_threshold(plan.evidence, threshold, plan.at_threshold, plan.alpha)
}

fn units(plan: &AtomPlan, needed: f64) -> String {
    size_words(needed, &plan.split, |units| count(rounded(units)))
}

/// Units over all arms in words: per arm where the arms are alike, else each and the whole.
pub(crate) fn size_words(
    needed: f64,
    split: &[(String, f64)],
    shown: impl Fn(f64) -> String,
) -> String {
    match split {
        [] => format!("{} units", shown(needed)),
        [first, rest @ ..] if rest.iter().all(|arm| (arm.1 - first.1).abs() < 1e-9) => {
            format!("{} per arm", shown(needed * first.1))
        }
        arms => {
            let each: Vec<String> = arms
                .iter()
                .map(|(arm, share)| format!("{} in `{arm}`", shown(needed * share)))
                .collect();
            format!("{} units in all, {},", shown(needed), each.join(" and "))
        }
    }
}

/// Two significant digits are all that a plan can promise; small numbers stay whole.
fn rounded(n: f64) -> f64 {
    if n < 100.0 {
        return libm::ceil(n);
    }
    let unit = libm::pow(10.0, libm::floor(libm::log10(n)) - 1.0);
    (n / unit).round() * unit
}

fn time(plan: &AtomPlan, units_per_week: Option<f64>) -> Option<String> {
    plan.needed?;
    let Some(rate) = units_per_week else {
        return Some("`plan: {units_per_week: ...}` would say how long that takes".to_owned());
    };
    let (needed, planned) = (plan.days_needed?, plan.days_planned);
    let and = if needed > planned { "and your date is in" } else { "in time for your date in" };
    Some(format!("at {} a week that is {}, {and} {}", count(rate), span(needed), span(planned)))
}

/// Weeks from two weeks on, else days.
fn span(days: f64) -> String {
    if days < 14.0 {
        let days = libm::ceil(days);
        return if days == 1.0 { "1 day".to_owned() } else { format!("{days:.0} days") };
    }
    format!("{:.0} weeks", libm::ceil(days / 7.0 - 1e-9))
}

fn missing(unknown: Unknown, signal: &str) -> String {
    match unknown {
        Unknown::NoBaseline => {
            format!("`{signal}` has no known `from`: the size cannot be planned")
        }
        Unknown::NoSpread => {
            format!(
                "`{signal}` is a mean or ratio: say how far units lie apart, --spread {signal}=SD"
            )
        }
        Unknown::Series => {
            format!("`{signal}` is a series: its noise shows in its history, not in a plan")
        }
        Unknown::Exposure => {
            format!("`{signal}` is a rate: its exposure is not planned in units")
        }
    }
}
