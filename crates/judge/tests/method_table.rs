//! The method tables of `docs/statistics.md`, held to the code: `UPDATE_GOLDEN=1` rewrites them.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests read files and fail by panic"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use judge::spec::{Design, Form, LookPlan, MethodName, fitting};

const BEGIN: &str = "<!-- methods: begin (UPDATE_GOLDEN=1 cargo test -p judge rewrites) -->\n";
const END: &str = "<!-- methods: end -->\n";

fn table() -> String {
    let mut out = String::from(
        "| method | what | chosen | formula | citation | holds when |\n|---|---|---|---|---|---|\n",
    );
    for method in MethodName::ALL {
        let about = method.about();
        let link = format!("[{0}](../crates/judge/src/stats/{0})", about.file);
        writeln!(
            out,
            "| `{}` | {} | {} | {link} | {} | {} |",
            about.name, about.title, about.chosen, about.citation, about.assumes
        )
        .unwrap();
    }
    out.push_str("\nWhat fits what, the automatic choice first:\n\n");
    out.push_str("| form | against | every look | `once` | `weekly` |\n|---|---|---|---|---|\n");
    for form in [Form::Proportion, Form::Mean, Form::Ratio, Form::Rate, Form::Value] {
        for design in [Design::Arms, Design::Stated, Design::Measured] {
            let named = serde_json::to_value(form).unwrap();
            let fits = |look| {
                let names = fitting(design, form, look).iter().map(|m| format!("`{}`", m.name()));
                names.collect::<Vec<_>>().join(", ")
            };
            writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                named.as_str().unwrap(),
                design.words(),
                fits(LookPlan::Always),
                fits(LookPlan::Once),
                fits(LookPlan::Weekly(2)),
            )
            .unwrap();
        }
    }
    out
}

#[test]
fn the_documented_methods_are_the_ones_in_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = root.join("docs/statistics.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table's beginning is marked");
    let (found, after) = rest.split_once(END).expect("the table's end is marked");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert!(found == table(), "UPDATE_GOLDEN=1 cargo test -p judge --test method_table rewrites");
}

#[test]
fn every_method_names_a_file_that_cites_its_source() {
    let stats = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/stats");
    for method in MethodName::ALL {
        let about = method.about();
        let text = fs::read_to_string(stats.join(about.file)).expect(about.file);
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(head.contains("Assumptions") || about.name == "exact", "{}", about.file);
        assert!(!about.citation.is_empty() && !about.assumes.is_empty());
    }
}
