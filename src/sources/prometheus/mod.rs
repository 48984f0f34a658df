//! Anything that speaks the Prometheus HTTP API: one PromQL query per contract column.
//!
//! First step of the line from world to batch. A sample asked at instant `t` covers the period
//! `(t - grain, t]`, so each period is asked at its end, at explicit instants and never later than
//! `at - query_delay`. The answers are joined by (arm label, instant); a period that lacks one of
//! its columns yields no row. An error counter that does not exist before the first error is such
//! a lack and not a zero: write `... or vector(0)` (or `or 0 * total`) if absence means none.

mod client;
mod config;
mod join;
mod parse;
mod schedule;
#[cfg(test)]
mod tests;

use judge::contract::Grid;
use judge::plan::{Batch, Need, Request, Shape};
use judge::spec::Form;
use judge::time::{SECOND_MS, Span, Timestamp, Window, add_ms, ms_between};

pub use self::config::{PrometheusAuth, PrometheusConfig};

use self::client::Client;
use self::join::Joined;
use self::parse::Series;
use self::schedule::{Run, runs};
use super::placeholder::{Placeholder, render};
use super::{BoxFuture, FetchClass, FetchError, Source};

/// A Prometheus source.
#[derive(Debug)]
pub struct PrometheusSource {
    client: Client,
    query_delay: Span,
}

impl PrometheusSource {
    /// Checks the configuration; nothing is asked yet.
    pub fn new(config: &PrometheusConfig) -> Result<Self, String> {
        let delay_secs = i64::try_from(config.query_delay_secs).unwrap_or(i64::MAX / SECOND_MS);
        Ok(Self { client: Client::new(config)?, query_delay: Span::seconds(delay_secs) })
    }

    async fn fetch_all(&self, request: &Request) -> Result<Batch, FetchError> {
        let need = &request.need;
        let queries = queries(request)?;
        let grid = Grid::of(need)
            .map_err(|refusal| FetchError::new(FetchClass::Contract, refusal.to_string()))?;
        let until = add_ms(request.at, -self.query_delay.ms).min(need.window.end);
        let asked = Window { start: grid.window().start, end: until };
        let mut periods: Vec<Window> = grid.periods(asked).collect();
        let mut runs = runs(&periods);
        let mut complete_up_to = Some(until);
        if periods.is_empty() && is_number_of_now(need) {
            // Asked now, kept as the newest period: a gauge is not added up over it.
            let start = grid.newest_before(need.window.end);
            periods.push(Window { start, end: until });
            runs.push(Run { first_end: until, step_ms: need.grain.ms, count: 1 });
            complete_up_to = None;
        }
        let label = need.query.columns.get("arm").map_or("arm", String::as_str);
        let arm_label = (!need.arms.is_empty()).then_some(label);
        let mut joined = Joined::new(&periods, arm_label);
        let mut warnings = Vec::new();
        for (column, text) in &queries {
            for run in &runs {
                let (series, said) = self.ask(request, text, *run).await?;
                joined.add(column, series)?;
                warnings.extend(said);
            }
        }
        warnings.sort();
        warnings.dedup();
        let columns: Vec<&str> = queries.iter().map(|(column, _)| *column).collect();
        Ok(joined.into_batch(&columns, complete_up_to, warnings))
    }

    /// Asks one run; halves it when the server says it would load too many samples.
    async fn ask(
        &self,
        request: &Request,
        text: &str,
        run: Run,
    ) -> Result<(Vec<Series>, Vec<String>), FetchError> {
        let mut waiting = vec![run];
        let (mut series, mut warnings) = (Vec::new(), Vec::new());
        while let Some(run) = waiting.pop() {
            let promql = promql(request, text, &run)?;
            match self.client.query(&promql, &run).await {
                Ok(answer) => {
                    series.extend(answer.series);
                    warnings.extend(answer.warnings);
                }
                Err(error) if error.class == FetchClass::CostGuard => match run.halves() {
                    Some((first, second)) => waiting.extend([second, first]),
                    None => return Err(error),
                },
                Err(error) => return Err(error),
            }
        }
        Ok((series, warnings))
    }
}

impl Source for PrometheusSource {
    fn kind(&self) -> &'static str {
        "prometheus"
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Batch, FetchError>> {
        Box::pin(self.fetch_all(request))
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), FetchError>> {
        Box::pin(async {
            let run = Run { first_end: Timestamp::UNIX_EPOCH, step_ms: SECOND_MS, count: 1 };
            self.client.query("vector(1)", &run).await.map(|_| ())
        })
    }

    fn rhythm(&self) -> Span {
        Span::seconds(30)
    }

    fn grain(&self) -> Span {
        Span::hours(1)
    }

    fn lateness(&self) -> Span {
        self.query_delay
    }
}

/// Whether the need is one value of this moment (a guardrail's bound) and not a series: such a
/// window is one period long and starts anywhere.
fn is_number_of_now(need: &Need) -> bool {
    let length_ms = ms_between(need.window.start, need.window.end);
    need.shape == Shape::Form(Form::Value) && length_ms <= need.grain.ms
}

/// The PromQL of every contract column, in the shape's order.
fn queries(request: &Request) -> Result<Vec<(&'static str, &str)>, FetchError> {
    let wrong = |message: String| Err(FetchError::new(FetchClass::UserError, message));
    let query = &request.need.query;
    let wanted = request.need.shape.columns();
    if query.file.is_some() || query.sql.is_some() || !query.only.is_empty() {
        let named = wanted.join(", ");
        return wrong(format!(
            "a Prometheus source takes PromQL for {named}, no file, sql or only"
        ));
    }
    let known = |name: &str| name == "arm" || wanted.contains(&name);
    if let Some(name) = query.columns.keys().find(|name| !known(name)) {
        return wrong(format!("query column {name} is not one of {}, arm", wanted.join(", ")));
    }
    let mut queries = Vec::new();
    for column in wanted {
        match query.columns.get(*column) {
            Some(text) => queries.push((*column, text.as_str())),
            None => return wrong(format!("the query has no PromQL for {column}")),
        }
    }
    Ok(queries)
}

/// The query of one run with its placeholders as PromQL literals.
fn promql(request: &Request, text: &str, run: &Run) -> Result<String, FetchError> {
    let need = &request.need;
    let seconds = |at: Timestamp| schedule::seconds(at.as_millisecond());
    render(text, opaque, |hole| match hole {
        Placeholder::Grain => Some(Span { ms: run.step_ms }.to_string()),
        Placeholder::Start => Some(seconds(need.window.start)),
        Placeholder::End => Some(seconds(need.window.end)),
        // A label value: ids are `[a-z0-9-]`, so nothing in them needs escaping.
        Placeholder::Experiments => Some(format!("\"{}\"", need.experiment)),
        Placeholder::StartDate | Placeholder::EndDate => None,
    })
}

/// Strings and comments of PromQL.
fn opaque(text: &str) -> Option<(usize, &'static str)> {
    let first = text.chars().next()?;
    match first {
        '#' => Some((text.find('\n').unwrap_or(text.len()), "a comment")),
        '`' => Some((text[1..].find('`').map_or(text.len(), |end| end + 2), "a string")),
        '"' | '\'' => {
            let mut escaped = false;
            let end = text.char_indices().skip(1).find(|(_, letter)| {
                let ends = !escaped && *letter == first;
                escaped = !escaped && *letter == '\\';
                ends
            });
            Some((end.map_or(text.len(), |(index, _)| index + 1), "a string"))
        }
        _ => None,
    }
}
