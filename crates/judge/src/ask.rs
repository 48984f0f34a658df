//! Questions on summary numbers: the methods of [`crate::stats`] behind one typed door.
//!
//! Place in the line: beside it. `verdictd analyze` and `POST /api/v1/analyze` hand text in and
//! text out; no experiment, store or clock is needed. A [`Request`] is tagged by `method`, and
//! [`answer`] is a pure function of it; [`envelope`] is the JSON layer, [`words`] the command
//! line's notation, [`catalogue`] the list with schemas made from the types.
//!
//! Invariants: no NaN and no infinity leaves: a number that does not exist is null, and `notes`
//! says why; numbers carry 12 significant digits; impossible input is a [`Fault`] with a cause and
//! a hint, never a panic. A method is one struct with [`Ask`] and one line in `methods!`.

mod arms;
pub mod catalogue;
mod charts;
mod compare;
mod effects;
pub mod envelope;
mod exact;
mod many;
mod margins;
mod number;
mod once;
mod once_means;
mod parts;
mod planning;
mod rare;
mod samples;
mod series;
mod tell;
#[cfg(test)]
mod tests;
pub mod words;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use number::{Bounds, Num};
pub use parts::{Count, Direction, Share, Summary};

/// Why a question has no answer, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// What is wrong.
    pub cause: String,
    /// What to write.
    pub hint: String,
}

impl Fault {
    /// A fault from its two sentences.
    pub fn new(cause: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { cause: cause.into(), hint: hint.into() }
    }
}

/// What a reader must know beside the numbers: why one is null, which assumption is in doubt.
pub type Notes = Vec<&'static str>;

/// One method: its input is `Self`, its output `Answer`.
pub trait Ask: DeserializeOwned + JsonSchema {
    /// What comes out.
    type Answer: Serialize + JsonSchema;
    /// One line: what it answers.
    const LINE: &'static str;
    /// Where the formula comes from.
    const CITATION: &'static str;
    /// What must hold for the answer to mean what it says.
    const ASSUMES: &'static [&'static str];
    /// An input that works, as JSON without `method`.
    const EXAMPLE: &'static str;
    /// The same question on the command line, without the name of the method.
    const WORDS: &'static str;

    /// The answer; `notes` collects what a reader must know.
    fn answer(&self, notes: &mut Notes) -> Result<Self::Answer, Fault>;

    /// The answer in one plain sentence.
    fn sentence(&self, answer: &Self::Answer) -> String;
}

/// An answer with its notes.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// The numbers.
    pub answer: Answer,
    /// What a reader must know beside them.
    pub notes: Notes,
}

impl Answered {
    /// Whether a note says that this assumption of the method does not hold.
    #[must_use]
    pub fn is_missed(&self, assumption: &str) -> bool {
        self.notes.iter().any(|note| note.ends_with(&format!("not met: {assumption}")))
    }
}

/// What a list shows of one method.
#[derive(Clone, Copy, Debug)]
pub struct Method {
    /// Value of `method`.
    pub name: &'static str,
    /// One line: what it answers.
    pub line: &'static str,
    /// Where the formula comes from.
    pub citation: &'static str,
    /// What must hold.
    pub assumes: &'static [&'static str],
    /// An input that works, as JSON without `method`.
    pub example: &'static str,
    /// The same on the command line.
    pub words: &'static str,
    input: fn() -> schemars::Schema,
    output: fn() -> schemars::Schema,
    read: fn(&[u8]) -> serde_json::Result<Request>,
}

macro_rules! methods {
    ($($name:literal $variant:ident($question:ty)),+ $(,)?) => {
        /// One question, tagged by `method`.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant($question),
            )+
        }

        /// The numbers of one answer.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(untagged)]
        pub enum Answer {
            $(
                #[doc = concat!("`", $name, "`")]
                $variant(<$question as Ask>::Answer),
            )+
        }

        /// All methods, in the order in which they are listed.
        pub const METHODS: &[Method] = &[$(Method {
            name: $name,
            line: <$question as Ask>::LINE,
            citation: <$question as Ask>::CITATION,
            assumes: <$question as Ask>::ASSUMES,
            example: <$question as Ask>::EXAMPLE,
            words: <$question as Ask>::WORDS,
            input: catalogue::schema_of::<$question>,
            output: catalogue::schema_of::<<$question as Ask>::Answer>,
            read: |json| envelope::fields(json).map(Request::$variant),
        }),+];

        impl Request {
            /// The value of `method`.
            #[must_use]
            pub fn method(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }

            /// The answer in one plain sentence; empty when it answers another method.
            #[must_use]
            pub fn sentence(&self, answer: &Answer) -> String {
                match (self, answer) {
                    $((Self::$variant(asked), Answer::$variant(told)) => asked.sentence(told),)+
                    _ => String::new(),
                }
            }
        }

        /// Answers one question: a pure function of it.
        pub fn answer(request: &Request) -> Result<Answered, Fault> {
            let mut notes = Notes::new();
            let answer = match request {
                $(Request::$variant(asked) => Answer::$variant(asked.answer(&mut notes)?),)+
            };
            Ok(Answered { answer, notes })
        }
    };
}

methods! {
    "two_proportions" TwoProportions(arms::TwoProportions),
    "two_means" TwoMeans(arms::TwoMeans),
    "two_ratios" TwoRatios(arms::TwoRatios),
    "two_rates" TwoRates(arms::TwoRates),
    "cuped" Cuped(arms::Cuped),
    "contrast" Contrast(effects::Effect),
    "msprt" Msprt(effects::Msprt),
    "tuned_by_size" TunedBySize(effects::TunedBySize),
    "non_inferiority" NonInferiority(margins::NonInferiority),
    "deterioration" Deterioration(margins::Deterioration),
    "equivalence" Equivalence(margins::Equivalence),
    "lift" Lift(margins::Lift),
    "one_proportion" OneProportion(exact::OneProportion),
    "one_rate" OneRate(exact::OneRate),
    "rare_events" RareEvents(rare::RareEvents),
    "rare_difference" RareDifference(rare::RareDifference),
    "split" Split(exact::Split),
    "two_proportions_once" TwoProportionsOnce(once::TwoProportionsOnce),
    "one_proportion_once" OneProportionOnce(once::OneProportionOnce),
    "welch" Welch(once_means::Welch),
    "ratios_once" RatiosOnce(once_means::RatiosOnce),
    "rates_once" RatesOnce(once::RatesOnce),
    "mann_whitney" MannWhitney(samples::MannWhitney),
    "before_after" BeforeAfter(series::BeforeAfter),
    "paired_series" PairedSeries(series::PairedSeries),
    "interrupted_series" InterruptedSeries(samples::InterruptedSeries),
    "block_bootstrap" BlockBootstrap(samples::BlockBootstrap),
    "dependence" Dependence(samples::Dependence),
    "cusum" Cusum(charts::Cusum),
    "ewma" Ewma(charts::Ewma),
    "overdispersion" Overdispersion(charts::Overdispersion),
    "group_sequential" GroupSequential(many::GroupSequential),
    "corrections" Corrections(many::Corrections),
    "e_benjamini_hochberg" EBenjaminiHochberg(many::EBenjaminiHochberg),
    "covariate_balance" CovariateBalance(many::CovariateBalance),
    "multiple_exposure" MultipleExposure(many::MultipleExposure),
    "sample_size" SampleSize(planning::SampleSize),
    "power" Power(planning::Power),
    "mde" Mde(planning::Mde),
    "days_to_decision" DaysToDecision(planning::DaysToDecision),
}

/// The method of that name.
#[must_use]
pub fn method(name: &str) -> Option<&'static Method> {
    METHODS.iter().find(|method| method.name == name)
}
