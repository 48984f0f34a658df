//! Planned looks: `once` and `weekly`, with expected numbers from the formulas' own references.

use crate::analyse::fixtures::*;
use crate::analyse::{Analysis, MethodName, SignalState, Truth, UnknownWhy, analyse};
use crate::observe::{Blocks, Observation, Sample, Steps};
use crate::points::{ALL, Sums};
use crate::record::{Carry, LookInput};
use crate::spec::{
    Amount, Baseline, Compare, EvidenceMode, Experiment, Form, LookPlan, Role, Side, Want,
};
use crate::stats::Interval;
use crate::stats::binomial::clopper_pearson;
use crate::stats::fixed::Alternative;
use crate::stats::fixed::poisson_rates::rate_exact;
use crate::stats::fixed::two_proportion::newcombe;
use crate::stats::two_arm::{Count, Proportion};
use crate::time::Timestamp;

fn near(got: f64, wanted: f64, tolerance: f64) {
    assert!((got - wanted).abs() <= tolerance, "{got} is not {wanted}");
}

fn planned(look: LookPlan, compare: Compare, form: Form, amount: Amount) -> Experiment {
    let outcome = signal("y", Role::Outcome, form, Want::Up);
    let mut experiment = experiment(compare, vec![outcome], moves("y", Side::AtLeast, amount));
    experiment.checkpoint.look = look;
    experiment.units_per_week = Some(2000.0);
    experiment
}

fn shares(look: LookPlan) -> Experiment {
    let mut experiment = planned(look, arms(), Form::Proportion, Amount::Absolute(0.03));
    experiment.aims = vec![aim("y", 0.27, 0.35)];
    experiment
}

/// One look after another, with the carry of the one before.
struct Run {
    experiment: Experiment,
    carry: Carry,
}

impl Run {
    fn new(experiment: Experiment) -> Self {
        Self { experiment, carry: Carry::new() }
    }

    fn look(&mut self, at: Timestamp, seen: Observation) -> Analysis {
        let mut look = input(self.experiment.clone(), at, vec![("y", seen)]);
        look.carry = self.carry.clone();
        let analysis = analyse(&look, at >= look.cycle.checkpoint_at);
        self.carry.clone_from(&analysis.carry);
        analysis
    }
}

fn at_the_end(experiment: Experiment, seen: Observation) -> Analysis {
    Run::new(experiment).look(day(42), seen)
}

fn method(analysis: &Analysis) -> MethodName {
    analysis.atoms[0].evidence.as_ref().unwrap().method
}

fn interval(analysis: &Analysis) -> Interval {
    analysis.atoms[0].evidence.as_ref().unwrap().interval
}

#[test]
fn once_waits_for_the_checkpoint_and_then_repeats_itself() {
    let mut run = Run::new(shares(LookPlan::Once));
    // A difference that any test would show, three weeks early.
    let early = run.look(day(21), two_arms((810.0, 3000.0), (1200.0, 3000.0), day(21)));
    assert_eq!(early.atoms[0].why, Some(UnknownWhy::NotNow));
    assert!(early.atoms[0].evidence.is_none(), "nothing is shown before the look");
    assert_eq!(state_of(&early, "y"), SignalState::TooEarly);
    let now = run.look(day(42), two_arms((1620.0, 6000.0), (1800.0, 6000.0), day(42)));
    assert_eq!((now.atoms[0].met, method(&now)), (Truth::True, MethodName::TwoProportion));
    assert_eq!(state_of(&now, "y"), SignalState::Met);
    // The data have turned; the answer is the stored one, to the last digit.
    let later = run.look(day(43), two_arms((1620.0, 6000.0), (1500.0, 6000.0), day(43)));
    assert_eq!(later.atoms, now.atoms);
    assert_eq!(later.signals[0].evidence, now.signals[0].evidence);
    // Harm looks at every day's own data.
    assert_ne!(later.harm[0].evidence.estimate, now.harm[0].evidence.estimate);
}

#[test]
fn once_shows_harm_at_any_look_by_the_always_valid_interval() {
    let mut run = Run::new(shares(LookPlan::Once));
    let early = run.look(day(14), two_arms((810.0, 3000.0), (500.0, 3000.0), day(14)));
    assert!(early.harm[0].harmful);
    assert_eq!(early.harm[0].evidence.method, MethodName::InformationTime);
    assert_eq!(early.harm[0].evidence.planned, None);
}

#[test]
fn a_spent_look_is_not_decidable_by_more_data() {
    let seen = two_arms((270.0, 1000.0), (305.0, 1000.0), day(42));
    let analysis = at_the_end(shares(LookPlan::Once), seen.clone());
    let atom = &analysis.atoms[0];
    assert_eq!((atom.met, atom.decidable), (Truth::Unknown, false));
    assert!(atom.needs_more.is_some(), "how many a new test would need is told");
    assert!(at_the_end(shares(LookPlan::Always), seen).atoms[0].decidable);
}

#[test]
fn two_shares_have_newcombes_interval_and_the_pooled_p() {
    // vectors/two_proportion.json has the same formulas against statsmodels.
    let seen = two_arms((1620.0, 6000.0), (1800.0, 6000.0), day(42));
    let analysis = at_the_end(shares(LookPlan::Once), seen);
    let (t, c) = (Proportion { x: 1800.0, n: 6000.0 }, Proportion { x: 1620.0, n: 6000.0 });
    let wanted = newcombe(&t, &c, 0.05).unwrap();
    near(interval(&analysis).lo, wanted.lo, 1e-9);
    near(interval(&analysis).hi, wanted.hi, 1e-9);
    // Pooled share 0.285: z = 0.03/sqrt(0.285 * 0.715 * 2/6000) = 3.640; 2 sf = 2.73e-4.
    near(analysis.atoms[0].evidence.as_ref().unwrap().p_seq, 2.73e-4, 5e-6);
    let look = analysis.atoms[0].evidence.as_ref().unwrap().planned.unwrap();
    assert_eq!((look.plan, look.looks, look.overrun), (LookPlan::Once, 1, false));
    near(look.bound, 1.959_963_984_540, 1e-9);
}

#[test]
fn sparse_shares_go_to_fisher_and_a_named_method_stays() {
    // 8 events in 2 x 100: expected four in each arm.
    let sparse = two_arms((0.0, 100.0), (8.0, 100.0), day(42));
    let mut experiment = shares(LookPlan::Once);
    let analysis = at_the_end(experiment.clone(), sparse.clone());
    assert_eq!(method(&analysis), MethodName::Fisher);
    // Hypergeometric: both tails 2 C(100,8)/C(200,8) = 0.00681 (the table is symmetric).
    let evidence = analysis.atoms[0].evidence.clone().unwrap();
    assert!(evidence.p_seq >= 0.0067, "Fisher's p: {}", evidence.p_seq);
    assert!(evidence.p_seq < 0.05);
    experiment.signals[0].method = Some(MethodName::Score);
    let analysis = at_the_end(experiment, sparse);
    assert_eq!(method(&analysis), MethodName::Score);
}

#[test]
fn stated_shares_and_rates_are_exact() {
    let mut experiment =
        planned(LookPlan::Once, Compare::Baseline, Form::Proportion, Amount::Absolute(0.03));
    experiment.signals[0].from = Some(Baseline::Stated(0.09));
    let analysis = at_the_end(experiment.clone(), one(23.0, 160.0, day(42)));
    assert_eq!(method(&analysis), MethodName::Binomial);
    let wanted = clopper_pearson(23.0, 160.0, 0.05, Alternative::TwoSided).unwrap();
    near(interval(&analysis).lo, wanted.lo - 0.09, 1e-9);
    near(interval(&analysis).hi, wanted.hi - 0.09, 1e-9);
    experiment.signals[0].method = Some(MethodName::Wilson);
    let analysis = at_the_end(experiment, one(23.0, 160.0, day(42)));
    assert_eq!(method(&analysis), MethodName::Wilson);

    let mut experiment =
        planned(LookPlan::Once, Compare::Baseline, Form::Rate, Amount::Absolute(0.001));
    experiment.signals[0].from = Some(Baseline::Stated(0.01));
    let sums = Sums::Rate { events: 24.0, exposure: 1000.0 };
    let seen = seen(vec![(ALL, sample(sums))], day(42));
    let analysis = at_the_end(experiment, seen);
    assert_eq!((method(&analysis), analysis.atoms[0].met), (MethodName::PoissonRate, Truth::True));
    let count = Count { events: 24.0, exposure: 1000.0 };
    let wanted = rate_exact(&count, 0.05).unwrap();
    near(interval(&analysis).lo, wanted.lo - 0.01, 1e-9);
    near(interval(&analysis).hi, wanted.hi - 0.01, 1e-9);
}

#[test]
fn uneven_stated_counts_leave_the_exact_test() {
    let mut experiment =
        planned(LookPlan::Once, Compare::Baseline, Form::Proportion, Amount::Absolute(0.03));
    experiment.signals[0].from = Some(Baseline::Stated(0.27));
    let uneven = Sample { phi: Some(4.0), ..share(640.0, 2000.0) };
    let analysis = at_the_end(experiment, seen(vec![(ALL, uneven)], day(42)));
    assert_eq!(method(&analysis), MethodName::Welch);
    assert_eq!(analysis.atoms[0].evidence.as_ref().unwrap().phi, Some(4.0));
    // 28 days in four weeks and the prior: 30 degrees of freedom, t(.975, 30) = 2.0423;
    // SE = sqrt(4 * 641/2002 * 1361/2002 / 2000) = 0.020865.
    near(interval(&analysis).lo, 0.05 - 2.0423 * 0.020_865, 1e-4);
}

#[test]
fn means_have_welchs_t() {
    let mean = |n: f64, mean: f64, sd: f64| {
        let sum_sq = sd * sd * (n - 1.0) + mean * mean * n;
        sample(Sums::Mean { n, sum: n * mean, sum_sq })
    };
    let experiment = planned(LookPlan::Once, arms(), Form::Mean, Amount::Relative(0.05));
    let seen = seen(
        vec![("control", mean(200.0, 10.0, 2.0)), ("treatment", mean(150.0, 11.0, 3.0))],
        day(42),
    );
    let analysis = at_the_end(experiment, seen);
    assert_eq!((method(&analysis), analysis.atoms[0].met), (MethodName::Welch, Truth::True));
    // t = 1/sqrt(9/150 + 4/200) = 3.5355, df = 0.08^2/(0.06^2/149 + 0.02^2/199) = 244.5.
    near(analysis.atoms[0].evidence.as_ref().unwrap().p_seq, 4.85e-4, 1e-5);
    assert!(interval(&analysis).lo > 0.0 && analysis.atoms[0].evidence.as_ref().unwrap().relative);
}

#[test]
fn levels_and_tolerances_are_judged_once_too() {
    let mut experiment = shares(LookPlan::Once);
    experiment.checkpoint.continue_when = at_level("y", 0.25);
    experiment.evidence = EvidenceMode::Proven;
    let mut run = Run::new(experiment);
    let seen = || two_arms((1620.0, 6000.0), (1800.0, 6000.0), day(42));
    assert_eq!(run.look(day(41), seen()).atoms[0].why, Some(UnknownWhy::NotNow));
    let now = run.look(day(42), seen());
    assert_eq!((now.atoms[0].met, method(&now)), (Truth::True, MethodName::Binomial));
    let mut experiment = shares(LookPlan::Once);
    let kind = crate::spec::AtomKind::Tolerance;
    experiment.checkpoint.continue_when = atom("y", kind, Side::AtLeast, Amount::Absolute(-0.02));
    let now = at_the_end(experiment, two_arms((1620.0, 6000.0), (1600.0, 6000.0), day(42)));
    // One-sided: -0.33 pts less 1.645 * 0.81 pts = -1.66 pts, inside two points.
    assert_eq!(now.atoms[0].met, Truth::True);
    near(interval(&now).lo, -0.0166, 2e-4);
}

fn blocks(mean: f64, sd: f64, count: u32) -> Sample {
    let blocks = Blocks { mean, sd, count, block_len: 5, lag1: 0.0, refused: None };
    Sample { blocks: Some(blocks), ..sample(Sums::Value { value: mean }) }
}

/// 24 steps before around 10, 24 after around `level`, with a wave of one.
fn stepped(level: f64) -> Observation {
    let wave = |i: u32| f64::from(i % 3) - 1.0;
    let Observation::Ok(mut observed) = seen(vec![(ALL, blocks(level, 0.4, 8))], day(42)) else {
        unreachable!("`seen` is ok");
    };
    observed.baseline = Some(blocks(10.0, 0.4, 16));
    observed.steps = Some(Steps {
        treatment: (0..24).map(|i| level + wave(i)).collect(),
        comparison: (0..24).map(|i| 10.0 + wave(i)).collect(),
    });
    observed.digest = "a digest".to_owned();
    Observation::Ok(observed)
}

fn value(look: LookPlan, method: Option<MethodName>) -> Experiment {
    let compare = Compare::BeforeAfter { window: crate::time::Span::days(28) };
    let mut experiment = planned(look, compare, Form::Value, Amount::Absolute(0.5));
    experiment.signals[0].method = method;
    experiment
}

#[test]
fn series_have_newey_west_block_t_or_a_bootstrap() {
    let auto = at_the_end(value(LookPlan::Once, None), stepped(12.0));
    assert_eq!((method(&auto), auto.atoms[0].met), (MethodName::NeweyWest, Truth::True));
    let t = at_the_end(value(LookPlan::Once, Some(MethodName::BlockT)), stepped(12.0));
    // sd 0.4, 8 and 16 blocks: 2 +- t(.975, 22) 0.4 sqrt(1/8 + 1/16) = 2 +- 2.0739 * 0.17321.
    assert_eq!(method(&t), MethodName::BlockT);
    near(interval(&t).lo, 2.0 - 2.0739 * 0.173_205, 1e-4);
    let named = Some(MethodName::BlockBootstrap);
    let boot = at_the_end(value(LookPlan::Once, named), stepped(12.0));
    assert_eq!((method(&boot), boot.atoms[0].met), (MethodName::BlockBootstrap, Truth::True));
    assert!(interval(&boot).lo > 1.5 && interval(&boot).hi < 2.5, "{:?}", interval(&boot));
    // Weekly looks do not take the methods that repeated looks break.
    let weekly = at_the_end(value(LookPlan::Weekly(6), named), stepped(12.0));
    assert_eq!(method(&weekly), MethodName::BlockT);
}

#[test]
fn weekly_spends_by_information_and_keeps_its_bounds() {
    let mut run = Run::new(shares(LookPlan::Weekly(4)));
    // 12,000 planned. The first bound by hand: sf(z) = 0.025 * 0.25^2 = 0.0015625, z = 2.9552.
    let first = run.look(day(10), two_arms((405.0, 1500.0), (430.0, 1500.0), day(10)));
    let look = first.atoms[0].evidence.as_ref().unwrap().planned.unwrap();
    assert_eq!((look.looks, look.fraction), (1, 0.25));
    near(look.bound, 2.955_4, 5e-3);
    near(look.alpha, 0.05 * 0.0625, 1e-6);
    // The same week: nothing new is judged.
    let again = run.look(day(11), two_arms((405.0, 1500.0), (700.0, 1500.0), day(11)));
    assert_eq!(again.atoms, first.atoms);
    let second = run.look(day(14), two_arms((810.0, 3000.0), (860.0, 3000.0), day(14)));
    let look = second.atoms[0].evidence.as_ref().unwrap().planned.unwrap();
    assert_eq!((look.looks, look.fraction), (2, 0.5));
    assert!(look.bound < 2.955, "{}", look.bound);
}

#[test]
fn an_overrun_keeps_the_last_bound_and_says_so() {
    let mut run = Run::new(shares(LookPlan::Weekly(4)));
    let full = run.look(day(42), two_arms((1620.0, 6000.0), (1690.0, 6000.0), day(42)));
    let end = full.atoms[0].evidence.clone().unwrap();
    let more = run.look(day(49), two_arms((1890.0, 7000.0), (1980.0, 7000.0), day(49)));
    let over = more.atoms[0].evidence.clone().unwrap();
    let (end, look) = (end.planned.unwrap(), over.planned.unwrap());
    assert_eq!((look.looks, look.fraction, look.overrun), (2, 1.0, true));
    assert_eq!(look.bound, end.bound);
    assert!(over.assumptions.iter().any(|words| words.contains("more came than was planned")));
}

#[test]
fn weekly_crossings_latch_within_their_epoch() {
    let mut run = Run::new(shares(LookPlan::Weekly(6)));
    let high = run.look(day(14), two_arms((810.0, 3000.0), (1050.0, 3000.0), day(14)));
    assert_eq!(high.atoms[0].met, Truth::True);
    let faded = run.look(day(21), two_arms((1215.0, 4500.0), (1351.0, 4500.0), day(21)));
    assert!(faded.atoms[0].latched);
    let carried = run.look(day(28), Observation::NoData { since: None, why: "gone".into() });
    assert_eq!(carried.atoms, faded.atoms, "a look without data takes no look");
}

#[test]
fn a_missing_checkpoint_look_is_missing_not_repeated() {
    let mut run = Run::new(shares(LookPlan::Weekly(6)));
    run.look(day(14), two_arms((810.0, 3000.0), (1050.0, 3000.0), day(14)));
    let gone = Observation::NoData { since: None, why: "gone".into() };
    let analysis = run.look(day(42), gone);
    assert_eq!(analysis.atoms[0].why, Some(UnknownWhy::NoData));
}

#[test]
fn a_named_method_wins_where_it_fits_every_look() {
    let seen = || two_arms((162.0, 600.0), (180.0, 600.0), day(42));
    let mut experiment = shares(LookPlan::Always);
    assert_eq!(method(&at_the_end(experiment.clone(), seen())), MethodName::InformationTime);
    experiment.signals[0].method = Some(MethodName::RareEvents);
    assert_eq!(method(&at_the_end(experiment.clone(), seen())), MethodName::RareEvents);
    experiment.signals[0].method = Some(MethodName::InformationTime);
    let few = at_the_end(experiment, two_arms((2.0, 600.0), (9.0, 600.0), day(42)));
    assert_eq!(few.atoms[0].why, Some(UnknownWhy::Insufficient));
    let stated = |method: Option<MethodName>| {
        let mut experiment =
            planned(LookPlan::Always, Compare::Baseline, Form::Proportion, Amount::Absolute(0.03));
        experiment.signals[0].from = Some(Baseline::Stated(0.09));
        experiment.signals[0].method = method;
        method_of(experiment)
    };
    assert_eq!(stated(None), MethodName::OneProportion);
    assert_eq!(stated(Some(MethodName::InformationTime)), MethodName::InformationTime);
}

fn method_of(experiment: Experiment) -> MethodName {
    method(&at_the_end(experiment, one(50.0, 320.0, day(42))))
}

/// An unfinished look plan is an input too: nothing panics, nothing is not finite.
#[test]
fn planned_looks_are_total() {
    let extremes = [(0.0, 0.0), (0.0, 10.0), (10.0, 10.0), (5.0, 9.0e15), (9.0e15, 9.0e15)];
    for look in [LookPlan::Once, LookPlan::Weekly(3)] {
        for control in extremes {
            for treatment in extremes {
                let analysis = at_the_end(shares(look), two_arms(control, treatment, day(42)));
                for evidence in analysis.atoms.iter().filter_map(|atom| atom.evidence.as_ref()) {
                    assert!(evidence.interval.lo.is_finite() && evidence.interval.hi.is_finite());
                    assert!(evidence.p_seq.is_finite() && evidence.estimate.is_finite());
                }
            }
        }
    }
}

#[test]
fn without_variance_nothing_is_tested() {
    let constant =
        |mean: f64| sample(Sums::Mean { n: 200.0, sum: 200.0 * mean, sum_sq: 200.0 * mean * mean });
    for look in [LookPlan::Always, LookPlan::Once, LookPlan::Weekly(3)] {
        let mut experiment = planned(look, arms(), Form::Mean, Amount::Absolute(1.0));
        experiment.aims = vec![aim("y", 4.0, 6.0)];
        let of = |treated: f64| {
            let arms = vec![("control", constant(4.0)), ("treatment", constant(treated))];
            at_the_end(experiment.clone(), seen(arms, day(42)))
        };
        let same = of(4.0);
        assert_eq!(state_of(&same, "y"), SignalState::Inconclusive, "{look:?}");
        assert_eq!(same.signals[0].why.as_deref(), Some("constant"));
        let other = of(6.0);
        assert_eq!(state_of(&other, "y"), SignalState::Invalid, "{look:?}");
        assert_eq!(other.atoms[0].why, Some(UnknownWhy::Invalid));
    }
}

#[test]
fn the_same_input_gives_the_same_look() {
    let experiment = value(LookPlan::Once, Some(MethodName::BlockBootstrap));
    let look =
        |_: u32| -> LookInput { input(experiment.clone(), day(42), vec![("y", stepped(10.4))]) };
    assert_eq!(analyse(&look(0), true), analyse(&look(1), true));
}

/// Signals without a plan of units are told so by `check`; the judge answers by time.
#[test]
fn without_planned_units_time_is_information() {
    let mut experiment = shares(LookPlan::Weekly(4));
    experiment.units_per_week = None;
    let mut run = Run::new(experiment);
    let analysis = run.look(day(21), two_arms((810.0, 3000.0), (860.0, 3000.0), day(21)));
    let look = analysis.atoms[0].evidence.as_ref().unwrap().planned.unwrap();
    near(look.fraction, 0.5, 1e-12);
}
