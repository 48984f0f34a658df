//! Generated pages of `docs/reference`: compared by tests, rewritten with `UPDATE_GOLDEN=1`.

use std::path::Path;

/// Fails when the page is not what the code says now.
pub(crate) fn assert_page(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, generated).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    let hint = "is stale: run the tests once with UPDATE_GOLDEN=1";
    assert!(stored == generated, "{} {hint}", path.display());
}

/// A row of a Markdown table.
pub(crate) fn row(cells: &[&str]) -> String {
    let escaped: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    format!("| {} |\n", escaped.join(" | "))
}
