//! CloudEvents 1.0 in HTTP binary mode: the attributes as headers beside the signature.
//!
//! Pure: made from the generic message that is sent. `ce-id` is the `webhook-id`, so it is the
//! same at every retry. There is no `ce-datacontenttype`: in binary mode that is `content-type`.
//! A value is percent-encoded as section 3.1.3.2 of the HTTP binding says: space, `"`, `%` and
//! everything outside printable ASCII.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::Value;

const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');
/// The source of a message without links: a daemon that does not know its own address.
const SOURCE: &str = "/verdictd";

/// The headers of one message; `content` is its generic JSON.
pub(super) fn headers(id: &str, content: &Value) -> Vec<(&'static str, String)> {
    let data = &content["data"];
    let experiment = data["experiment"]["id"].as_str().filter(|id| !id.is_empty());
    let subject = experiment.or(data["subject"].as_str()).filter(|text| !text.is_empty());
    let attributes = [
        ("ce-specversion", Some("1.0")),
        ("ce-id", Some(id)),
        ("ce-source", Some(source(data, experiment))),
        ("ce-type", content["type"].as_str()),
        ("ce-subject", subject),
        ("ce-time", content["timestamp"].as_str()),
    ];
    let known = attributes.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known.map(|(name, value)| (name, utf8_percent_encode(value, ESCAPED).to_string())).collect()
}

/// Our own address, as the links of the message have it.
fn source<'a>(data: &'a Value, experiment: Option<&str>) -> &'a str {
    let page = data["links"]["experiment"].as_str();
    let place = experiment.map(|id| format!("/x/{id}")).unwrap_or_default();
    page.and_then(|url| url.strip_suffix(&place)).filter(|url| !url.is_empty()).unwrap_or(SOURCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn joined(content: &Value) -> String {
        let lines = headers("msg_1", content).into_iter().map(|(name, it)| format!("{name}: {it}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn attributes_come_from_the_message() {
        let content = json!({"type": "experiment.verdict.stop", "timestamp": "2026-08-11T00:00:00Z",
            "data": {"experiment": {"id": "checkout-copy"}, "subject": "errors",
                "links": {"experiment": "https://v.example/base/x/checkout-copy"}}});
        let want = "ce-specversion: 1.0\nce-id: msg_1\nce-source: https://v.example/base\n\
                    ce-type: experiment.verdict.stop\nce-subject: checkout-copy\n\
                    ce-time: 2026-08-11T00:00:00Z";
        assert_eq!(joined(&content), want);
    }

    #[test]
    fn what_is_not_there_is_left_out_and_the_source_never_is() {
        let lone = json!({"type": "source.down", "data": {"subject": "warehouse"}});
        let want = "ce-specversion: 1.0\nce-id: msg_1\nce-source: /verdictd\nce-type: source.down\n\
                    ce-subject: warehouse";
        assert_eq!(joined(&lone), want);
        assert_eq!(joined(&Value::Null), "ce-specversion: 1.0\nce-id: msg_1\nce-source: /verdictd");
    }

    #[test]
    fn values_are_escaped_and_nothing_else() {
        let content = json!({"type": "a \"b\" 100% \u{e4}\u{1f600}\u{7f}\n!#$&'()*+,/:;=?@[]{}~|",
            "data": {}});
        let headers = headers("msg_1", &content);
        let kind = &headers.iter().find(|(name, _)| *name == "ce-type").unwrap().1;
        let want = "a%20%22b%22%20100%25%20%C3%A4%F0%9F%98%80%7F%0A!#$&'()*+,/:;=?@[]{}~|";
        assert_eq!(kind, want);
    }
}
