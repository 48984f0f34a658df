//! Schemas of what is sent and taken, by name; `routes` refers to them.
//!
//! Records are shown as they are stored and keep their own version, so a record is an object with
//! a `schema` here and no more. Everything else names its keys.

use serde_json::{Value, json};

use crate::deliver::policy::causes;

/// Every schema.
pub(super) fn all() -> Value {
    let groups = [
        experiments(),
        alarms(),
        decisions(),
        analysis(),
        gates(),
        operations(),
        deliveries(),
        policy(),
        forms(),
        common(),
    ];
    let mut all = serde_json::Map::new();
    for group in groups {
        if let Value::Object(schemas) = group {
            all.extend(schemas);
        }
    }
    Value::Object(all)
}

fn text() -> Value {
    json!({"type": "string"})
}

fn maybe_text() -> Value {
    json!({"type": ["string", "null"]})
}

fn instant() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn maybe_instant() -> Value {
    json!({"type": ["string", "null"], "format": "date-time"})
}

/// Text with something in it beside white space.
fn words(most: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": most, "pattern": "\\S"})
}

fn integer() -> Value {
    json!({"type": "integer"})
}

fn maybe_integer() -> Value {
    json!({"type": ["integer", "null"]})
}

fn boolean() -> Value {
    json!({"type": "boolean"})
}

fn any_object() -> Value {
    json!({"type": "object"})
}

fn list(of: Value) -> Value {
    json!({"type": "array", "items": of})
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

/// An object that has all of these keys.
fn object(keys: Value) -> Value {
    let required: Vec<&String> =
        keys.as_object().map(|keys| keys.keys().collect()).unwrap_or_default();
    json!({"type": "object", "required": required, "properties": keys})
}

/// As [`object`], with keys that may be missing.
fn object_with(keys: Value, optional: &Value) -> Value {
    let mut schema = object(keys);
    if let (Some(own), Some(more)) = (schema["properties"].as_object_mut(), optional.as_object()) {
        own.extend(more.clone());
    }
    schema
}

/// A document that says which it is.
fn document(name: &str, mut keys: Value) -> Value {
    keys["schema"] = json!({"const": format!("verdictd/{name}/1")});
    object(keys)
}

fn experiments() -> Value {
    let summary = json!({
        "id": text(), "title": text(), "labels": {"type": ["object", "null"]},
        "revision": text(), "life": text(), "cycle": maybe_integer(),
        "checkpoint_at": maybe_instant(), "sequence": integer(), "first_seen_at": instant(),
        "worst_guardrail": maybe_text(),
        "last": {"oneOf": [reference("Evaluation"), {"type": "null"}]},
    });
    let mut detail = summary.clone();
    detail["record"] = json!({"type": ["object", "null"]});
    detail["actions"] = list(reference("ActionState"));
    let evaluation = json!({
        "number": integer(), "id": text(), "experiment": text(), "track": text(),
        "scheduled_at": instant(), "recorded_at": instant(), "data_as_of": maybe_instant(),
        "verdict": reference("Verdict"), "cause": text(), "reason": text(),
        "revises": maybe_text(),
    });
    let mut with_record = evaluation.clone();
    with_record["record"] = any_object();
    json!({
        "Experiments": document("experiments", json!({
            "experiments": list(reference("Experiment")),
            "broken_files": list(object(json!({"file": text(), "diagnostics": text()}))),
        })),
        "Experiment": object(summary),
        "ExperimentDetail": object_with(detail, &json!({
            "guardrails": list(any_object()), "evaluations": integer(),
        })),
        "ActionState": object(json!({
            "action": text(), "state": text(), "requested_at": instant(),
            "confirmed_at": maybe_instant(), "seconds": {"type": ["number", "null"]},
            "detail": maybe_text(), "target": maybe_text(), "armed_by": maybe_text(),
        })),
        "Verdict": {"type": "string",
            "enum": ["continue", "change", "stop", "hold", "collecting"]},
        "Evaluation": object(evaluation),
        "EvaluationDetail": object(with_record),
        "Evaluations": document("evaluations", json!({
            "evaluations": list(reference("Evaluation")), "next_before": maybe_integer(),
        })),
    })
}

fn alarms() -> Value {
    json!({
        "Alarms": document("alarms", json!({
            "watched_at": maybe_instant(), "alarms": list(reference("Alarm")),
            "cleared": list(reference("Alarm")),
        })),
        "Alarm": object(json!({
            "experiment": maybe_text(), "alarm": text(), "cause": {}, "subject": {},
            "severity": text(), "since": maybe_instant(), "raised_at": instant(),
            "cleared_at": maybe_instant(), "numbers": {}, "clears_when": text(),
            "knowable_at": maybe_instant(), "sentence": text(),
        })),
        "Proxies": document("proxies", json!({
            "watched_at": maybe_instant(), "proxies": list(any_object()),
        })),
        "KillList": document("kill-list", json!({
            "watched_at": maybe_instant(), "sentence": text(), "experiments": list(any_object()),
        })),
    })
}

fn decisions() -> Value {
    json!({
        "Decisions": document("decisions", json!({
            "decisions": list(reference("Decision")), "next_before": maybe_integer(),
        })),
        "Decision": object(json!({
            "id": integer(), "experiment": text(), "at": instant(), "kind": text(),
            "who": maybe_text(), "verdict": maybe_text(), "because": maybe_text(),
            "lines": list(text()), "evaluation_id": maybe_text(),
        })),
        "NewDecision": {
            "type": "object",
            "required": ["experiment", "decision", "because"],
            "additionalProperties": false,
            "properties": {
                "experiment": text(),
                "decision": {"type": "string", "enum": ["confirm", "continue", "change", "stop",
                    "objects", "rearm", "pause", "resume", "default_updated", "archive",
                    "reviewed", "audited", "acknowledge"]},
                "because": words(2_000),
                "evaluation": maybe_text(),
            },
        },
        "Decided": object_with(json!({"experiment": text(), "kind": text()}), &json!({
            "at": instant(), "who": text(), "text": text(), "signals": list(text()),
            "split": boolean(),
        })),
    })
}

fn analysis() -> Value {
    json!({
        "Questions": {
            "description": "One question or a list of them; each method says what it takes beside",
            "oneOf": [question(), list(question())],
        },
        "Answers": {
            "description": "One answer or a list of them; `error` where there is none",
            "oneOf": [any_object(), list(any_object())],
        },
        "Methods": any_object(),
        "Method": any_object(),
    })
}

fn question() -> Value {
    json!({"type": "object", "required": ["method"], "properties": {"method": text()}})
}

fn gates() -> Value {
    let flat = json!({
        "experiment": text(), "verdict": reference("GateWord"), "cause": text(),
        "final": boolean(), "reason": text(), "life": text(),
        "evaluated_at": {"type": "string",
            "description": "RFC 3339; empty when nothing was said yet"},
        "age_secs": {"type": "integer", "minimum": 0},
        "evaluation": {"type": "integer", "minimum": 0}, "sequence": integer(), "url": text(),
    });
    let mut gate = flat.clone();
    gate["gate"] = json!({"type": "string", "enum": ["rollout", "promote", "rollback"]});
    gate["open"] = boolean();
    gate["sentence"] = text();
    json!({
        "GateWord": {"type": "string", "enum": ["continue", "change", "stop", "hold",
            "collecting", "stale", "unknown"]},
        "FlatVerdict": object(flat),
        "Gate": object(gate),
        "FlaggerCall": {
            "type": "object",
            "properties": {
                "name": text(), "namespace": text(), "phase": text(), "checksum": text(),
                "metadata": {"type": "object",
                    "additionalProperties": {"type": "string"},
                    "properties": {"experiment": text(), "token": text(), "allow": text(),
                        "max_age": text()}},
            },
        },
    })
}

fn operations() -> Value {
    json!({
        "Sources": document("sources", json!({"sources": list(reference("Source"))})),
        "Source": object(json!({
            "name": text(), "up": boolean(), "last_ok_at": maybe_instant(),
            "failing_since": maybe_instant(), "class": maybe_text(), "cause": maybe_text(),
        })),
        "OpenApi": object(json!({"openapi": text(), "info": any_object(), "paths": any_object()})),
    })
}

fn deliveries() -> Value {
    let delivery = json!({
        "id": text(), "endpoint": text(), "experiment": text(), "kind": text(),
        "sequence": integer(), "urgent": boolean(), "state": text(), "created_at": instant(),
        "expires_at": instant(), "next_at": instant(), "closed_at": maybe_instant(),
        "note": maybe_text(), "superseded_by": maybe_text(), "collapsed": integer(),
        "bytes": integer(), "attempts": list(reference("Attempt")),
    });
    json!({
        "Deliveries": document("deliveries", json!({
            "deliveries": list(reference("Delivery")), "next_before": maybe_integer(),
        })),
        "Delivery": object(delivery.clone()),
        "DeliveryDetail": document("delivery", delivery),
        "Attempt": object(json!({
            "attempt": integer(), "trigger": {"type": "string", "enum": ["schedule", "manual"]},
            "started_at": instant(), "finished_at": maybe_instant(),
            "seconds": {"type": ["number", "null"]}, "status": maybe_integer(),
            "class": maybe_text(), "detail": maybe_text(),
        })),
        "Resend": {
            "description": "At least one of since, experiment and endpoint",
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "since": maybe_instant(), "experiment": maybe_text(), "endpoint": maybe_text(),
                "dry_run": boolean(), "ladder": boolean(),
            },
            "anyOf": [
                {"required": ["since"], "properties": {"since": {"type": "string"}}},
                {"required": ["experiment"], "properties": {"experiment": {"type": "string"}}},
                {"required": ["endpoint"], "properties": {"endpoint": {"type": "string"}}},
            ],
        },
        "Resent": object_with(json!({"queued": integer()}), &json!({
            "would_queue": integer(), "ids": list(text()), "cut": boolean(),
        })),
        "Endpoints": document("endpoints", json!({"endpoints": list(reference("Endpoint"))})),
        "Endpoint": object(json!({
            "name": text(), "state": {"type": "string", "enum": ["ok", "degraded", "disabled"]},
            "since": maybe_instant(), "cause": maybe_text(), "paused_until": maybe_instant(),
            "pending": integer(), "oldest_seconds": {"type": ["number", "null"]},
            "dead": integer(),
        })),
        "Enabled": object(json!({"name": text(), "state": text(), "dead": integer()})),
    })
}

fn policy() -> Value {
    let ack = json!({
        "notice": text(), "experiment": text(), "topic": text(), "who": text(),
        "authenticated": boolean(), "because": text(), "at": instant(),
    });
    json!({
        "Silences": document("silences", json!({"silences": list(reference("Silence"))})),
        "Silence": object(json!({
            "id": text(), "match": any_object(), "author": text(), "authenticated": boolean(),
            "reason": text(), "created_at": instant(), "ends_at": instant(),
            "ended_at": maybe_instant(), "ended_by": maybe_text(), "in_force": boolean(),
            "withheld": integer(),
        })),
        "Matcher": matcher(),
        "NewSilence": new_silence(),
        "Told": document("told", json!({"messages": list(reference("ToldMessage"))})),
        "ToldMessage": object(json!({
            "id": text(), "notice": text(), "kind": text(), "experiment": text(),
            "receiver": maybe_text(), "state": text(), "reason": text(), "severity": text(),
            "topic": text(), "withheld_by": maybe_text(), "said_by": maybe_text(),
            "note": maybe_text(), "at": instant(), "not_before": instant(),
            "closed_at": maybe_instant(),
        })),
        "Acknowledgements": document("acknowledgements", json!({
            "acknowledgements": list(reference("Acknowledgement")),
        })),
        "Acknowledgement": object(ack),
        "NewAcknowledgement": {
            "type": "object",
            "required": ["notice", "because"],
            "additionalProperties": false,
            "properties": {"notice": text(), "because": words(2_000)},
        },
        "NewSnooze": {
            "description": "Without hours: as long as notify.snooze_hours says",
            "type": "object",
            "required": ["notice", "because"],
            "additionalProperties": false,
            "properties": {
                "notice": text(), "because": words(2_000),
                "hours": {"type": ["integer", "null"], "minimum": 1, "maximum": 720},
            },
        },
    })
}

/// What a silence means; what is absent or empty means everything, and something must be named.
fn matcher() -> Value {
    json!({
        "description": "Every key that is set must hold, a list when one of its words does; `*` \
                        is any text. It must name something",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": false,
        "properties": {
            "experiment": maybe_text(), "owner": maybe_text(), "topic": maybe_text(),
            "labels": {"type": "object", "additionalProperties": text()},
            "verdict": list(json!({"enum": ["continue", "change", "stop", "hold"]})),
            "cause": list(json!({"enum": causes()})),
            "kind": list(text()), "alarm": list(text()),
            "severity": list(json!({"enum": ["low", "normal", "high", "page"]})),
        },
    })
}

fn new_silence() -> Value {
    json!({
        "description": "Either ends_at, in the future and at most 30 days from now, or hours",
        "type": "object",
        "required": ["match", "reason"],
        "additionalProperties": false,
        "properties": {
            "match": reference("Matcher"), "reason": words(2_000), "ends_at": maybe_instant(),
            "hours": {"type": ["integer", "null"], "minimum": 1, "maximum": 720},
        },
        "oneOf": [
            {"required": ["ends_at"],
                "properties": {"ends_at": {"type": "string"}, "hours": {"type": "null"}}},
            {"required": ["hours"],
                "properties": {"hours": {"type": "integer"}, "ends_at": {"type": "null"}}},
        ],
    })
}

/// The fields of forms; a page gives each its mark or token.
fn forms() -> Value {
    json!({
        "SilenceForm": {
            "description": "As the form of /silences sends it",
            "type": "object",
            "required": ["mark", "token", "hours", "reason"],
            "properties": {
                "mark": text(), "token": text(), "hours": {"type": "integer", "minimum": 1,
                    "maximum": 720}, "reason": words(2_000), "experiment": text(),
                "owner": text(), "label": text(), "kind": text(), "alarm": text(),
                "severity": text(),
            },
        },
        "EndForm": {
            "type": "object",
            "required": ["mark", "token", "reason"],
            "properties": {"mark": text(), "token": text(), "reason": words(2_000)},
        },
        "SlackPress": {
            "description": "As Slack sends block_actions: one field with a JSON document",
            "type": "object",
            "required": ["payload"],
            "properties": {"payload": text()},
        },
        "LinkForm": {
            "type": "object",
            "required": ["token", "name", "because"],
            "properties": {"token": text(), "name": words(200), "because": words(2_000)},
        },
    })
}

fn common() -> Value {
    json!({
        "Problem": object(json!({
            "type": text(), "title": text(), "status": integer(), "code": text(),
            "detail": text(), "request_id": text(),
        })),
    })
}
