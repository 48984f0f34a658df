//! The five stories of product.md section 2, read from the store and the receivers after a play:
//! the verdicts, on exactly their counts, each told exactly once.

use judge::analyse::GuardrailState;
use judge::decide::{AlarmKind, AlarmSeverity, Reason};
use judge::decide::{Reproduction, reproduce};
use judge::observe::Sample;
use judge::points::{ALL, Sums};
use judge::time::{DAY_MS, Timestamp};
use serde_json::Value;
use verdictd::demo::data::calendar::{hour_start, midnight};
use verdictd::demo::receiver::Received;
use verdictd::store::{ActionState, DeliveryState, Lane};

use crate::fakes::played::{Evaluation, Left, Played, both};

const ACTIVATION: &str = "activation-action-x";
const RECRUITING: &str = "recruiting-touches";
const SALES: &str = "sales-discovery";
const PLATFORM: &str = "platform-quote-cache";
const SUPPORT: &str = "support-root-cause";

/// Experiment and the chat it notifies beside the ticket system.
const CHATS: [(&str, &str); 5] = [
    (ACTIVATION, "growth-chat"),
    (RECRUITING, "recruiting-chat"),
    (SALES, "sales-chat"),
    (PLATFORM, "platform-chat"),
    (SUPPORT, "support-chat"),
];

/// Evaluations that said something, oldest first; a hold that goes on counts once.
fn verdicts(left: &Left) -> Vec<&Evaluation> {
    let spoken = left.evaluations.iter();
    let mut spoken: Vec<_> = spoken.filter(|one| one.row.verdict != "collecting").collect();
    spoken.dedup_by(|one, before| one.row.verdict == "hold" && before.row.verdict == "hold");
    spoken
}

fn words(evaluation: &Evaluation) -> String {
    let row = &evaluation.row;
    let day = row.scheduled_at.strftime("%m-%d");
    format!("{day} {}: {}", row.verdict, row.cause)
}

/// Events and units of one arm, as frozen in the record.
fn counts(evaluation: &Evaluation, signal: &str, arm: &str) -> (f64, f64) {
    let observation = &evaluation.record.input.observations[signal];
    let observed = observation.counted();
    let observed = observed.unwrap_or_else(|| panic!("{signal} is {observation:?}"));
    pair(&observed.arms[arm])
}

fn baseline(evaluation: &Evaluation, signal: &str) -> (f64, f64) {
    let observed = evaluation.record.input.observations[signal].counted();
    pair(observed.unwrap().baseline.as_ref().unwrap())
}

fn pair(sample: &Sample) -> (f64, f64) {
    match sample.sums {
        Sums::Proportion { num, den } => (num, den),
        other => panic!("{other:?} is no proportion"),
    }
}

fn for_both(check: impl Fn(&Played)) {
    for played in both() {
        eprintln!("seed {}", played.seed);
        check(played);
    }
}

#[test]
fn every_story_reaches_the_verdicts_of_the_contract_on_its_day_and_no_other() {
    let expected: [(&str, &[&str]); 5] = [
        (ACTIVATION, &["07-13 change: mechanism", "08-31 continue: graduate"]),
        (RECRUITING, &["07-20 continue: graduate"]),
        (SALES, &["07-13 change: extend", "08-10 continue: graduate"]),
        (PLATFORM, &["06-09 stop: tripped"]),
        (
            SUPPORT,
            &["07-06 hold: data_missing", "07-08 change: mechanism", "08-17 stop: no_cycles_left"],
        ),
    ];
    for_both(|played| {
        for (experiment, expected) in expected {
            let reached: Vec<_> =
                verdicts(played.left(experiment)).into_iter().map(words).collect();
            assert_eq!(reached, expected, "{experiment}");
            assert_eq!(played.left(experiment).missed, 0, "{experiment}");
        }
        assert!(played.outcome.all_as_told());
        assert!(played.damage.is_empty(), "{:?}", played.damage);
    });
}

#[test]
fn activation_is_judged_on_six_thousand_users_per_arm_and_cycle() {
    for_both(|played| {
        let spoken = verdicts(played.left(ACTIVATION));
        for (cycle, wins) in [(0, 1_620.0), (1, 1_980.0)] {
            let at = spoken[cycle];
            for (signal, arm, num) in [
                ("action_x_24h", "control", 2_400.0),
                ("action_x_24h", "checklist", 2_880.0),
                ("activation_14d", "control", 1_620.0),
                ("activation_14d", "checklist", wins),
            ] {
                let counted = counts(at, signal, arm);
                assert_eq!(counted, (num, 6_000.0), "cycle {cycle}: {signal} of {arm}");
            }
        }
    });
}

#[test]
fn the_first_activation_cycle_alarms_that_the_proxy_moved_alone() {
    for_both(|played| {
        let spoken = verdicts(played.left(ACTIVATION));
        let confirmed = |one: &Evaluation| {
            let mut alarms = one.record.alarms.iter();
            alarms.any(|alarm| {
                alarm.kind == AlarmKind::ProxyWithoutOutcome
                    && alarm.severity == AlarmSeverity::Confirmed
            })
        };
        assert!(confirmed(spoken[0]), "{:?}", spoken[0].record.alarms);
        assert!(!confirmed(spoken[1]), "{:?}", spoken[1].record.alarms);
        // Told once to both endpoints, when it became known.
        let told = |endpoint: &str| {
            let messages = played.received(endpoint).into_iter();
            let is_it = |one: &&Received| {
                one.body.contains("ALARM - activation-action-x") && one.body.contains("(confirmed)")
            };
            messages.filter(is_it).count()
        };
        assert_eq!((told("tickets"), told("growth-chat")), (1, 1));
    });
}

#[test]
fn recruiting_is_judged_on_four_hundred_candidates() {
    for_both(|played| {
        let at = verdicts(played.left(RECRUITING))[0];
        for (signal, num) in
            [("personalised", 340.0), ("reply_rate", 120.0), ("qualified_screen", 48.0)]
        {
            assert_eq!(counts(at, signal, ALL), (num, 400.0), "{signal}");
        }
    });
}

#[test]
fn sales_is_extended_for_a_hundred_more_calls_and_then_graduates() {
    for_both(|played| {
        let spoken = verdicts(played.left(SALES));
        assert_eq!(counts(spoken[0], "conversion", ALL), (23.0, 160.0));
        assert_eq!(counts(spoken[1], "conversion", ALL), (50.0, 320.0));
        let reasons = spoken[0].record.decision.reasons.iter();
        let needed = reasons.filter_map(|reason| match reason {
            Reason::NeedsMore { signal, units } => Some((signal.as_str(), *units)),
            _ => None,
        });
        assert_eq!(needed.collect::<Vec<_>>(), [("conversion", 101.0)]);
        let told = "needs about 101 more";
        assert!(spoken[0].row.headline.contains(told), "{}", spoken[0].row.headline);
    });
}

#[test]
fn support_is_held_then_changed_then_stopped_on_its_tickets() {
    for_both(|played| {
        let spoken = verdicts(played.left(SUPPORT));
        let missing = &spoken[0].record.input.observations["resolved_48h"];
        assert!(missing.counted().is_none(), "{missing:?}");
        for at in &spoken[1..] {
            assert_eq!(counts(at, "resolved_48h", ALL), (552.0, 1_000.0));
            assert_eq!(counts(at, "root_cause", ALL), (740.0, 1_000.0));
            assert_eq!(baseline(at, "resolved_48h"), (660.0, 1_200.0));
        }
        let cycles: Vec<_> = spoken.iter().map(|one| one.record.input.cycle.number).collect();
        assert_eq!(cycles, [1, 1, 2]);
    });
}

#[test]
fn platform_trips_on_day_nine_and_the_flag_reads_back_off() {
    for_both(|played| {
        let left = played.left(PLATFORM);
        let trip = verdicts(left)[0];
        assert_eq!(trip.row.track, "guardrail:errors");
        let (mut bad, mut total) = (0.0, 0.0);
        let (mut bad_before, mut total_before) = (0.0, 0.0);
        for point in &left.points["errors"] {
            let Sums::Proportion { num, den } = point.sums else { panic!("{point:?}") };
            (bad, total) = (bad + num, total + den);
            if point.end <= midnight(8) {
                (bad_before, total_before) = (bad_before + num, total_before + den);
            }
        }
        assert_eq!((bad_before, total_before), (300.0, 384_000.0));
        let status = trip.record.guardrails.iter().find(|one| one.name == "errors");
        let status = status.unwrap();
        assert_eq!(status.state, GuardrailState::Tripped);
        assert_eq!((status.bad, status.total), (Some(bad), Some(total)));
        let into_day = trip.row.scheduled_at.as_millisecond() - midnight(8).as_millisecond();
        assert!((0..DAY_MS).contains(&into_day), "{}", trip.row.scheduled_at);
        confirmed(played, left);
    });
}

/// The flag was turned off once, with the token, and read back afterwards; nothing else was asked.
fn confirmed(played: &Played, left: &Left) {
    let calls: Vec<_> = played.outcome.calls.iter().collect();
    let seen: Vec<_> = calls.iter().map(|call| (call.flag.as_str(), call.what)).collect();
    assert_eq!(seen, [("quote-cache", "off"), ("quote-cache", "read")]);
    assert!(calls.iter().all(|call| call.accepted), "{calls:?}");
    assert_eq!(left.actions.len(), 1, "{:?}", left.actions);
    let action = &left.actions[0];
    assert_eq!(action.action, "turn-off-quote-cache");
    assert_eq!(action.state, ActionState::Confirmed);
    assert!(action.confirmed_at.is_some_and(|at| at >= action.requested_at));
    for receiver in ["tickets", "platform-chat"] {
        let rows = played
            .deliveries
            .iter()
            .filter(|one| one.row.endpoint == receiver && one.row.kind == "action.confirmed");
        assert_eq!(rows.count(), 1, "{receiver}");
    }
    for (experiment, _) in CHATS.iter().filter(|(experiment, _)| *experiment != PLATFORM) {
        assert!(played.left(experiment).actions.is_empty(), "{experiment}");
    }
}

/// A cycle whose start lies in the future must not put the tripwires to sleep.
#[test]
fn guardrails_are_looked_at_in_every_cycle() {
    for_both(|played| {
        for (experiment, _) in CHATS {
            let newest = played.left(experiment).evaluations.last().unwrap();
            for status in &newest.record.guardrails {
                let looked = status.evaluated_at.unwrap().as_millisecond();
                let old = newest.row.scheduled_at.as_millisecond() - looked;
                let cycle = newest.record.input.cycle.number;
                assert!(old <= DAY_MS, "{experiment}, cycle {cycle}: {} {old} ms", status.name);
            }
        }
    });
}

#[test]
fn the_outage_freezes_guardrails_and_is_told_once_per_endpoint_with_one_all_clear() {
    for_both(|played| {
        for kind in ["source.down", "source.recovered"] {
            let rows = played.deliveries.iter().filter(|one| one.row.kind == kind);
            let mut endpoints: Vec<_> = rows.map(|one| one.row.endpoint.as_str()).collect();
            endpoints.sort_unstable();
            let readers = ["growth-chat", "platform-chat", "support-chat", "tickets"];
            assert_eq!(endpoints, readers, "{kind}");
        }
        for (headline, of) in [("SOURCE DOWN", "source.down"), ("SOURCE BACK", "source.recovered")]
        {
            let told = played.outcome.received.iter().filter(|one| one.body.contains(headline));
            assert_eq!(told.count(), 4, "{of}");
        }
        let states: Vec<_> = [5 * 24 + 8, 5 * 24 + 12]
            .map(hour_start)
            .iter()
            .map(|at| state_at(played.left(PLATFORM), *at))
            .collect();
        let frozen = (GuardrailState::SourceError, Some(GuardrailState::Ok));
        assert_eq!(states, [frozen, (GuardrailState::Ok, None)]);
        assert!(played.sources.iter().all(|one| one.failing_since.is_none() && !one.told));
    });
}

/// The errors guardrail of the platform story right after its look at an instant.
fn state_at(left: &Left, at: Timestamp) -> (GuardrailState, Option<GuardrailState>) {
    let mut evaluations = left.evaluations.iter();
    let is_it =
        |one: &&Evaluation| one.row.track == "guardrail:errors" && one.row.scheduled_at == at;
    let record = &evaluations.find(is_it).unwrap().record;
    let status = record.guardrails.iter().find(|one| one.name == "errors");
    status.map(|status| (status.state, status.frozen)).unwrap()
}

/// Whether a chat message tells the webhook's notice: its foot names kind, experiment and time.
fn is_same_in_chat(message: &Received, webhook: &Value) -> bool {
    let body: Value = serde_json::from_str(&message.body).unwrap();
    let blocks = body["blocks"].as_array().unwrap();
    let foot = blocks.last().unwrap()["elements"][0]["text"].as_str().unwrap();
    let data = &webhook["data"];
    let at: Timestamp = webhook["timestamp"].as_str().unwrap().parse().unwrap();
    let minute = at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let text = |part: &Value| part.as_str().unwrap().to_owned();
    [text(&webhook["type"]), text(&data["experiment"]["name"]), minute]
        .iter()
        .all(|part| foot.contains(part.as_str()))
}

#[test]
fn every_final_verdict_arrives_exactly_once_at_every_endpoint_with_a_valid_signature() {
    for_both(|played| {
        for (experiment, chat) in CHATS {
            for evaluation in verdicts(played.left(experiment)) {
                let id = &evaluation.record.id;
                let tickets = played.received("tickets").into_iter().filter_map(|one| {
                    let body: Value = serde_json::from_str(&one.body).unwrap();
                    let kind = body["type"].as_str().unwrap_or_default();
                    let is_it = kind == format!("experiment.verdict.{}", evaluation.row.verdict);
                    (is_it && body["data"]["evaluation"] == *id).then_some((one, body))
                });
                let tickets: Vec<_> = tickets.collect();
                assert_eq!(tickets.len(), 1, "{experiment} {}", words(evaluation));
                let (message, body) = &tickets[0];
                assert_eq!(message.signed, Some(true));
                assert_eq!(body["data"]["experiment"]["id"], experiment);
                let chats = played.received(chat).into_iter();
                let chats = chats.filter(|one| is_same_in_chat(one, body));
                assert_eq!(chats.count(), 1, "{experiment} {}", words(evaluation));
            }
        }
    });
}

#[test]
fn the_outbox_is_empty_and_the_receivers_hold_exactly_what_it_sent() {
    for_both(|played| {
        assert_eq!(played.outbox.len(), 7, "{:?}", played.outbox);
        for stat in &played.outbox {
            assert_eq!((stat.pending, stat.dead), (0, 0), "{}", stat.endpoint);
        }
        let (messages, actions): (Vec<_>, Vec<_>) =
            played.deliveries.iter().partition(|one| one.row.lane == Lane::Message);
        assert_eq!(actions.len(), 1);
        for one in &messages {
            assert_eq!(one.state, DeliveryState::Delivered, "{}", one.row.id);
            assert_eq!(one.attempts.len(), 1, "{}: {:?}", one.row.id, one.attempts);
        }
        assert_eq!(messages.len(), played.outcome.received.len());
        let mut sent: Vec<_> = messages
            .iter()
            .filter(|one| one.row.endpoint == "tickets")
            .map(|one| one.row.id.as_str())
            .collect();
        let tickets = played.received("tickets");
        assert!(tickets.iter().all(|one| one.signed == Some(true)));
        let mut received: Vec<_> = tickets.iter().map(|one| one.id.as_str()).collect();
        sent.sort_unstable();
        received.sort_unstable();
        assert_eq!(sent, received);
        for (_, chat) in CHATS {
            let sent = messages.iter().filter(|one| one.row.endpoint == chat).count();
            assert_eq!(played.received(chat).len(), sent, "{chat}");
        }
    });
}

#[test]
fn every_evaluation_in_the_store_follows_from_its_own_frozen_input() {
    for_both(|played| {
        let mut checked = 0;
        for left in played.experiments.values() {
            for evaluation in &left.evaluations {
                let again = reproduce(&evaluation.record);
                assert_eq!(again, Reproduction::Same, "{}", evaluation.record.id);
                checked += 1;
            }
        }
        assert!(checked > 100, "only {checked} evaluations");
    });
}
