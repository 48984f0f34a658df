//! The methods by name: what each is, where it comes from, and which fits what.
//!
//! Part of `spec`, because a file may name one (`method: score`). A method is one row of
//! [`MethodName::about`] and one place in [`fitting`]; `docs/statistics.md` prints both and a
//! test holds it to them. Invariant: the first fitting method is the automatic choice.

use serde::{Deserialize, Serialize};

mod about;

use about::ABOUT;

use super::model::{Baseline, Compare, Experiment, Form, LookPlan, Signal};

/// A method, as records, files and `analyze` write it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MethodName {
    /// Information-time confidence sequence on two arms (1.1, 1.2).
    InformationTime,
    /// Exact two-arm beta-binomial e-process for rare events (1.3).
    RareEvents,
    /// Exact beta-binomial e-process of one proportion (1.4).
    OneProportion,
    /// Exact gamma-Poisson e-process of one rate.
    OneRate,
    /// Block means of a series (1.5).
    BlockMeans,
    /// Paired block means, arm against arm (1.5).
    PairedBlocks,
    /// Pooled z with Newcombe's interval, one planned look (1.2).
    TwoProportion,
    /// Fisher's exact test with the score interval, one planned look (1.2).
    Fisher,
    /// Miettinen-Nurminen score test and interval, one planned look (1.2).
    Score,
    /// Exact binomial test with the Clopper-Pearson interval, one planned look (1.4).
    Binomial,
    /// Score test against a constant with Wilson's interval, one planned look (1.4).
    Wilson,
    /// Welch's t test, one planned look (1.2).
    Welch,
    /// Two Poisson rates, one planned look (1.2).
    PoissonRates,
    /// One Poisson rate, exact, one planned look.
    PoissonRate,
    /// t test on block means, one planned look (1.5).
    BlockT,
    /// Interrupted series with Newey-West errors, one planned look (1.5).
    NeweyWest,
    /// Circular block bootstrap, one planned look (1.5).
    BlockBootstrap,
    /// Mann-Whitney on raw samples, one planned look; `analyze` only (1.2).
    MannWhitney,
    /// Sequential Dirichlet-multinomial split check (1.9).
    Split,
    /// An exact comparison of a configured number.
    Exact,
}

/// What is said about a method wherever it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// Its name in files and records.
    pub name: &'static str,
    /// A title for people.
    pub title: &'static str,
    /// When it is chosen.
    pub chosen: &'static str,
    /// The file with its formula, below `crates/judge/src/stats`.
    pub file: &'static str,
    /// Who is to be cited.
    pub citation: &'static str,
    /// What must hold.
    pub assumes: &'static str,
}

impl MethodName {
    /// Every method, in the order of the documentation.
    pub const ALL: [Self; 20] = [
        Self::InformationTime,
        Self::RareEvents,
        Self::OneProportion,
        Self::OneRate,
        Self::BlockMeans,
        Self::PairedBlocks,
        Self::TwoProportion,
        Self::Fisher,
        Self::Score,
        Self::Binomial,
        Self::Wilson,
        Self::Welch,
        Self::PoissonRates,
        Self::PoissonRate,
        Self::BlockT,
        Self::NeweyWest,
        Self::BlockBootstrap,
        Self::MannWhitney,
        Self::Split,
        Self::Exact,
    ];

    /// Those that a signal may name: all but the split check and the comparison of settings.
    pub const SIGNAL: &[Self] = &{
        let mut named = [Self::InformationTime; 18];
        let mut index = 0;
        while index < named.len() {
            named[index] = Self::ALL[index];
            index += 1;
        }
        named
    };

    /// Title, source, citation and assumptions.
    pub fn about(self) -> &'static About {
        &ABOUT[self as usize]
    }

    /// The name in files and records.
    pub fn name(self) -> &'static str {
        self.about().name
    }

    /// The method of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

/// What a signal's change is held against, as far as methods differ by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Design {
    /// A concurrent arm.
    Arms,
    /// A stated level.
    Stated,
    /// A level that was measured or counted, with an error of its own.
    Measured,
}

impl Design {
    /// The design of a signal; `None` when there is nothing to compare with.
    pub fn of(experiment: &Experiment, signal: &Signal) -> Option<Self> {
        let counted = matches!(signal.form, Form::Proportion | Form::Rate);
        match (signal.compare.as_ref().unwrap_or(&experiment.compare), signal.from) {
            (Compare::Arms { .. }, _) => Some(Self::Arms),
            (Compare::BeforeAfter { .. }, _) | (_, Some(Baseline::Window(_))) => {
                Some(Self::Measured)
            }
            (_, Some(Baseline::Counted { .. })) if counted => Some(Self::Measured),
            (_, Some(Baseline::Stated(_) | Baseline::Counted { .. })) => Some(Self::Stated),
            (_, None) => None,
        }
    }

    /// For sentences.
    pub fn words(self) -> &'static str {
        match self {
            Self::Arms => "concurrent arms",
            Self::Stated => "a stated level",
            Self::Measured => "a measured level",
        }
    }
}

/// The methods that fit, the automatic choice first.
pub fn fitting(design: Design, form: Form, look: LookPlan) -> &'static [MethodName] {
    match look {
        LookPlan::Always => always(design, form),
        LookPlan::Once => once(design, form),
        // Errors that follow the length of the series are unsafe under repeated looks.
        LookPlan::Weekly(_) if form == Form::Value => &[MethodName::BlockT],
        LookPlan::Weekly(_) => once(design, form),
    }
}

fn always(design: Design, form: Form) -> &'static [MethodName] {
    use MethodName::{
        BlockMeans, InformationTime, OneProportion, OneRate, PairedBlocks, RareEvents,
    };
    match (design, form) {
        (Design::Arms, Form::Value) => &[PairedBlocks],
        (_, Form::Value) => &[BlockMeans],
        (Design::Arms, Form::Proportion) => &[InformationTime, RareEvents],
        (Design::Stated, Form::Proportion) => &[OneProportion, InformationTime],
        (Design::Stated, Form::Rate) => &[OneRate, InformationTime],
        _ => &[InformationTime],
    }
}

fn once(design: Design, form: Form) -> &'static [MethodName] {
    use MethodName::{
        Binomial, BlockBootstrap, BlockT, Fisher, NeweyWest, PoissonRate, PoissonRates, Score,
        TwoProportion, Welch, Wilson,
    };
    match (design, form) {
        (Design::Measured, Form::Value) => &[NeweyWest, BlockT, BlockBootstrap],
        (_, Form::Value) => &[BlockT, BlockBootstrap],
        (Design::Arms | Design::Measured, Form::Proportion) => {
            &[TwoProportion, Fisher, Score, Welch]
        }
        (Design::Stated, Form::Proportion) => &[Binomial, Wilson, Welch],
        (_, Form::Mean | Form::Ratio) => &[Welch],
        (Design::Stated, Form::Rate) => &[PoissonRate, Welch],
        (_, Form::Rate) => &[PoissonRates],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_the_order_of_the_methods_and_read_back() {
        for (index, method) in MethodName::ALL.into_iter().enumerate() {
            assert_eq!(method as usize, index);
            let written = serde_json::to_value(method).unwrap();
            assert_eq!(written, method.name());
            assert_eq!(MethodName::named(method.name()), Some(method));
        }
    }

    #[test]
    fn every_design_form_and_plan_has_a_method() {
        let forms = [Form::Proportion, Form::Mean, Form::Ratio, Form::Rate, Form::Value];
        for design in [Design::Arms, Design::Stated, Design::Measured] {
            for form in forms {
                for look in [LookPlan::Always, LookPlan::Once, LookPlan::Weekly(4)] {
                    assert!(!fitting(design, form, look).is_empty(), "{design:?} {form:?}");
                }
            }
        }
    }
}
