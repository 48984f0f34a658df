//! The verdictd binary: reads the command line and calls the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    verdictd::cli::main()
}
