//! Tables of answers, one file per receiver, and how their last column is read.
//!
//! A row is cells between ` | `; `#` begins a comment. The last cell is the outcome: `delivered`,
//! `retry CLASS [after SECONDS]`, `permanent CLASS`, `shrink CLASS` or `disable CLASS`.

use crate::deliver::{Receipt, SendError, Then};

/// The rows of a table, each with that many cells.
pub(super) fn rows(name: &str, cells: usize) -> Vec<Vec<String>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/deliver/tests/tables");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows: Vec<Vec<String>> =
        lines.map(|line| line.split(" | ").map(|cell| cell.trim().to_owned()).collect()).collect();
    for row in &rows {
        assert_eq!(row.len(), cells, "{name}: {row:?}");
    }
    rows
}

/// A result in the words of the tables.
pub(super) fn outcome(result: &Result<Receipt, SendError>) -> String {
    let Err(error) = result else { return "delivered".to_owned() };
    let class = error.class;
    match error.then {
        Then::Retry { after: None } => format!("retry {class}"),
        Then::Retry { after: Some(after) } => {
            format!("retry {class} after {}", after.as_secs_f64())
        }
        Then::Permanent => format!("permanent {class}"),
        Then::Shrink => format!("shrink {class}"),
        Then::Disable => format!("disable {class}"),
    }
}
