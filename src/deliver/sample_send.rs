//! `notify test`: every sample, marked as one, sent once to one receiver.

use std::time::Duration;

use judge::ids;
use judge::notice::NoticeKind;
use judge::time::Timestamp;
use serde_json::Value;

use super::payload::{Links, generic};
use super::sample::sample_notices;
use super::{BuildError, Conversation, Envelope, ReceiverConfig};

const TIMEOUT: Duration = Duration::from_secs(15);

/// What a receiver said to one sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleAnswer {
    /// Event type of the sample.
    pub kind: &'static str,
    /// Whether it was taken.
    pub is_ok: bool,
    /// The receiver's own words, or what went wrong.
    pub detail: String,
}

/// Sends a sample of every kind to one receiver, one after the other, without retries.
pub async fn send_samples(
    name: &str,
    config: &ReceiverConfig,
    external_url: &str,
    wall_now: Timestamp,
) -> Result<Vec<SampleAnswer>, BuildError> {
    let receiver = config.build(name)?;
    let links = Links { external_url: external_url.to_owned() };
    let mut answers = Vec::new();
    for sample in sample_notices(wall_now) {
        let content = generic(&sample.notice, sample.record.as_ref(), &links, 0);
        let envelope = Envelope {
            id: ids::message_id(&sample.notice.id, name),
            body: config.render(&marked(content, sample.notice.kind)),
            sent_at: wall_now,
            timeout: TIMEOUT,
            is_manual: true,
            conversation: Conversation::default(),
        };
        let (is_ok, detail) = match receiver.send(&envelope).await {
            Ok(receipt) => (true, format!("{} {}", receipt.status, receipt.detail)),
            Err(error) => (false, error.to_string()),
        };
        let kind = sample.notice.kind.as_str();
        answers.push(SampleAnswer { kind, is_ok, detail: detail.trim().to_owned() });
    }
    Ok(answers)
}

/// Nobody may take a sample for the real thing.
fn marked(mut content: Value, kind: NoticeKind) -> Value {
    let data = &mut content["data"];
    data["sample"] = true.into();
    if kind != NoticeKind::Test {
        let headline = data["headline"].as_str().unwrap_or_default();
        data["headline"] = format!("SAMPLE: {headline}").into();
    }
    content
}
