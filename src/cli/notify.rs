//! `verdictd notify`: samples and the receiver's own words to them, messages sent again, keys.

use clap::Subcommand;
use serde_json::json;

use super::output::{Failure, complain, say};
use super::{SettingsArgs, notify_policy};
use crate::clock::{Clock as _, SystemClock};
use crate::deliver::{self, ReceiverConfig, sign};
use crate::settings::Settings;
use crate::store::Store;

/// Work with receivers
#[derive(Debug, Subcommand)]
pub(super) enum NotifyCommand {
    /// Send a dead or delivered message again, with the same id and bytes
    Resend {
        /// Id of the message (msg_...), as /api/v1/deliveries lists it
        id: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Record that a notice was seen: it is not told again while it stays as it is
    Ack(notify_policy::AckArgs),
    /// Say who would hear about an experiment, when and why
    Route(notify_policy::RouteArgs),
    /// Say what became of what was said about an experiment: who heard it, who did not, and why
    Why(notify_policy::WhyArgs),
    /// Make a signing secret, or an ed25519 pair, and say where to put it
    Keygen {
        /// Make an ed25519 pair: receivers then hold no secret
        #[arg(long)]
        ed25519: bool,
        /// Make a secret of 48 bytes instead of 24
        #[arg(long, conflicts_with = "ed25519")]
        long: bool,
    },
    /// Print a sample of every kind as it would be sent, one JSON object per line; nothing is sent
    Render {
        /// Name of a receiver in the settings
        endpoint: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Send a marked sample of every kind and print what the receiver answers
    Test {
        /// Name of a receiver in the settings
        endpoint: String,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

/// Exit code 0 when every sample was taken, 1 when one was not.
pub(super) async fn run(command: NotifyCommand) -> Result<u8, Failure> {
    match command {
        NotifyCommand::Keygen { ed25519: true, .. } => key_pair(),
        NotifyCommand::Keygen { long, .. } => secret(long),
        NotifyCommand::Render { endpoint, settings } => render(&endpoint, &settings),
        NotifyCommand::Resend { id, settings } => resend(&id, &settings).await,
        NotifyCommand::Ack(args) => notify_policy::ack(args).await,
        NotifyCommand::Route(args) => notify_policy::route(args).await,
        NotifyCommand::Why(args) => notify_policy::why(args).await,
        NotifyCommand::Test { endpoint, settings } => test(&endpoint, &settings).await,
    }
}

/// Only the key goes to standard output, so that it can be sent straight into a file.
fn secret(is_long: bool) -> Result<u8, Failure> {
    let secret = sign::new_secret(is_long).map_err(|error| Failure::usage(error.to_string()))?;
    complain(
        "a signing secret (v1), for both sides. Put it into a file that only the daemon reads,\n\
         and name the file in the settings:\n\n  \
         [receivers.NAME.webhook]\n  secret = {file = \"/etc/verdictd/NAME.secret\"}\n\n\
         To rotate: the old one becomes `previous_secret`, with `previous_until` a day from now.\n",
    );
    say(&format!("{secret}\n"));
    Ok(0)
}

fn key_pair() -> Result<u8, Failure> {
    let (private, public) =
        sign::new_key_pair().map_err(|error| Failure::usage(error.to_string()))?;
    complain(&format!(
        "an ed25519 pair (v1a). The receiver gets the public key:\n\n  {public}\n\n\
         The private key stays here, in a file that only the daemon reads:\n\n  \
         [receivers.NAME.webhook]\n  private_key = {{file = \"/etc/verdictd/NAME.key\"}}\n\n\
         To rotate: the old one becomes `previous_private_key`, with `previous_until` a day from \
         now.\n"
    ));
    say(&format!("{private}\n"));
    Ok(0)
}

/// Puts the message back into the queue; the daemon sends it once, without the ladder.
async fn resend(id: &str, settings: &SettingsArgs) -> Result<u8, Failure> {
    let settings = settings.settings()?;
    let store = Store::open(&settings.store.path)?;
    if !store.redeliver(id, SystemClock.wall_now()).await? {
        return Err(Failure::usage(format!("no message `{id}` that could be sent again")));
    }
    say(&format!("queued {id}; the daemon sends it once\n"));
    Ok(0)
}

/// Bodies that are JSON stand as they are, others as text.
fn render(endpoint: &str, settings: &SettingsArgs) -> Result<u8, Failure> {
    let settings = settings.settings()?;
    let config = named(&settings, endpoint)?;
    let url = settings.external_url();
    for sample in deliver::render_samples(endpoint, config, &url, SystemClock.wall_now()) {
        let body = serde_json::from_str(&sample.body).unwrap_or_else(|_| json!(sample.body));
        let line = json!({"type": sample.kind, "id": sample.id, "body": body});
        say(&format!("{line}\n"));
    }
    Ok(0)
}

/// The receiver of that name, or a failure that lists those there are.
fn named<'a>(settings: &'a Settings, endpoint: &str) -> Result<&'a ReceiverConfig, Failure> {
    settings.receivers.get(endpoint).ok_or_else(|| {
        let known: Vec<&str> = settings.receivers.keys().map(String::as_str).collect();
        Failure::usage(format!(
            "no receiver `{endpoint}` in the settings; there are: {}",
            known.join(", ")
        ))
    })
}

async fn test(endpoint: &str, settings: &SettingsArgs) -> Result<u8, Failure> {
    let settings = settings.settings()?;
    let config = named(&settings, endpoint)?;
    let url = settings.external_url();
    let answers = deliver::send_samples(endpoint, config, &url, SystemClock.wall_now())
        .await
        .map_err(|error| Failure::usage(error.to_string()))?;
    let mut refused = 0;
    for answer in &answers {
        let word = if answer.is_ok { "taken  " } else { "REFUSED" };
        refused += u8::from(!answer.is_ok);
        say(&format!("{word} {:<30} {}\n", answer.kind, answer.detail));
    }
    Ok(u8::from(refused > 0))
}
