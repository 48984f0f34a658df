//! Every row of the verdict table, every comparison in it, on bent copies of one passing look.

mod alarms;
mod early;
mod holds;
mod table;

use super::{Cause, Outcome, Reason, Verdict, decide};
use crate::fixture::Look;

fn outcome(look: &Look) -> Outcome {
    decide(&look.input, &look.analysis)
}

/// The row that matched.
fn row(look: &Look) -> (Verdict, Cause) {
    let decision = outcome(look).decision;
    (decision.verdict, decision.cause)
}

fn reasons(look: &Look) -> Vec<Reason> {
    outcome(look).decision.reasons
}

const GRADUATE: (Verdict, Cause) = (Verdict::Continue, Cause::Graduate);
const KEEP_RUNNING: (Verdict, Cause) = (Verdict::Continue, Cause::KeepRunning);
const EXTEND: (Verdict, Cause) = (Verdict::Change, Cause::Extend);
const MECHANISM: (Verdict, Cause) = (Verdict::Change, Cause::Mechanism);
const NO_CYCLES: (Verdict, Cause) = (Verdict::Stop, Cause::NoCyclesLeft);
const PAST_BY: (Verdict, Cause) = (Verdict::Stop, Cause::PastBy);
const FUTILE: (Verdict, Cause) = (Verdict::Stop, Cause::Futile);
const HARMFUL: (Verdict, Cause) = (Verdict::Stop, Cause::Harmful);
const TRIPPED: (Verdict, Cause) = (Verdict::Stop, Cause::Tripped);
const MISSING: (Verdict, Cause) = (Verdict::Hold, Cause::DataMissing);
const SRM: (Verdict, Cause) = (Verdict::Hold, Cause::Srm);
const CHANGED: (Verdict, Cause) = (Verdict::Hold, Cause::DefinitionChanged);
const ON_TRACK: (Verdict, Cause) = (Verdict::Collecting, Cause::OnTrack);
const UNREACHABLE: (Verdict, Cause) = (Verdict::Collecting, Cause::CannotBeReached);
const WAITING: (Verdict, Cause) = (Verdict::Collecting, Cause::WaitingForMaturity);
