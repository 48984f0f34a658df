//! The experiment file: text in, [`Experiment`] and every diagnostic out.
//!
//! First step of the line. Parsing never fails: [`parse()`] returns what it could read and all that
//! is wrong with it at once. The Definition-of-Done lint (`lint`) decides draft or runnable.

mod at_threshold;
mod beside;
mod burn_table;
mod diagnostic;
mod drift;
mod lint;
mod method;
mod model;
mod nearest;
pub mod openslo;
mod parse;
mod plain;
mod rule;
mod rule_parse;
mod schema;
mod slo;
mod tree;

pub(crate) use at_threshold::at_threshold;
pub use beside::*;
pub use burn_table::{TableAlerts, default_alerts};
pub use diagnostic::{Diagnostic, Severity, SourcePos, codes, render};
pub use drift::*;
pub use lint::{Finding, check, lint};
pub use method::{About, Design, MethodName, fitting};
pub use model::*;
pub(crate) use nearest::nearest;
pub use parse::openslo::{is_openslo, openslo as read_openslo};
pub use parse::{Context, Parsed, parse};
pub use plain::plain_yaml;
pub use rule::{Amount, Atom, AtomKind, Rule, Side};
pub use rule_parse::{RuleError, SignalInfo, parse_rule};
pub use schema::json_schema;
pub use slo::*;
