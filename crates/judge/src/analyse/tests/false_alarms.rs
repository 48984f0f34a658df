//! Nothing changes, everybody peeks: how often does any look say that something did?
//!
//! A small seeded version of the A/A runs: 200 paths of 60 looks, the carry handed on as the
//! daemon does. The share of paths with a change shown at any look stays at or below
//! alpha + 2 Monte Carlo standard errors: .05 + 2 sqrt(.05 x .95/200) = .081. The naive test
//! (|z| > 1.96 at every look) on the same paths must fail clearly, or the paths prove nothing.

use crate::analyse::fixtures::*;
use crate::analyse::{SignalState, analyse};
use crate::observe::Observation;
use crate::record::LookInput;
use crate::spec::{Amount, Baseline, Compare, Form, Role, Side, Want};

const PATHS: u64 = 200;
const LOOKS: u32 = 60;

/// SplitMix64: a small generator whose stream is the same everywhere.
struct Stream(u64);

impl Stream {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn hits(&mut self, n: u32, p: f64) -> f64 {
        (0..n).filter(|_| self.next() < p).count() as f64
    }
}

fn look(compare: Compare, p: f64) -> LookInput {
    let mut outcome = signal("y", Role::Outcome, Form::Proportion, Want::Up);
    outcome.from = Some(Baseline::Stated(p));
    let rule = moves("y", Side::AtLeast, Amount::Relative(0.1));
    let mut experiment = experiment(compare, vec![outcome], rule);
    experiment.aims = vec![aim("y", p, 1.3 * p)];
    input(experiment, day(42), Vec::new())
}

/// Shares of paths with a change shown at any look: by the judge, and by the naive test.
fn alarms(compare: &Compare, p: f64, per_look: u32) -> (f64, f64) {
    let (mut judged, mut naive) = (0_u32, 0_u32);
    for path in 0..PATHS {
        let mut stream = Stream(path);
        let mut input = look(compare.clone(), p);
        let (mut held, mut treated, mut n) = (0.0, 0.0, 0.0);
        let (mut alarm, mut naive_alarm) = (false, false);
        for _ in 0..LOOKS {
            held += stream.hits(per_look, p);
            treated += stream.hits(per_look, p);
            n += f64::from(per_look);
            let seen: Observation = match compare {
                Compare::Arms { .. } => two_arms((held, n), (treated, n), day(42)),
                _ => one(treated, n, day(42)),
            };
            input.observations.insert("y".to_owned(), seen);
            let analysis = analyse(&input, false);
            let state = analysis.signals[0].state;
            alarm |= matches!(
                state,
                SignalState::Harm | SignalState::Met | SignalState::Moving | SignalState::Short
            );
            let (gap, arms) = match compare {
                Compare::Arms { .. } => (treated - held, 2.0),
                _ => (treated - n * p, 1.0),
            };
            let z = gap / (arms * n * p * (1.0 - p)).sqrt();
            naive_alarm |= z.abs() > 1.96;
            input.carry = analysis.carry;
        }
        judged += u32::from(alarm);
        naive += u32::from(naive_alarm);
    }
    let share = |count: u32| f64::from(count) / PATHS as f64;
    (share(judged), share(naive))
}

#[test]
fn peeking_keeps_its_promise_in_every_counted_design() {
    let designs = [
        ("two arms", arms(), 0.30, 40),
        ("rare events", arms(), 0.002, 50),
        ("stated baseline", Compare::Baseline, 0.27, 40),
    ];
    for (name, compare, p, per_look) in designs {
        let (judged, naive) = alarms(&compare, p, per_look);
        assert!(judged <= 0.081, "{name}: {judged}");
        assert!(naive >= 0.15, "{name}: the naive test alarms in only {naive}");
    }
}
