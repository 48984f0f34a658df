//! Whether a proxy predicted its outcome before: over finished experiments, with noise taken off.
//!
//! Place in the line: the `proxy_does_not_predict` alarm and the page of proxies. Statistics 1.11:
//! effects `(a, SE_a)` of the proxy and `(b, SE_b)` of the outcome, both divided by the aim's
//! change, positive = good. Hit score `(hits + 1)/(n + 2)` among experiments whose proxy moved,
//! with the Wilson interval of the share, from 5 of them. Sign agreement where both are beyond one
//! standard error. Slope `beta = (cov(a, b) - mean c) / (var a - mean SE_a^2)`: the plain slope is
//! pulled by estimation noise; `c` is the covariance of the two estimates *within* an experiment,
//! which sums cannot tell, so it is 0 and that is said (shared users bias it upwards: Bibaut, Chou,
//! Ejdemyr & Kallus, KDD 2024). Needs 10 experiments and `var a > 2 mean SE_a^2`. Its interval is
//! the leave-one-out jackknife with Student's t.

use super::Interval;
use super::binomial::wilson;
use super::fixed::Alternative;
use super::special::t_isf;

/// Experiments with a moved proxy that a hit score needs.
pub const LEAST_HITS: usize = 5;
/// Experiments that a slope needs.
pub const LEAST_SLOPE: usize = 10;
/// Error rate of both intervals, two-sided.
pub const ALPHA: f64 = 0.05;

/// One finished experiment, standardised by its aims.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Proxy effect over its target, positive = good.
    pub proxy: f64,
    /// Its standard error.
    pub proxy_se: f64,
    /// Outcome effect over its target, positive = good.
    pub outcome: f64,
    /// Its standard error.
    pub outcome_se: f64,
    /// The proxy was `met` or `moving`.
    pub moved: bool,
    /// The outcome's interval excluded no change, or its estimate reached the target.
    pub hit: bool,
}

/// How often a moved proxy was followed by its outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HitScore {
    /// Experiments whose proxy moved.
    pub moved: usize,
    /// Those of them whose outcome followed.
    pub hits: usize,
    /// `(hits + 1)/(n + 2)`.
    pub score: f64,
    /// Wilson interval of the share.
    pub interval: Interval,
}

/// The noise-corrected slope of outcome on proxy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// Outcome change per unit of proxy change, both in targets.
    pub slope: f64,
    /// Jackknife interval.
    pub interval: Interval,
    /// Corrected correlation in [-1, 1]; `None` when the outcomes differ by noise only.
    pub correlation: Option<f64>,
}

/// Why there is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoSlope {
    /// Fewer experiments than it needs.
    TooFew,
    /// The proxies differ by little more than their noise.
    TooNoisy,
}

/// What the history says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opinion {
    /// Shown to predict: the slope's interval is above 0, or the score's above one half.
    Predicts,
    /// Shown not to: the score's interval is below one half, or the slope's not above 0.
    DoesNotPredict,
    /// There are numbers and they do not tell.
    Unclear,
    /// Too few finished experiments for either number.
    NotEnoughHistory,
}

/// All numbers about one proxy and one outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validity {
    /// Finished experiments with both.
    pub experiments: usize,
    /// From [`LEAST_HITS`] experiments with a moved proxy.
    pub hits: Option<HitScore>,
    /// Same sign, of those where both are beyond one standard error.
    pub agreement: (usize, usize),
    /// From [`LEAST_SLOPE`] experiments.
    pub slope: Result<Slope, NoSlope>,
}

impl Validity {
    /// Of all usable pairs; what is not finite is left out.
    #[must_use]
    pub fn of(pairs: &[Pair]) -> Self {
        let pairs: Vec<Pair> = pairs.iter().copied().filter(is_usable).collect();
        let beyond =
            |pair: &&Pair| pair.proxy.abs() > pair.proxy_se && pair.outcome.abs() > pair.outcome_se;
        let same = |pair: &&Pair| (pair.proxy > 0.0) == (pair.outcome > 0.0);
        Self {
            experiments: pairs.len(),
            hits: hit_score(&pairs),
            agreement: (
                pairs.iter().filter(beyond).filter(same).count(),
                pairs.iter().filter(beyond).count(),
            ),
            slope: slope(&pairs),
        }
    }

    /// What the numbers come to; an unfavourable one weighs more.
    #[must_use]
    pub fn opinion(&self) -> Opinion {
        let hits = self.hits.map(|hits| hits.interval);
        let slope = self.slope.ok().map(|slope| slope.interval);
        if hits.is_none() && slope.is_none() {
            return Opinion::NotEnoughHistory;
        }
        if hits.is_some_and(|hits| hits.hi < 0.5) || slope.is_some_and(|slope| slope.hi <= 0.0) {
            return Opinion::DoesNotPredict;
        }
        if hits.is_some_and(|hits| hits.lo > 0.5) || slope.is_some_and(|slope| slope.lo > 0.0) {
            return Opinion::Predicts;
        }
        Opinion::Unclear
    }
}

fn is_usable(pair: &Pair) -> bool {
    let numbers = [pair.proxy, pair.proxy_se, pair.outcome, pair.outcome_se];
    numbers.iter().all(|x| x.is_finite()) && pair.proxy_se >= 0.0 && pair.outcome_se >= 0.0
}

fn hit_score(pairs: &[Pair]) -> Option<HitScore> {
    let moved = pairs.iter().filter(|pair| pair.moved).count();
    let hits = pairs.iter().filter(|pair| pair.moved && pair.hit).count();
    if moved < LEAST_HITS {
        return None;
    }
    let interval = wilson(hits as f64, moved as f64, ALPHA, Alternative::TwoSided)?;
    let score = (hits as f64 + 1.0) / (moved as f64 + 2.0);
    Some(HitScore { moved, hits, score, interval })
}

/// Moments over experiments: `(var a, var b, cov, mean SE_a^2, mean SE_b^2)`.
fn moments(pairs: &[Pair]) -> [f64; 5] {
    let n = pairs.len() as f64;
    let mean = |of: fn(&Pair) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (mean_a, mean_b) = (mean(|pair| pair.proxy), mean(|pair| pair.outcome));
    let mut sums = [0.0; 3];
    for pair in pairs {
        let (a, b) = (pair.proxy - mean_a, pair.outcome - mean_b);
        sums[0] += a * a;
        sums[1] += b * b;
        sums[2] += a * b;
    }
    let [aa, bb, ab] = sums.map(|sum| sum / (n - 1.0));
    [
        aa,
        bb,
        ab,
        mean(|pair| pair.proxy_se * pair.proxy_se),
        mean(|pair| pair.outcome_se * pair.outcome_se),
    ]
}

fn corrected(pairs: &[Pair]) -> Option<f64> {
    let [aa, _, ab, noise, _] = moments(pairs);
    let slope = ab / (aa - noise);
    (aa > noise && slope.is_finite()).then_some(slope)
}

fn slope(pairs: &[Pair]) -> Result<Slope, NoSlope> {
    if pairs.len() < LEAST_SLOPE {
        return Err(NoSlope::TooFew);
    }
    let [aa, bb, _, noise_a, noise_b] = moments(pairs);
    if aa <= 2.0 * noise_a {
        return Err(NoSlope::TooNoisy);
    }
    let slope = corrected(pairs).ok_or(NoSlope::TooNoisy)?;
    let mut without = Vec::with_capacity(pairs.len());
    for left_out in 0..pairs.len() {
        let rest = pairs.iter().enumerate().filter(|(index, _)| *index != left_out);
        let rest: Vec<Pair> = rest.map(|(_, pair)| *pair).collect();
        without.push(corrected(&rest).ok_or(NoSlope::TooNoisy)?);
    }
    let n = pairs.len() as f64;
    let mean = without.iter().sum::<f64>() / n;
    let spread: f64 = without.iter().map(|one| (one - mean) * (one - mean)).sum();
    let se = (spread * (n - 1.0) / n).sqrt();
    let correlation = (bb > noise_b).then(|| {
        let scale = (aa - noise_a) / (bb - noise_b);
        (slope * scale.sqrt()).clamp(-1.0, 1.0)
    });
    let interval = Interval::around(slope, se * t_isf(ALPHA / 2.0, n - 1.0));
    Ok(Slope { slope, interval, correlation })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, wanted: f64) {
        assert!((got - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{got} {wanted}");
    }

    /// Twelve experiments, written out in tests/py/alarms.py as well.
    fn twelve() -> Vec<Pair> {
        let rows = [
            (1.2, 0.7),
            (0.4, 0.1),
            (-0.3, 0.2),
            (2.1, 1.4),
            (0.9, 0.9),
            (1.6, 0.2),
            (0.1, -0.4),
            (-0.8, -0.5),
            (1.1, 0.8),
            (0.7, 0.0),
            (1.9, 1.1),
            (0.2, 0.3),
        ];
        rows.map(|(proxy, outcome)| Pair {
            proxy,
            proxy_se: 0.2,
            outcome,
            outcome_se: 0.3,
            moved: proxy > 0.5,
            hit: outcome > 0.65,
        })
        .to_vec()
    }

    #[test]
    fn agrees_with_the_reference_script() {
        let validity = Validity::of(&twelve());
        let slope = validity.slope.unwrap();
        near(slope.slope, 0.570_784_213_223_987_6);
        near(slope.correlation.unwrap(), 0.974_300_364_614_119);
        near(slope.interval.lo, 0.297_841_481_972_375_1);
        near(slope.interval.hi, 0.843_726_944_475_600_1);
        let hits = validity.hits.unwrap();
        assert_eq!((hits.moved, hits.hits), (7, 5));
        near(hits.score, 6.0 / 9.0);
        near(hits.interval.lo, 0.358_934_451_832_619_3);
        near(hits.interval.hi, 0.917_781_075_995_943_2);
        assert_eq!(validity.agreement, (6, 6));
        assert_eq!(validity.opinion(), Opinion::Predicts);
    }

    #[test]
    fn too_little_history_says_so() {
        let few = &twelve()[..4];
        let validity = Validity::of(few);
        assert_eq!(validity.hits, None);
        assert_eq!(validity.slope, Err(NoSlope::TooFew));
        assert_eq!(validity.opinion(), Opinion::NotEnoughHistory);
        let noisy: Vec<Pair> =
            twelve().into_iter().map(|pair| Pair { proxy_se: 0.7, ..pair }).collect();
        assert_eq!(Validity::of(&noisy).slope, Err(NoSlope::TooNoisy));
        let broken = Pair { proxy: f64::NAN, ..few[0] };
        assert_eq!(Validity::of(&[broken]).experiments, 0);
    }

    #[test]
    fn a_proxy_that_failed_often_enough_is_discredited() {
        let lost = |hits: usize, of: usize| {
            let pair = |index| Pair { hit: index < hits, moved: true, ..twelve()[0] };
            Validity::of(&(0..of).map(pair).collect::<Vec<_>>()).opinion()
        };
        // Wilson: 0 of 5 ends at 43.4 %, 1 of 5 at 62.4 %, 1 of 9 at 43.5 %.
        assert_eq!(lost(0, 5), Opinion::DoesNotPredict);
        assert_eq!(lost(1, 5), Opinion::Unclear);
        assert_eq!(lost(1, 9), Opinion::DoesNotPredict);
        assert_eq!(lost(9, 9), Opinion::Predicts);
        // A slope that is shown to be negative discredits as well.
        let turned = twelve().into_iter().map(|pair| Pair { outcome: -pair.outcome, ..pair });
        let turned = turned.map(|pair| Pair { moved: false, ..pair }).collect::<Vec<_>>();
        assert_eq!(Validity::of(&turned).opinion(), Opinion::DoesNotPredict);
    }
}
