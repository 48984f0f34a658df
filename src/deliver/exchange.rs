//! One HTTP exchange: a bounded request, a bounded answer, an error that names no secret.
//!
//! One deadline covers connecting, sending, headers and body; an answer is read up to
//! [`ANSWER_CAP`] and no further; redirects are not followed. When the status has arrived and
//! the body has not, both facts are kept: what they mean is the receiver's business.

use std::path::Path;
use std::time::Duration;

use judge::time::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::egress::{GuardedResolver, redacted, refusal};
use super::retry::{RETRY_AFTER_CAP, parse_retry_after};
use super::{ErrorClass, SendError, Then};
use crate::http_client;

/// How much of an answer is read.
pub(super) const ANSWER_CAP: usize = 16 * 1024;
/// How much of a whole document is read, where half of one would say something else.
pub(super) const DOCUMENT_CAP: usize = 1024 * 1024;
/// How much of an answer is kept.
const DETAIL_CAP: usize = 2 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    /// HTTP status.
    pub(super) status: u16,
    /// What `Retry-After` asks for.
    pub(super) retry_after: Option<Duration>,
    /// Headers as they came.
    headers: HeaderMap,
    /// The first [`ANSWER_CAP`] bytes, or why they did not come.
    pub(super) body: Result<String, SendError>,
}

impl Answer {
    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Words for the attempt log: the answer, or what became of it.
    pub(super) fn detail(&self) -> String {
        match &self.body {
            Ok(text) => cut(text),
            Err(error) => format!("HTTP {}, then {}", self.status, error.detail),
        }
    }

    /// `{"retry_after": 30}`, as some receivers say it in the body; fractions are fine.
    pub(super) fn retry_after_in_json(&self) -> Option<Duration> {
        let value: serde_json::Value = serde_json::from_str(self.body.as_deref().ok()?).ok()?;
        let seconds = value.get("retry_after")?.as_f64()?;
        let usable = seconds.is_finite() && seconds >= 0.0;
        usable.then(|| Duration::from_secs_f64(seconds.min(RETRY_AFTER_CAP.as_secs_f64())))
    }

    /// What a status means to receivers that speak plain HTTP; `None` is success.
    pub(super) fn failure(&self) -> Option<SendError> {
        let (then, class) = match self.status {
            200..=299 => return None,
            300..=399 => (Then::Permanent, ErrorClass::Redirect),
            401 | 403 => (Then::Permanent, ErrorClass::AuthError),
            408 | 425 => (Then::Retry { after: self.retry_after }, ErrorClass::ClientError),
            410 => (Then::Disable, ErrorClass::Gone),
            413 => (Then::Shrink, ErrorClass::TooLarge),
            429 => (Then::Retry { after: self.retry_after }, ErrorClass::RateLimited),
            500.. => (Then::Retry { after: self.retry_after }, ErrorClass::ServerError),
            _ => (Then::Permanent, ErrorClass::ClientError),
        };
        let detail = format!("HTTP {}: {}", self.status, self.detail());
        Some(SendError { then, class, status: Some(self.status), detail: cut(&detail) })
    }
}

/// An error in the receiver's own words, with what they mean.
pub(super) fn said_by(answer: &Answer, then: Then, class: ErrorClass) -> SendError {
    let detail = cut(&format!("HTTP {}: {}", answer.status, answer.detail()));
    SendError { then, class, status: Some(answer.status), detail }
}

/// A client that connects only where the guard allows.
pub(super) fn client(allow_private: bool, ca_file: Option<&Path>) -> Result<Client, String> {
    let tls = http_client::tls_config(ca_file).map_err(|error| error.to_string())?;
    Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(GuardedResolver { allow_private })
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .no_gzip()
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("verdictd/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| error.without_url().to_string())
}

/// Sends one request; `now` is the wall clock that `Retry-After` dates are held against.
pub(super) async fn exchange(
    request: RequestBuilder,
    url: &Url,
    timeout: Duration,
    now: Timestamp,
) -> Result<Answer, SendError> {
    exchange_up_to(ANSWER_CAP, request, url, timeout, now).await
}

/// As [`exchange`], reading up to `cap` bytes of the answer.
pub(super) async fn exchange_up_to(
    cap: usize,
    request: RequestBuilder,
    url: &Url,
    timeout: Duration,
    now: Timestamp,
) -> Result<Answer, SendError> {
    let deadline = Instant::now() + timeout;
    let response = match timeout_at(deadline, request.send()).await {
        Err(_) => return Err(timed_out(url, "no answer")),
        Ok(Err(error)) => return Err(no_answer(error, url)),
        Ok(Ok(response)) => response,
    };
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|value| parse_retry_after(value, now));
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = match timeout_at(deadline, read_capped(response, cap)).await {
        Err(_) => Err(timed_out(url, "the answer did not end")),
        Ok(Err(error)) => Err(no_answer(error, url)),
        Ok(Ok(text)) => Ok(text),
    };
    Ok(Answer { status, retry_after, headers, body })
}

async fn read_capped(mut response: Response, cap: usize) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while bytes.len() < cap {
        let Some(chunk) = response.chunk().await? else {
            break;
        };
        let room = cap - bytes.len();
        bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn timed_out(url: &Url, what: &str) -> SendError {
    SendError {
        then: Then::Retry { after: None },
        class: ErrorClass::Timeout,
        status: None,
        detail: format!("{}: {what} within the deadline", redacted(url)),
    }
}

fn no_answer(error: reqwest::Error, url: &Url) -> SendError {
    let error = error.without_url();
    let class = match refusal(&error) {
        Some(_) => ErrorClass::Blocked,
        None if error.is_timeout() => ErrorClass::Timeout,
        None => ErrorClass::Network,
    };
    let detail = format!("{}: {}", redacted(url), causes(&error));
    SendError { then: Then::Retry { after: None }, class, status: None, detail: cut(&detail) }
}

/// An error with its causes, innermost last.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

/// Cuts at 2 KiB on a character boundary.
pub(super) fn cut(text: &str) -> String {
    let mut end = text.len().min(DETAIL_CAP);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// A URL, key or header of the configuration that cannot be used now: it may be put right, so
/// the message waits.
pub(super) fn misconfigured(cause: impl std::fmt::Display) -> SendError {
    SendError {
        then: Then::Retry { after: None },
        class: ErrorClass::Config,
        status: None,
        detail: cut(&cause.to_string()),
    }
}
