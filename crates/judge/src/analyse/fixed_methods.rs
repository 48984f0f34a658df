//! Which fixed-horizon method judges what: the second half of the table of product.md 3.
//!
//! Part of `analyse`: from the samples of an observation to a [`Fixed`] test. The method is the
//! named one where it fits, else the first that fits (`spec::fitting`); sparse tables go to
//! Fisher, counts with uneven periods to Welch's t over the periods.

use super::basis::{Basis, Normal};
use super::covariate;
use super::fixed::{Df, Fixed};
use super::measure::{Gap, Measure};
use super::methods::{blocks_of, counted_once, moments, paired};
use super::planned::Turn;
use super::{MethodName, SignalState, UnknownWhy};
use crate::observe::{Blocks, Observed, Sample};
use crate::points::Sums;
use crate::spec::{Baseline, Compare, Design, Experiment, Form, LookPlan, Signal, fitting};
use crate::stats::fixed::block_t::{self, BlockSums};
use crate::stats::fixed::two_proportion::is_sparse;
use crate::stats::overdispersion::Unevenness;
use crate::stats::two_arm::{Count, Proportion};
use crate::stats::{bootstrap, its};

/// The two sides of a fixed-horizon test.
#[derive(Debug, Clone, Copy)]
struct Pair<'a> {
    treatment: &'a Sample,
    /// A population with its own error, or a constant.
    against: Against<'a>,
    observed: &'a Observed,
    seed: u64,
}

#[derive(Debug, Clone, Copy)]
enum Against<'a> {
    Arm(&'a Sample),
    Before(&'a Sample),
    Level(f64),
}

impl Against<'_> {
    fn design(self) -> Design {
        match self {
            Self::Arm(_) => Design::Arms,
            Self::Before(_) => Design::Measured,
            Self::Level(_) => Design::Stated,
        }
    }
}

/// Puts the fixed-horizon test of a planned look into a measure of the same data.
pub(super) fn refit(
    mut measure: Measure,
    experiment: &Experiment,
    signal: &Signal,
    turn: Turn,
    level: Option<f64>,
) -> Result<Measure, Gap> {
    let observed = &turn.observed;
    let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
    let of = |arm: &str| observed.arms.get(arm).ok_or_else(|| super::methods::unobserved(arm));
    let (treatment, control) = match compare {
        Compare::Arms { control, treatment, .. } => (of(treatment)?, observed.arms.get(control)),
        _ => (of(crate::points::ALL)?, None),
    };
    let once = match signal.from {
        Some(Baseline::Counted { x, n, .. }) => counted_once(treatment, x, n),
        _ => None,
    };
    let against = match (level, control, observed.baseline.as_ref().or(once.as_ref())) {
        (Some(level), ..) => Against::Level(level),
        (None, Some(control), _) => Against::Arm(control),
        (None, None, Some(before)) => Against::Before(before),
        (None, None, None) => {
            let level = signal.from.as_ref().and_then(Baseline::level);
            Against::Level(level.unwrap_or_else(|| measure.basis.comparison()))
        }
    };
    let pair = Pair { treatment, against, observed, seed: seed_of(observed) };
    let (test, method) = pick(&pair, signal, turn.look.plan)?;
    measure.method = method;
    // Only a test of means can be sharpened by a covariate.
    measure.adjusted = measure.adjusted.filter(|_| method == MethodName::Welch);
    measure.phi = wide(&pair).filter(|phi| *phi > 1.0 && uses_phi(method));
    measure.basis = Basis::Planned { test, share: turn.share };
    measure.planned = Some(turn.look);
    Ok(measure)
}

/// Randomness of a bootstrap: the digest of the data it is about.
fn seed_of(observed: &Observed) -> u64 {
    observed.digest.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn uses_phi(method: MethodName) -> bool {
    matches!(method, MethodName::Welch | MethodName::PoissonRates)
}

/// The unevenness of what is compared: of the difference in concurrent arms, which share their
/// days, else the larger one of the two sides.
fn unevenness(pair: &Pair<'_>) -> Option<Unevenness> {
    let own = pair.treatment.unevenness();
    match pair.against {
        Against::Arm(_) => pair.observed.difference,
        Against::Level(_) => own,
        Against::Before(before) => match (own, before.unevenness()) {
            (Some(one), Some(other)) => Some(if one.phi < other.phi { other } else { one }),
            (one, other) => one.or(other),
        },
    }
}

fn wide(pair: &Pair<'_>) -> Option<f64> {
    unevenness(pair).map(|uneven| uneven.phi.max(1.0))
}

fn pick(pair: &Pair<'_>, signal: &Signal, plan: LookPlan) -> Result<(Fixed, MethodName), Gap> {
    let fits = fitting(pair.against.design(), signal.form, plan);
    let named = signal.method.filter(|method| fits.contains(method));
    let method = named.unwrap_or_else(|| automatic(pair, signal.form, fits[0]));
    build(pair, method).map(|test| (test, method))
}

fn automatic(pair: &Pair<'_>, form: Form, first: MethodName) -> MethodName {
    let uneven = unevenness(pair).is_some_and(|uneven| uneven.is_uneven());
    match (pair.against, form) {
        (Against::Arm(_) | Against::Before(_), Form::Proportion) if uneven => MethodName::Welch,
        (Against::Level(_), Form::Proportion | Form::Rate) if uneven => MethodName::Welch,
        (Against::Arm(other) | Against::Before(other), Form::Proportion) => {
            match (proportion(pair.treatment), proportion(other)) {
                (Some(t), Some(c)) if is_sparse(&t, &c) => MethodName::Fisher,
                _ => first,
            }
        }
        _ => first,
    }
}

fn proportion(sample: &Sample) -> Option<Proportion> {
    match sample.sums {
        Sums::Proportion { num, den } => Some(Proportion { x: num, n: den }),
        _ => None,
    }
}

fn rate(sample: &Sample) -> Option<Count> {
    match sample.sums {
        Sums::Rate { events, exposure } => Some(Count { events, exposure }),
        _ => None,
    }
}

fn unfit(method: MethodName) -> Gap {
    Gap::invalid(format!("`{}` cannot judge these data", method.name()))
}

fn build(pair: &Pair<'_>, method: MethodName) -> Result<Fixed, Gap> {
    let test = match (method, pair.against) {
        (MethodName::TwoProportion | MethodName::Fisher | MethodName::Score, against) => {
            let (Against::Arm(other) | Against::Before(other)) = against else {
                return Err(unfit(method));
            };
            let arms = (proportion(pair.treatment), proportion(other));
            let (Some(t), Some(c)) = arms else {
                return Err(unfit(method));
            };
            Some(match method {
                MethodName::Fisher => Fixed::Fisher { t, c },
                MethodName::Score => Fixed::Score { t, c },
                _ => Fixed::TwoProportion { t, c },
            })
        }
        (MethodName::Binomial, Against::Level(p0)) => {
            proportion(pair.treatment).map(|Proportion { x, n }| Fixed::Binomial { s: x, n, p0 })
        }
        (MethodName::Wilson, Against::Level(p0)) => {
            proportion(pair.treatment).map(|Proportion { x, n }| Fixed::Wilson { s: x, n, p0 })
        }
        (MethodName::PoissonRate, Against::Level(r0)) => {
            rate(pair.treatment).map(|count| Fixed::Rate { count, r0 })
        }
        (MethodName::PoissonRates, Against::Arm(other) | Against::Before(other)) => {
            let phi = wide(pair).unwrap_or(1.0);
            let counts = rate(pair.treatment).zip(rate(other));
            counts.map(|(t, c)| Fixed::Rates { t, c, phi })
        }
        (MethodName::Welch, _) => welch(pair),
        (MethodName::BlockT, _) => return block_test(pair),
        (MethodName::NeweyWest | MethodName::BlockBootstrap, _) => return series(pair, method),
        _ => None,
    };
    test.ok_or_else(|| unfit(method))
}

/// Counts are widened by the unevenness of what is compared, which then gives the degrees of
/// freedom; means and ratios bring their own variance.
fn welch(pair: &Pair<'_>) -> Option<Fixed> {
    let counted = matches!(pair.treatment.sums, Sums::Proportion { .. } | Sums::Rate { .. });
    let uneven = unevenness(pair).filter(|_| counted);
    let phi = uneven.map_or(1.0, |uneven| uneven.phi.max(1.0));
    let side = |sample: &Sample| {
        let pieces = if counted { f64::from(sample.cells) } else { sample.sums.units() };
        Some((moments(sample, phi)?, (pieces - 1.0).max(1.0)))
    };
    let (treatment, df_t) = side(pair.treatment)?;
    let (comparison, both_grow, df) = match pair.against {
        Against::Level(level) => ((level, 0.0), false, Df::Whole(df_t)),
        Against::Arm(other) => {
            let (moments, df_c) = side(other)?;
            (moments, true, Df::Sides(df_t, df_c))
        }
        Against::Before(other) => {
            let (moments, df_c) = side(other)?;
            (moments, false, Df::Sides(df_t, df_c))
        }
    };
    let df = uneven.map_or(df, |uneven| Df::Whole(uneven.df.max(1.0)));
    let plain = Normal { treatment, comparison, covariance: 0.0, both_grow };
    let normal = sharpened(pair).map_or(plain, |normal| normal.widened(phi));
    Some(Fixed::T { normal, df })
}

/// Concurrent arms adjusted by a covariate from before exposure.
fn sharpened(pair: &Pair<'_>) -> Option<Normal> {
    match pair.against {
        Against::Arm(other) => covariate::adjust(other, pair.treatment).map(|(normal, _)| normal),
        _ => None,
    }
}

fn sums_of(blocks: &Blocks) -> BlockSums {
    BlockSums { mean: blocks.mean, sd: blocks.sd, count: f64::from(blocks.count) }
}

fn block_test(pair: &Pair<'_>) -> Result<Fixed, Gap> {
    let few = || Gap::invalid("fewer than two blocks".to_owned());
    match pair.against {
        Against::Arm(control) => {
            let normal = paired(control, pair.treatment, pair.observed, |_| 1.0)?;
            let differences = blocks_of(pair.observed.paired.as_ref())?;
            let (_, df) = sums_of(differences).one_sample().ok_or_else(few)?;
            Ok(Fixed::T { normal, df: Df::Whole(df) })
        }
        Against::Before(before) => {
            let later = sums_of(blocks_of(pair.treatment.blocks.as_ref())?);
            let before = sums_of(blocks_of(before.blocks.as_ref())?);
            let (variance, df) = block_t::pooled(&later, &before).ok_or_else(few)?;
            let normal = Normal {
                treatment: (later.mean, variance / later.count),
                comparison: (before.mean, variance / before.count),
                covariance: 0.0,
                both_grow: false,
            };
            Ok(Fixed::T { normal, df: Df::Whole(df) })
        }
        Against::Level(level) => {
            let blocks = sums_of(blocks_of(pair.treatment.blocks.as_ref())?);
            let (variance, df) = blocks.one_sample().ok_or_else(few)?;
            let normal = Normal::against(level, (blocks.mean, variance));
            Ok(Fixed::T { normal, df: Df::Whole(df) })
        }
    }
}

/// The methods that need the steps themselves.
fn series(pair: &Pair<'_>, method: MethodName) -> Result<Fixed, Gap> {
    // What keeps the blocks from being judged (gaps, length, season) speaks for the steps too.
    blocks_of(pair.treatment.blocks.as_ref())?;
    let Some(steps) = &pair.observed.steps else {
        return Err(Gap::invalid("the steps of the series were not kept".to_owned()));
    };
    let short = || Gap {
        why: UnknownWhy::Insufficient,
        state: SignalState::TooEarly,
        words: Some(format!("`{}` needs at least 8 steps that vary", method.name())),
    };
    let (after, before) = (&steps.treatment, &steps.comparison);
    if method == MethodName::NeweyWest {
        let parts = its::parts(before, after).ok_or_else(short)?;
        let normal = Normal {
            treatment: parts.after,
            comparison: parts.before,
            covariance: parts.covariance,
            both_grow: false,
        };
        return Ok(Fixed::T { normal, df: Df::Whole(parts.df) });
    }
    let replicates = match pair.against {
        Against::Arm(_) => bootstrap::paired(after, before, pair.seed),
        Against::Before(_) => bootstrap::two_sample(after, before, pair.seed),
        Against::Level(level) => bootstrap::one_sample(after, level, pair.seed),
    };
    Ok(Fixed::Resampled(Box::new(replicates.ok_or_else(short)?)))
}
