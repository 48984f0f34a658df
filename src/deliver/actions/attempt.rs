//! One attempt of an action: ask and read back, in the order that what is known asks for.

use std::sync::Arc;
use std::time::Duration;

use super::{Act, ActionConfig, Asked, Place};
use crate::deliver::endpoint::Arming;
use crate::deliver::receivers::Envelope;
use crate::deliver::{BuildError, ErrorClass, SendError, Then};
use crate::store::Store;

/// How far one attempt got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::deliver) enum Reached {
    /// The flag reads as wanted.
    Confirmed,
    /// The request was taken; the flag does not read as wanted yet.
    Accepted,
    /// The request was not taken.
    Requested,
    /// The request was not taken, and waiting will not change that: a person must act.
    Refused,
    /// The request was taken, and there is no way to read the flag.
    Blind,
    /// Nothing was sent, and nothing will be.
    NotSent,
}

/// What one attempt led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::deliver) struct Progress {
    pub(in crate::deliver) reached: Reached,
    pub(in crate::deliver) status: Option<u16>,
    /// `ok`, or an error class.
    pub(in crate::deliver) class: &'static str,
    pub(in crate::deliver) detail: String,
    /// How long the service asked to be left alone.
    pub(in crate::deliver) retry_after: Option<Duration>,
}

/// A rollback action ready to run.
#[derive(Debug)]
pub(in crate::deliver) struct Action {
    arming: Arming,
    pub(super) act: Arc<dyn Act>,
}

/// Makes an action, or says what is wrong with its configuration.
pub(in crate::deliver) fn build_action(
    name: &str,
    config: &ActionConfig,
    store: Option<&Store>,
) -> Result<Action, BuildError> {
    let (network, arming, kind) = config.parts();
    let fault = |cause| BuildError { name: name.to_owned(), cause };
    if arming.max_per_day == 0 {
        let hint = "`max_per_day` is 0; write 1 or more, or `armed = false`";
        return Err(fault(hint.to_owned()));
    }
    let act = kind.act(&Place { name, network, store }).map_err(fault)?;
    Ok(Action { arming: arming.clone(), act })
}

impl Action {
    /// Asks, unless an earlier attempt was taken, and reads back once.
    ///
    /// What was told as unconfirmed is read before it is asked for again: a person may have done
    /// it meanwhile, and a service with approvals would open one more.
    pub(in crate::deliver) async fn attempt(&self, envelope: &Envelope, asked: Asked) -> Progress {
        if let Some(why) = self.not_sent() {
            return Progress::not_sent(ErrorClass::NotArmed, why);
        }
        if asked == Asked::Taken {
            return self.read(envelope, None).await;
        }
        if asked == Asked::Again {
            let read = self.read(envelope, None).await;
            if read.reached == Reached::Confirmed {
                return read;
            }
        }
        match self.act.ask(envelope).await {
            Ok(status) => self.read(envelope, status).await,
            Err(error) if is_hopeless(&error) => Progress::failed(Reached::Refused, None, &error),
            Err(error) => Progress::failed(Reached::Requested, None, &error),
        }
    }

    async fn read(&self, envelope: &Envelope, status: Option<u16>) -> Progress {
        match self.act.read_back(envelope).await {
            Ok(detail) => Progress::confirmed(status, detail),
            Err(error) if error.class == ErrorClass::NoReadBack => {
                Progress::failed(Reached::Blind, status, &error)
            }
            Err(error) => Progress::failed(Reached::Accepted, status, &error),
        }
    }

    fn not_sent(&self) -> Option<String> {
        if !self.arming.armed {
            return Some("the action is not armed (`armed = true`): nothing was sent".to_owned());
        }
        let intent = || format!("dry run: would send {}; nothing was sent", self.act.intent());
        self.arming.dry_run.then(intent)
    }
}

/// Whether the next attempts will fail the same way until a person does something.
fn is_hopeless(error: &SendError) -> bool {
    !matches!(error.then, Then::Retry { .. })
        || matches!(error.class, ErrorClass::Config | ErrorClass::Blocked)
}

impl Progress {
    /// Nothing could be done at all.
    pub(in crate::deliver) fn unknown(error: &SendError) -> Self {
        Self::failed(Reached::Refused, None, error)
    }

    /// Nothing was sent, on purpose.
    pub(in crate::deliver) fn not_sent(class: ErrorClass, detail: String) -> Self {
        let (reached, class) = (Reached::NotSent, class.as_str());
        Self { reached, status: None, class, detail, retry_after: None }
    }

    /// The flag said so.
    pub(in crate::deliver) fn confirmed(status: Option<u16>, detail: String) -> Self {
        Self { reached: Reached::Confirmed, status, class: "ok", detail, retry_after: None }
    }

    fn failed(reached: Reached, status: Option<u16>, error: &SendError) -> Self {
        Self {
            reached,
            status: error.status.or(status),
            class: error.class.as_str(),
            detail: error.detail.clone(),
            retry_after: match error.then {
                Then::Retry { after } => after,
                _ => None,
            },
        }
    }
}
