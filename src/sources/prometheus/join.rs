//! From one answer per column to rows: joined by (arm label, period end).
//!
//! A row exists only where every column has a sample. Without arms there is one series per
//! query, with arms one per arm; anything else is refused by the labels that differ.

use std::collections::{BTreeMap, BTreeSet};

use judge::plan::{Batch, Cell, Row};
use judge::time::{Timestamp, Window};

use super::parse::{Sample, Series};
use crate::sources::{FetchClass, FetchError};

/// Answers so far.
pub(super) struct Joined<'a> {
    /// Period start by period end, in milliseconds.
    starts: BTreeMap<i64, Timestamp>,
    arm_label: Option<&'a str>,
    /// Which labels a (column, arm) has been seen with.
    labels: BTreeMap<(String, String), BTreeMap<String, String>>,
    /// Cells by (period end, arm), then column.
    cells: BTreeMap<(i64, String), BTreeMap<String, Option<f64>>>,
}

impl<'a> Joined<'a> {
    /// Nothing yet; `arm_label` is `None` without arms.
    pub(super) fn new(periods: &[Window], arm_label: Option<&'a str>) -> Self {
        let starts = periods.iter().map(|period| (period.end.as_millisecond(), period.start));
        Self {
            starts: starts.collect(),
            arm_label,
            labels: BTreeMap::new(),
            cells: BTreeMap::new(),
        }
    }

    /// Adds the series of one column.
    pub(super) fn add(&mut self, column: &str, series: Vec<Series>) -> Result<(), FetchError> {
        for one in series {
            let arm = self.arm(column, &one)?;
            if one.is_histogram {
                let shown = shown(&one.labels);
                return refuse(format!(
                    "{column}: {shown} is a native histogram, not numbers: use \
                     histogram_count(), histogram_sum() or histogram_fraction()"
                ));
            }
            self.check_single(column, &arm, &one.labels)?;
            for Sample { at_ms, value } in one.samples {
                if !self.starts.contains_key(&at_ms) {
                    return refuse(format!("{column}: a sample at {at_ms} ms was not asked for"));
                }
                let cells = self.cells.entry((at_ms, arm.clone())).or_default();
                cells.insert(column.to_owned(), value);
            }
        }
        Ok(())
    }

    fn arm(&self, column: &str, series: &Series) -> Result<String, FetchError> {
        let Some(label) = self.arm_label else {
            return Ok(String::new());
        };
        match series.labels.get(label) {
            Some(arm) => Ok(arm.clone()),
            None => refuse(format!(
                "{column}: {} has no label {label}, which names the arm: aggregate `by ({label})`",
                shown(&series.labels)
            )),
        }
    }

    /// One column and arm is one series, over all requests of a fetch.
    fn check_single(
        &mut self,
        column: &str,
        arm: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), FetchError> {
        let key = (column.to_owned(), arm.to_owned());
        let Some(first) = self.labels.get(&key) else {
            self.labels.insert(key, labels.clone());
            return Ok(());
        };
        if first == labels {
            return Ok(());
        }
        let names: BTreeSet<&String> = first.keys().chain(labels.keys()).collect();
        let differ = names.into_iter().filter(|name| first.get(*name) != labels.get(*name));
        let differ: Vec<&str> = differ.map(String::as_str).collect();
        refuse(format!(
            "{column}: more than one series where one is needed; they differ in {}: {} and {}: \
             aggregate with sum(...) or select one",
            differ.join(", "),
            shown(first),
            shown(labels)
        ))
    }

    /// The rows that have every column.
    pub(super) fn into_batch(
        self,
        columns: &[&str],
        complete_up_to: Option<Timestamp>,
        warnings: Vec<String>,
    ) -> Batch {
        let mut names = vec!["time".to_owned()];
        names.extend(self.arm_label.map(|_| "arm".to_owned()));
        names.extend(columns.iter().map(|column| (*column).to_owned()));
        let mut rows = Vec::new();
        for ((end_ms, arm), found) in &self.cells {
            let values: Option<Vec<Cell>> =
                columns.iter().map(|column| found.get(*column).map(|value| cell(*value))).collect();
            let (Some(values), Some(start)) = (values, self.starts.get(end_ms)) else {
                continue;
            };
            let mut cells = vec![Cell::Time(*start)];
            cells.extend(self.arm_label.map(|_| Cell::Text(arm.clone())));
            cells.extend(values);
            rows.push(Row { cells, place: self.place(*start, arm) });
        }
        if rows.is_empty() && !self.cells.is_empty() {
            let columns = columns.join(", ");
            tracing::debug!(columns, "no period has all columns; an absent series is not zero");
        }
        Batch { columns: names, rows, complete_up_to, warnings }
    }

    fn place(&self, start: Timestamp, arm: &str) -> String {
        match self.arm_label {
            Some(label) => format!("series {{{label}={arm:?}}} at {start}"),
            None => format!("series at {start}"),
        }
    }
}

fn cell(value: Option<f64>) -> Cell {
    value.map_or(Cell::NonFinite, Cell::Num)
}

fn shown(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn refuse<T>(message: String) -> Result<T, FetchError> {
    Err(FetchError::new(FetchClass::Contract, message))
}
