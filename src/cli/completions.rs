//! `verdictd completions SHELL`: generated from the command line's own definition.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;
use super::output::say;

/// Print shell completions
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: CompletionsArgs) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "verdictd", &mut script);
    say(&String::from_utf8_lossy(&script));
    0
}
