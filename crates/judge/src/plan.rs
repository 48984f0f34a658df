//! From what an experiment needs to what is asked: `Need`, `Request`, `Batch`.
//!
//! Second step of the line. A need is one signal's or guardrail's window of periods; requests
//! are complete (no choice is left for the fetcher) and say which needs they serve. This version
//! batches one to one; query union comes later through the same types.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::ids::Parts;
use crate::spec::{
    Beside, BesideKind, COVARIATE, CUBES, Compare, Experiment, Form, Guardrail, GuardrailKind,
    LimitOf, Query, Signal,
};
use crate::time::{Span, Timestamp, Window};

/// What a need belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A signal, by name.
    Signal(String),
    /// A guardrail, by name.
    Guardrail(String),
}

impl Subject {
    /// The bare name.
    pub fn name(&self) -> &str {
        match self {
            Self::Signal(name) | Self::Guardrail(name) => name,
        }
    }
}

/// The columns a query must return, and what they become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// A signal's form: `num, den` | `n, sum, sum_sq` | six sums | `events, exposure` | `value`.
    Form(Form),
    /// A proportion or mean (`share`: which) with the columns of [`CUBES`] and [`COVARIATE`] that
    /// its query names.
    Detailed {
        /// A proportion, else a mean.
        share: bool,
        /// With `sum_cu`.
        cubes: bool,
        /// With `cov_sum, cov_sq, cov_cross`.
        covariate: bool,
    },
    /// `bad, total` of an SLO: stored as a proportion.
    BadTotal,
    /// `units, over` of a limit per unit: stored as a proportion (over of units).
    UnitsOver,
    /// `hits, n` of a sampled limit: stored as a proportion.
    HitsOf,
    /// `mixed, units`: units in more than one arm, of all; stored as a proportion.
    Mixed,
    /// `units`: a count of them; stored as a proportion of itself.
    Eligible,
}

impl Shape {
    /// The shape of a signal: its form, with the optional columns that its query names.
    pub fn of(form: Form, query: &Query) -> Self {
        let named = |column: &str| query.columns.contains_key(column);
        let share = form == Form::Proportion;
        let covariate = matches!(form, Form::Proportion | Form::Mean) && named(COVARIATE[0]);
        let cubes = form == Form::Mean && named(CUBES);
        if covariate || cubes {
            Self::Detailed { share, cubes, covariate }
        } else {
            Self::Form(form)
        }
    }

    /// Contract columns beside `time` and `arm`, in order of [`crate::points::Sums`]' fields.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Form(Form::Proportion) => &["num", "den"],
            Self::Form(Form::Mean) => &["n", "sum", "sum_sq"],
            Self::Form(Form::Ratio) => &["n", "num", "den", "num_sq", "den_sq", "cross"],
            Self::Form(Form::Rate) => &["events", "exposure"],
            Self::Form(Form::Value) => &["value"],
            Self::Detailed { share: true, .. } => &["num", "den", "cov_sum", "cov_sq", "cov_cross"],
            Self::Detailed { cubes: true, covariate: true, .. } => {
                &["n", "sum", "sum_sq", "sum_cu", "cov_sum", "cov_sq", "cov_cross"]
            }
            Self::Detailed { covariate: true, .. } => {
                &["n", "sum", "sum_sq", "cov_sum", "cov_sq", "cov_cross"]
            }
            Self::Detailed { .. } => &["n", "sum", "sum_sq", "sum_cu"],
            Self::BadTotal => &["bad", "total"],
            Self::UnitsOver => &["over", "units"],
            Self::HitsOf => &["hits", "n"],
            Self::Mixed => &["mixed", "units"],
            Self::Eligible => &["units"],
        }
    }

    /// Whether the column holds whole events or units.
    pub fn is_count(self, column: &str) -> bool {
        match self {
            Self::Form(Form::Proportion) | Self::BadTotal | Self::UnitsOver | Self::HitsOf => true,
            Self::Mixed | Self::Eligible => true,
            Self::Form(Form::Mean | Form::Ratio) => column == "n",
            Self::Detailed { .. } => matches!(column, "num" | "den" | "n"),
            Self::Form(Form::Rate) => column == "events",
            Self::Form(Form::Value) => false,
        }
    }

    /// The column that counts units, if there is one.
    pub fn units_column(self) -> Option<&'static str> {
        Some(match self {
            Self::Form(Form::Proportion) | Self::Detailed { share: true, .. } => "den",
            Self::Form(Form::Mean | Form::Ratio) | Self::Detailed { .. } | Self::HitsOf => "n",
            Self::BadTotal => "total",
            Self::UnitsOver | Self::Mixed | Self::Eligible => "units",
            Self::Form(Form::Rate | Form::Value) => return None,
        })
    }
}

/// One series of points that somebody needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Need {
    /// Experiment id.
    pub experiment: String,
    /// Signal or guardrail.
    pub subject: Subject,
    /// Hash of the definition, shared between experiments that ask the same.
    pub series_id: String,
    /// Source name.
    pub source: String,
    /// What is asked.
    pub query: Query,
    /// What comes back.
    pub shape: Shape,
    /// Which periods.
    pub window: Window,
    /// Length of one period.
    pub grain: Span,
    /// Arms that must come back (control first); empty without arms.
    pub arms: Vec<String>,
    /// IANA zone of civil dates and of naive times.
    pub timezone: String,
}

/// One question to one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The need it serves (one to one in this version).
    pub need: Need,
    /// The instant the answer must be complete for; sources with a server clock are asked at
    /// this time, never at "now".
    pub at: Timestamp,
}

/// What a source answered: cells still untyped by meaning, typed by nature.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Batch {
    /// Column names as the source calls them, already mapped to contract names.
    pub columns: Vec<String>,
    /// Row by row; every row has as many cells as there are columns.
    pub rows: Vec<Row>,
    /// Everything before this instant is complete, if the source says so.
    pub complete_up_to: Option<Timestamp>,
    /// The source's own warnings; any of them makes the batch partial, which is not success.
    pub warnings: Vec<String>,
}

/// One row and where it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Cells in column order.
    pub cells: Vec<Cell>,
    /// `file:line`, `series {..}` or `row N`: for refusals.
    pub place: String,
}

/// One cell. Non-finite numbers are their own kind and never become numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cell {
    /// Text as it stood: dates, decimals, arm names.
    Text(String),
    /// A number.
    Num(f64),
    /// An instant.
    Time(Timestamp),
    /// Null or empty.
    Missing,
    /// NaN or infinity.
    NonFinite,
}

/// The need of a count beside the signals over a window.
pub fn need_of_beside(experiment: &Experiment, beside: &Beside, window: Window) -> Need {
    let shape = match beside.kind {
        BesideKind::MultipleExposure => Shape::Mixed,
        BesideKind::Eligible => Shape::Eligible,
    };
    need_of(experiment, &beside.signal, shape, window)
}

/// The need of a signal over a window.
pub fn need_of_signal(experiment: &Experiment, signal: &Signal, window: Window) -> Need {
    need_of(experiment, signal, Shape::of(signal.form, &signal.query), window)
}

fn need_of(experiment: &Experiment, signal: &Signal, shape: Shape, window: Window) -> Need {
    let compare = signal.compare.as_ref().unwrap_or(&experiment.compare);
    let arms = match compare {
        Compare::Arms { control, treatment, .. } => vec![control.clone(), treatment.clone()],
        Compare::Baseline | Compare::BeforeAfter { .. } => Vec::new(),
    };
    let grain = grain_of(signal);
    Need {
        experiment: experiment.id.clone(),
        subject: Subject::Signal(signal.name.clone()),
        series_id: series_id(&signal.source, &signal.query, shape, grain, &experiment.timezone),
        source: signal.source.clone(),
        query: signal.query.clone(),
        shape,
        window,
        grain,
        arms,
        timezone: experiment.timezone.clone(),
    }
}

/// Length of one period of a signal.
fn grain_of(signal: &Signal) -> Span {
    signal.grain.unwrap_or(Span::days(1))
}

/// The [`series_id`] of a signal.
pub(crate) fn series_of_signal(experiment: &Experiment, signal: &Signal) -> String {
    let shape = Shape::of(signal.form, &signal.query);
    series_id(&signal.source, &signal.query, shape, grain_of(signal), &experiment.timezone)
}

/// The need of a guardrail over a window; `None` for `no_worse_than`, which reads a signal.
pub fn need_of_guardrail(
    experiment: &Experiment,
    guardrail: &Guardrail,
    grain: Span,
    window: Window,
) -> Option<Need> {
    let (source, query) = guardrail.kind.source()?;
    let shape = match &guardrail.kind {
        kind if kind.slo().is_some() => Shape::BadTotal,
        GuardrailKind::Limit(limit) => match (limit.of, &limit.per) {
            (LimitOf::Sampled, _) => Shape::HitsOf,
            (LimitOf::Configured, Some(_)) => Shape::UnitsOver,
            (LimitOf::Configured, None) => Shape::Form(Form::Value),
        },
        _ => Shape::Form(Form::Value),
    };
    Some(Need {
        experiment: experiment.id.clone(),
        subject: Subject::Guardrail(guardrail.name.clone()),
        series_id: series_id(source, query, shape, grain, &experiment.timezone),
        source: source.to_owned(),
        query: query.clone(),
        shape,
        window,
        grain,
        arms: Vec::new(),
        timezone: experiment.timezone.clone(),
    })
}

/// The need of the control cohort of an `slo`, where the file states one.
pub fn need_of_control(
    experiment: &Experiment,
    guardrail: &Guardrail,
    grain: Span,
    window: Window,
) -> Option<Need> {
    let GuardrailKind::Slo(slo) = &guardrail.kind else { return None };
    let query = slo.control.clone()?;
    let need = need_of_guardrail(experiment, guardrail, grain, window)?;
    let series_id = series_id(&slo.source, &query, need.shape, grain, &experiment.timezone);
    Some(Need { series_id, query, ..need })
}

/// The definition's hash: source, query text with white space folded, shape, grain and zone.
/// A change while the experiment runs is `definition_changed`.
pub fn series_id(source: &str, query: &Query, shape: Shape, grain: Span, zone: &str) -> String {
    let mut parts = Parts::default();
    parts.add(&["series"]);
    parts.add(&[source]);
    // The SQL text identifies a query, not the name of the file it stands in; a CSV pattern does.
    match (&query.sql, &query.file) {
        (Some(sql), _) => parts.add(&["sql ", &folded(sql)]),
        (None, Some(file)) => parts.add(&["file ", file]),
        (None, None) => {}
    }
    for (name, text) in &query.columns {
        parts.add(&["col ", name, "=", &folded(text)]);
    }
    for (name, value) in &query.only {
        parts.add(&["only ", name, "=", value]);
    }
    if query.cumulative {
        parts.add(&["cumulative"]);
    }
    parts.add(&[&format!("{shape:?}")]);
    parts.add(&[&grain.to_string()]);
    parts.add(&[zone]);
    parts.hash128()
}

/// Words with one blank between them; most texts are so already.
fn folded(text: &str) -> Cow<'_, str> {
    let mut before = ' ';
    let is_folded = !text.ends_with(' ')
        && text.chars().all(|letter| {
            let doubled = letter == ' ' && before == ' ';
            before = letter;
            !doubled && (letter == ' ' || !letter.is_whitespace())
        });
    if is_folded {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// One request per need, asked as of `at`.
pub fn batch(needs: Vec<Need>, at: Timestamp) -> Vec<Request> {
    needs.into_iter().map(|need| Request { need, at }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_is_splitting_and_joining() {
        for text in
            ["", " ", "a", "a b", " a", "a ", "a  b", "a\tb", "a\nb c", "sum by (x) (y)", "\u{a0}a"]
        {
            let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(folded(text), joined, "{text:?}");
        }
    }
}
