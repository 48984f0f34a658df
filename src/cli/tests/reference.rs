//! `docs/reference` is made from the code: command line, settings, diagnostics, exit codes.

use clap::CommandFactory as _;
use judge::spec;

use super::super::Cli;
use super::super::output::{UNREACHABLE, USAGE};
use crate::golden::{assert_page, row};
use crate::settings::DEFAULTS;

/// Help of a command and of all below it.
fn help(command: &mut clap::Command, path: &str, page: &mut String) {
    let text = format!("\n## {path}\n\n```text\n{}\n```\n", command.render_help());
    page.push_str(&text);
    for below in command.get_subcommands_mut().filter(|below| below.get_name() != "help") {
        let path = format!("{path} {}", below.get_name());
        help(below, &path, page);
    }
}

#[test]
fn the_page_of_the_command_line_is_current() {
    let mut command = Cli::command().term_width(80);
    command.build();
    let mut page = "# Command line\n\nMade from the definition of the command line; \
                    [exit codes](exit-codes.md) have a page of their own.\n"
        .to_owned();
    help(&mut command, "verdictd", &mut page);
    let lines: Vec<&str> = page.lines().map(str::trim_end).collect();
    assert_page("cli.md", &format!("{}\n", lines.join("\n")));
}

#[test]
fn the_page_of_the_settings_is_current() {
    let mut page = "# Settings\n\nOne TOML file (`--config`); made from `config/default.toml`. \
                    Built-in defaults < file < environment\n(`VERDICTD_SECTION__KEY`) < \
                    `--set KEY=VALUE`. Unknown keys and unknown `VERDICTD_*` variables are\n\
                    errors. `verdictd config print` shows every value with its origin. A secret \
                    is a reference:\n`{env = \"NAME\"}` or `{file = \"PATH\"}`.\n"
        .to_owned();
    let mut comment = String::new();
    for line in DEFAULTS.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment = format!("{comment}{text}");
        } else if line.starts_with('[') {
            page = format!("{page}\n## `{line}`\n\n");
            comment.clear();
        } else if let Some((key, value)) = line.split_once(" = ") {
            let is_first = page.ends_with("`\n\n");
            if is_first {
                page.push_str(&row(&["key", "default", "meaning"]));
                page.push_str(&row(&["---", "---", "---"]));
            }
            page.push_str(&row(&[&format!("`{key}`"), &format!("`{value}`"), comment.trim()]));
            comment.clear();
        } else {
            comment.clear();
        }
    }
    for name in ["sources", "receivers", "actions"] {
        assert!(page.contains(&format!("## `[{name}]`")), "no section {name}");
    }
    assert_page("settings.md", &page);
}

#[test]
fn the_page_of_the_diagnostics_is_current() {
    let mut page = "# Diagnostics of experiment files\n\nMade from the list of codes. `E`: the \
                    file is broken. `D`: it is a draft and is not looked at.\n`W`: it runs, and \
                    somebody should know. `verdictd check` shows place, cause and fix of each.\n\n"
        .to_owned();
    page.push_str(&row(&["code", "meaning"]));
    page.push_str(&row(&["---", "---"]));
    for (code, meaning) in spec::codes() {
        page.push_str(&row(&[&format!("`{code}`"), meaning]));
    }
    assert_page("diagnostics.md", &page);
}

#[test]
fn the_page_of_the_exit_codes_is_current() {
    let usage = USAGE.to_string();
    let unreachable = UNREACHABLE.to_string();
    let rows = [
        ["any", "0", "it did what was asked"],
        ["any", &usage, "wrong call, wrong settings, or a fault of the tool itself"],
        ["any", &unreachable, "the store cannot be reached"],
        ["`check`", "0", "no findings"],
        ["`check`", "1", "findings"],
        ["`check`", &usage, "a file cannot be read"],
        ["`test`", "1", "a case does not hold"],
        ["`analyze`", "1", "a line, or the question, has no answer"],
        ["`notify test`", "1", "a sample was refused"],
        ["`actions test`", "0", "the flag reads as off"],
        ["`actions test`", "1", "it does not, or cannot be read"],
        ["`demo`", "1", "a story ended otherwise than it should"],
        ["`slo`", "0", "everything in it can be kept"],
        [
            "`slo`",
            "1",
            "faults in the file, no objective, or alerts that do not do what they should",
        ],
        ["`eval --exit-code`", "0", "continue"],
        ["`eval --exit-code`", "10", "change"],
        ["`eval --exit-code`", "20", "stop"],
        ["`eval --exit-code`", "21", "stop, because a guardrail tripped"],
        ["`eval --exit-code`", "30", "hold"],
        ["`eval --exit-code`", "75", "collecting, or nothing to evaluate"],
        ["`replay`", "0", "it was played; with `--exit-code` the codes of `eval --exit-code`"],
        ["`replay`", &unreachable, "a source could not be read, or an answer was refused"],
        ["`gate`", "0", "continue, or a word of `--allow`"],
        ["`gate`", "10", "change"],
        ["`gate`", "20", "stop"],
        ["`gate`", "21", "stop, because a guardrail tripped"],
        ["`gate`", "30", "hold"],
        ["`gate`", &unreachable, "stale, or the daemon or the store cannot be reached"],
        ["`gate`", "75", "collecting"],
        ["`gate`", &usage, "no such experiment, or a wrong call"],
    ];
    let mut page = "# Exit codes\n\n`eval --exit-code` over several experiments gives the highest \
                    code. Without the flag `eval` gives 0\nwhen it ran. A closed pipe ends any \
                    command quietly with 0.\n\n"
        .to_owned();
    page.push_str(&row(&["command", "code", "meaning"]));
    page.push_str(&row(&["---", "---", "---"]));
    for cells in rows {
        page.push_str(&row(&cells));
    }
    assert_page("exit-codes.md", &page);
}
