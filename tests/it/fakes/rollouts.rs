//! Callers of gates, after the sources of Flagger (pkg/controller/webhook.go over go-retryablehttp)
//! and of Argo Rollouts (metricproviders/webmetric and utils/evaluate).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

/// First pause between attempts; the real one starts at a second.
const BACKOFF: Duration = Duration::from_millis(20);

/// What Flagger makes of a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Called {
    /// `None` when no answer came, whatever was tried.
    pub(crate) status: Option<u16>,
    /// The body, which some hooks show in events.
    pub(crate) body: String,
    /// How often it was sent.
    pub(crate) attempts: u32,
}

impl Called {
    /// "if r.StatusCode > 202 return error": everything up to 202 passes, 204 does not.
    pub(crate) fn passes(&self) -> bool {
        self.status.is_some_and(|status| status <= 202)
    }
}

/// A canary that calls webhooks.
#[derive(Debug)]
pub(crate) struct Flagger {
    client: reqwest::Client,
    retries: u32,
}

impl Flagger {
    /// With the `timeout` and `retries` of a webhook.
    pub(crate) fn new(timeout: Duration, retries: u32) -> Self {
        let client = verdictd::http_client::client(None, timeout).unwrap();
        Self { client, retries }
    }

    /// Posts what Flagger posts; no header but the content type.
    pub(crate) async fn call(&self, url: &str, metadata: Value) -> Called {
        let body = json!({"name": "podinfo", "namespace": "test", "phase": "Progressing",
            "checksum": "7f9d6b", "metadata": metadata});
        let mut called = Called { status: None, body: String::new(), attempts: 0 };
        for attempt in 0..=self.retries {
            called.attempts += 1;
            let request = self.client.post(url).header("content-type", "application/json");
            match request.body(body.to_string()).send().await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    called.status = Some(status);
                    called.body = response.text().await.unwrap_or_default();
                    let is_retried = status == 429 || (status >= 500 && status != 501);
                    if !is_retried {
                        return called;
                    }
                }
                Err(_) => called.status = None,
            }
            if attempt < self.retries {
                tokio::time::sleep(BACKOFF * 2_u32.pow(attempt)).await;
            }
        }
        // go-retryablehttp gives up with an error: there is no answer to go by.
        Called { status: None, ..called }
    }
}

/// The phase of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Successful,
    Failed,
    Inconclusive,
    Error,
}

/// A web metric of an analysis template.
#[derive(Debug)]
pub(crate) struct Argo {
    client: reqwest::Client,
    pub(crate) url: String,
    success: String,
    failure: String,
}

impl Argo {
    /// As the template says, with its arguments filled in.
    pub(crate) fn new(metric: &Value, arguments: &BTreeMap<&str, &str>) -> Self {
        let web = &metric["provider"]["web"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut url = text(&web["url"]);
        for (name, value) in arguments {
            url = url.replace(&format!("{{{{args.{name}}}}}"), value);
        }
        assert!(!url.contains("{{"), "an argument is missing: {url}");
        assert_eq!(text(&web["jsonPath"]), "{$}", "the whole document is the result");
        let seconds = text(&web["timeoutSeconds"]).parse().unwrap_or(10);
        let client = verdictd::http_client::client(None, Duration::from_secs(seconds)).unwrap();
        let (success, failure) = (&metric["successCondition"], &metric["failureCondition"]);
        Self { client, url, success: text(success), failure: text(failure) }
    }

    /// One measurement: its phase, and the document it came from.
    pub(crate) async fn measure(&self) -> (Phase, Value) {
        let Ok(response) = self.client.get(&self.url).send().await else {
            return (Phase::Error, Value::Null);
        };
        if !response.status().is_success() {
            return (Phase::Error, Value::Null);
        }
        let Ok(result) = response.json::<Value>().await else {
            return (Phase::Error, Value::Null);
        };
        let (Some(success), Some(failure)) =
            (holds(&self.success, &result), holds(&self.failure, &result))
        else {
            return (Phase::Error, result);
        };
        let phase = match (success, failure) {
            (_, true) => Phase::Failed,
            (true, false) => Phase::Successful,
            (false, false) => Phase::Inconclusive,
        };
        (phase, result)
    }
}

/// The part of the expression language that the example uses: `result.key == literal`, joined by
/// `&&` and `||` (which binds less). `None` for anything else: the real one would be an error.
pub(crate) fn holds(condition: &str, result: &Value) -> Option<bool> {
    let mut any = false;
    for branch in condition.split("||") {
        let mut all = true;
        for clause in branch.split("&&") {
            let (left, right) = clause.split_once("==")?;
            let key = left.trim().strip_prefix("result.")?;
            let literal: Value = serde_json::from_str(right.trim()).ok()?;
            // A key that is not there is nil, and nil equals nothing that is written here.
            all &= result.get(key) == Some(&literal);
        }
        any |= all;
    }
    Some(any)
}

#[test]
fn the_evaluator_knows_the_three_classes_and_refuses_the_rest() {
    let result = json!({"verdict": "continue", "final": true});
    assert_eq!(holds("result.verdict == \"continue\"", &result), Some(true));
    assert_eq!(holds("result.verdict == \"stop\"", &result), Some(false));
    let both = "result.verdict == \"continue\" && result.final == false";
    assert_eq!(holds(both, &result), Some(false));
    assert_eq!(holds("result.none == \"x\" || result.final == true", &result), Some(true));
    for other in ["", "result", "len(result) > 1", "result.verdict == continue"] {
        assert_eq!(holds(other, &result), None, "{other}");
    }
}
