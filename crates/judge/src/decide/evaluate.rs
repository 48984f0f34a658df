//! One evaluation from its frozen input: analyse, decide, record. Total, no panics.

use crate::analyse::{Analysis, RuleValue, Truth, analyse};
use crate::ids::evaluation_id;
use crate::record::{Carry, ENGINE, EvaluationRecord, LookInput, SCHEMA};
use crate::spec::OnTrip;

use super::facts::{Facts, is_tripped};
use super::table::same_checkpoint;
use super::{Cause, Decision, Outcome, Reason, Verdict, decide, is_at_checkpoint};

/// The track of looks.
const LOOK: &str = "look";

/// The evaluation of one look.
///
/// `restatement_no` is 0 for the first of a slot; a restated one names the evaluation it revises.
pub fn evaluate(
    input: LookInput,
    restatement_no: u32,
    revises: Option<String>,
) -> EvaluationRecord {
    let input = input.frozen();
    let analysis = analyse(&input, is_at_checkpoint(&input));
    evaluate_with(input, analysis, restatement_no, revises)
}

/// As [`evaluate`], on an analysis that is already there (a second decision on the same frozen
/// observations does not analyse twice); `input` is [frozen](LookInput::frozen) already.
pub fn evaluate_with(
    input: LookInput,
    mut analysis: Analysis,
    restatement_no: u32,
    revises: Option<String>,
) -> EvaluationRecord {
    let outcome = decide(&input, &analysis);
    let carry = std::mem::take(&mut analysis.carry);
    let slot = Slot { track: LOOK.to_owned(), restatement_no, revises };
    record(input, analysis, outcome, carry, slot)
}

/// The evaluation that is written when a guardrail changes its state, on the track
/// `guardrail:<name>`: `stop: tripped` when a stop guardrail tripped, else the state of things.
///
/// A guardrail look is no look at the signals: their sequential state stays as it was. `input`
/// carries the guardrail's new status among its guardrails.
pub fn evaluate_trip(input: LookInput, guardrail: &str) -> EvaluationRecord {
    evaluate_trip_again(input, guardrail, (0, None))
}

/// As [`evaluate_trip`], with the restatement's number and the evaluation that it revises.
pub(super) fn evaluate_trip_again(
    input: LookInput,
    guardrail: &str,
    (restatement_no, revises): (u32, Option<String>),
) -> EvaluationRecord {
    let input = input.frozen();
    let analysis = analyse(&input, false);
    let mut outcome = decide(&input, &analysis);
    outcome.decision = trip_decision(&input, &analysis, guardrail, outcome.decision);
    let carry = input.carry.clone();
    let slot = Slot { track: format!("guardrail:{guardrail}"), restatement_no, revises };
    record(input, analysis, outcome, carry, slot)
}

fn trip_decision(
    input: &LookInput,
    analysis: &Analysis,
    guardrail: &str,
    look: Decision,
) -> Decision {
    let mut statuses = analysis.guardrails.iter();
    let status = statuses.find(|status| status.name == guardrail);
    let Some(status) = status.filter(|status| is_tripped(status)) else {
        return unchanged(input, Vec::new(), look);
    };
    if status.on_trip == OnTrip::Alert {
        let reason = Reason::GuardrailOn { guardrail: status.name.clone() };
        return unchanged(input, vec![reason], look);
    }
    Decision {
        verdict: Verdict::Stop,
        cause: Cause::Tripped,
        reasons: vec![Reason::GuardrailTripped {
            guardrail: status.name.clone(),
            value: status.value,
            limit: status.limit,
        }],
        at_checkpoint: false,
        ends_cycle: true,
        next_look_at: None,
        next_checkpoint_at: None,
    }
}

/// A transition that decides nothing: the cycle goes on to the checkpoint it has.
fn unchanged(input: &LookInput, reasons: Vec<Reason>, look: Decision) -> Decision {
    Decision {
        verdict: Verdict::Collecting,
        cause: Cause::OnTrack,
        reasons,
        at_checkpoint: false,
        ends_cycle: false,
        next_look_at: look.next_look_at,
        next_checkpoint_at: Some(input.cycle.checkpoint_at),
    }
}

/// The evaluation of a slot on which the judge itself failed twice: `hold: engine_fault`
/// (engine.md 8). Nothing is analysed; the sequential state stays as it was.
pub fn evaluate_fault(input: LookInput, message: &str) -> EvaluationRecord {
    let rule = RuleValue {
        text: input.experiment.checkpoint.continue_when.to_string(),
        op: "and".to_owned(),
        atom: None,
        value: Truth::Unknown,
        nodes: Vec::new(),
    };
    let analysis = Analysis {
        signals: Vec::new(),
        atoms: Vec::new(),
        rule,
        stop_atoms: Vec::new(),
        stop_rule: None,
        guardrails: input.guardrails.clone(),
        harm: Vec::new(),
        split: None,
        exposure: None,
        ledger: Vec::new(),
        findings: Vec::new(),
        carry: input.carry.clone(),
        progress: None,
    };
    let reasons = vec![Reason::Fault { message: message.to_owned() }];
    let facts = Facts::new(&input, &analysis);
    let decision = same_checkpoint(&facts, Verdict::Hold, Cause::EngineFault, reasons);
    let outcome = Outcome { decision, findings: Vec::new(), alarms: Vec::new() };
    let slot = Slot { track: LOOK.to_owned(), restatement_no: 0, revises: None };
    let carry = input.carry.clone();
    record(input, analysis, outcome, carry, slot)
}

struct Slot {
    track: String,
    restatement_no: u32,
    revises: Option<String>,
}

fn record(
    input: LookInput,
    analysis: Analysis,
    outcome: Outcome,
    carry: Carry,
    slot: Slot,
) -> EvaluationRecord {
    let id = evaluation_id(&input.experiment.id, &slot.track, input.at, slot.restatement_no);
    EvaluationRecord {
        schema: SCHEMA.to_owned(),
        engine: ENGINE.to_owned(),
        id,
        track: slot.track,
        restatement_no: slot.restatement_no,
        revises: slot.revises,
        revised: None,
        input,
        signals: analysis.signals,
        atoms: analysis.atoms,
        rule: analysis.rule,
        stop_atoms: analysis.stop_atoms,
        stop_rule: analysis.stop_rule,
        guardrails: analysis.guardrails,
        ledger: analysis.ledger,
        findings: outcome.findings,
        alarms: outcome.alarms,
        decision: outcome.decision,
        carry,
    }
}
