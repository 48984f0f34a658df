//! `verdictd new`: an experiment file from a template, with named blanks that `check` points at.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::output::{Failure, say};

/// Write an experiment file
#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Id of the experiment: a-z, 0-9 and hyphens; also the file name
    id: String,
    /// Which kind of work it is for
    #[arg(long, value_enum, default_value = "product")]
    template: Template,
    /// Folder to write into
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    dir: PathBuf,
}

/// The templates that ship.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Template {
    Product,
    Recruiting,
    Sales,
    Platform,
    Support,
}

impl Template {
    fn text(self) -> &'static str {
        match self {
            Self::Product => include_str!("../../config/templates/product.yaml"),
            Self::Recruiting => include_str!("../../config/templates/recruiting.yaml"),
            Self::Sales => include_str!("../../config/templates/sales.yaml"),
            Self::Platform => include_str!("../../config/templates/platform.yaml"),
            Self::Support => include_str!("../../config/templates/support.yaml"),
        }
    }
}

/// Never overwrites.
pub(super) fn run(args: NewArgs) -> Result<u8, Failure> {
    let is_id = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if args.id.is_empty() || args.id.len() > 64 || !args.id.bytes().all(is_id) {
        let hint = "use a-z, 0-9 and hyphens, at most 64 characters";
        return Err(Failure::usage(format!("`{}` is not an id: {hint}", args.id)));
    }
    let path = args.dir.join(format!("{}.yaml", args.id));
    let text = args.template.text().replace("EXPERIMENT-ID", &args.id);
    let mut file = std::fs::File::options()
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    file.write_all(text.as_bytes()).map_err(anyhow::Error::from)?;
    let name = path.display();
    say(&format!("wrote {name}\nnext: fill in the <blanks>, then `verdictd check {name}`\n"));
    Ok(0)
}
