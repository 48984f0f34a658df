//! `verdictd decide EXP ACTION --because ...`: a human decision, written into the log.

use clap::{Args, ValueEnum};
use judge::lifecycle::{HumanAction, HumanDecision};

use super::SettingsArgs;
use super::output::{Failure, say};
use crate::clock::{Clock as _, SystemClock};
use crate::cycle::human::{self, Decree};
use crate::store::Store;

/// Record a human decision
#[derive(Debug, Args)]
pub(super) struct DecideArgs {
    /// Experiment id
    experiment: String,
    /// What is decided
    action: ActionArg,
    /// Why; stays in the log
    #[arg(long)]
    because: String,
    /// Who decides; `stop` needs a name of `can_stop` or of daemon.admins
    #[arg(long, value_name = "NAME")]
    by: String,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// The actions as words.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ActionArg {
    Confirm,
    Continue,
    Change,
    Stop,
    Objects,
    Rearm,
    Pause,
    Resume,
    DefaultUpdated,
    Archive,
    /// The review was held; go on as planned
    Reviewed,
    /// The definitions of its signals were audited
    Audited,
    /// Accept changed definitions, or a split mismatch: it is checked anew from now on
    Acknowledge,
}

impl ActionArg {
    /// The decision; `None` for an acknowledgement, which changes no life.
    fn action(self) -> Option<HumanAction> {
        Some(match self {
            Self::Confirm => HumanAction::Confirm,
            Self::Continue => HumanAction::OverruleContinue,
            Self::Change => HumanAction::OverruleChange,
            Self::Stop => HumanAction::Stop,
            Self::Objects => HumanAction::Objects,
            Self::Rearm => HumanAction::Rearm,
            Self::Pause => HumanAction::Pause,
            Self::Resume => HumanAction::Resume,
            Self::DefaultUpdated => HumanAction::DefaultUpdated,
            Self::Archive => HumanAction::Archive,
            Self::Reviewed => HumanAction::Reviewed,
            Self::Audited => HumanAction::Audited,
            Self::Acknowledge => return None,
        })
    }
}

/// Whoever may write the store file is trusted with the name; the API asks for a token instead.
pub(super) async fn run(args: DecideArgs) -> Result<u8, Failure> {
    let settings = args.settings.settings()?;
    let store = Store::open(&settings.store.path)?;
    let at = SystemClock.domain_now();
    let Some(action) = args.action.action() else {
        let changed = human::acknowledge(&store, &args.experiment, &args.by, &args.because, at)
            .await
            .map_err(|error| Failure::usage(error.to_string()))?;
        let split = changed.split.then(|| "the split mismatch; a new allocation begins".to_owned());
        let what: Vec<String> = split.into_iter().chain(changed.signals).collect();
        let what = if what.is_empty() { "nothing changed".to_owned() } else { what.join(", ") };
        say(&format!("acknowledged: {what}\n"));
        return Ok(0);
    };
    let is_admin = settings.daemon.admins.contains(&args.by);
    let decree = Decree {
        experiment: &args.experiment,
        decision: HumanDecision { who: args.by, because: args.because, action },
        is_admin,
        evaluation_id: None,
        at,
    };
    let entry =
        human::decide(&store, decree).await.map_err(|error| Failure::usage(error.to_string()))?;
    say(&format!("recorded: {}\n", entry.text));
    Ok(0)
}
