//! `verdictd demo`: the five stories through the real line on a fast clock.

use std::path::PathBuf;

use clap::Args;

use super::output::{Failure, say};
use crate::demo::{self, DemoOptions};

/// Play the five stories
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Moves times and mess of the data, never the totals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the page listens
    #[arg(long, default_value = "127.0.0.1:8087", value_name = "ADDRESS")]
    listen: String,
    /// End after the summary instead of keeping the page open
    #[arg(long)]
    exit: bool,
    /// Keep store and data here instead of in a temporary folder
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
    /// Only write the data of the stories into this folder
    #[arg(long, value_name = "FOLDER")]
    write_data: Option<PathBuf>,
}

/// Plays and tells; exit code 1 when a story ended otherwise than it should.
pub(super) async fn run(args: DemoArgs) -> Result<u8, Failure> {
    if let Some(folder) = args.write_data {
        demo::write_data(&folder, args.seed)?;
        say(&format!("wrote the data of seed {} into {}\n", args.seed, folder.display()));
        return Ok(0);
    }
    let outcome = demo::run(DemoOptions {
        seed: args.seed,
        keep_open: !args.exit,
        listen: args.listen,
        dir: args.dir,
        quiet: false,
    })
    .await?;
    Ok(u8::from(!outcome.all_as_told()))
}
