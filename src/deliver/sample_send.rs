//! `notify test` and `notify render`: every sample, marked as one, sent to one receiver or only
//! shown as it would be sent.

use std::time::Duration;

use judge::ids;
use judge::notice::NoticeKind;
use judge::time::Timestamp;
use serde_json::Value;

use super::payload::Links;
use super::sample::sample_messages;
use super::{BuildError, Conversation, Envelope, ReceiverConfig};

const TIMEOUT: Duration = Duration::from_secs(15);

/// What a receiver said to one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleAnswer {
    /// Event type of the sample.
    pub kind: String,
    /// Whether it was taken.
    pub is_ok: bool,
    /// The receiver's own words, or what went wrong.
    pub detail: String,
}

/// How a receiver would show one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleBody {
    /// Event type of the sample.
    pub kind: String,
    /// `webhook-id` that it would have.
    pub id: String,
    /// What would be stored for sending.
    pub body: String,
}

/// A sample of every kind in the form of one receiver; nothing is sent.
pub fn render_samples(
    name: &str,
    config: &ReceiverConfig,
    external_url: &str,
    wall_now: Timestamp,
) -> Vec<SampleBody> {
    let links = Links { external_url: external_url.to_owned() };
    let rendered = |content: Value| SampleBody {
        kind: content["type"].as_str().unwrap_or_default().to_owned(),
        id: ids::message_id(content["data"]["notice"].as_str().unwrap_or_default(), name),
        body: config.render(&marked(content)),
    };
    sample_messages(wall_now, &links, 0).into_iter().map(rendered).collect()
}

/// Sends a sample of every kind to one receiver, one after the other, without retries.
pub async fn send_samples(
    name: &str,
    config: &ReceiverConfig,
    external_url: &str,
    wall_now: Timestamp,
) -> Result<Vec<SampleAnswer>, BuildError> {
    let receiver = config.build(name)?;
    let mut answers = Vec::new();
    for sample in render_samples(name, config, external_url, wall_now) {
        let envelope = Envelope {
            id: sample.id,
            body: sample.body,
            sent_at: wall_now,
            timeout: TIMEOUT,
            is_manual: true,
            conversation: Conversation::default(),
        };
        let (is_ok, detail) = match receiver.send(&envelope).await {
            Ok(receipt) => (true, format!("{} {}", receipt.status, receipt.detail)),
            Err(error) => (false, error.to_string()),
        };
        let detail = detail.trim().to_owned();
        answers.push(SampleAnswer { kind: sample.kind, is_ok, detail });
    }
    Ok(answers)
}

/// Nobody may take a sample for the real thing.
fn marked(mut content: Value) -> Value {
    let is_test = content["type"] == NoticeKind::Test.as_str();
    let data = &mut content["data"];
    data["sample"] = true.into();
    if !is_test {
        let headline = data["headline"].as_str().unwrap_or_default();
        data["headline"] = format!("SAMPLE: {headline}").into();
    }
    content
}
