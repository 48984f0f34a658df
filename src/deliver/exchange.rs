//! One HTTP exchange: a bounded request, a bounded answer, an error that names no secret.
//!
//! One deadline covers connecting, sending, headers and body; an answer is read up to
//! [`ANSWER_CAP`] and no further; redirects are not followed. When the status has arrived and
//! the body has not, both facts are kept: what they mean is the receiver's business.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use judge::time::{Timestamp, ms_between};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::egress::{GuardedResolver, Lookup, Policy, redacted, refusal};
use super::retry::{RETRY_AFTER_CAP, parse_retry_after};
use super::scrub::Scrubber;
use super::{ErrorClass, SendError, Then, skew};
use crate::http_client::{self, ClientIdentity};

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
    /// What of the request must not be repeated.
    scrubber: Scrubber,
    /// The wall clock that instants in headers are held against.
    now: Timestamp,
}

impl Answer {
    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// How long it is until the instant that a header names: seconds since 1970, or RFC 3339 with
    /// or without its seconds. Nothing for what is neither, and never more than a day.
    pub(super) fn wait_until(&self, name: &str) -> Option<Duration> {
        let text = self.header(name)?.trim();
        let at = match text.parse::<i64>() {
            Ok(seconds) => Timestamp::from_second(seconds).ok()?,
            Err(_) => text.parse().ok()?,
        };
        let ms = u64::try_from(ms_between(self.now, at)).unwrap_or(0);
        Some(Duration::from_millis(ms).min(RETRY_AFTER_CAP))
    }

    /// Words for the attempt log: the answer, or what became of it.
    pub(super) fn detail(&self) -> String {
        match &self.body {
            Ok(text) => cut(&self.scrubber.clean(text)),
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

    /// A page where a machine should have answered: a login or a proxy stands in between.
    pub(super) fn is_page(&self) -> bool {
        self.body.as_deref().is_ok_and(|text| text.trim_start().starts_with('<'))
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

/// How one endpoint is connected to.
pub(super) struct Connection {
    pub(super) policy: Policy,
    pub(super) lookup: Lookup,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) identity: Option<ClientIdentity>,
    pub(super) proxy: Option<Url>,
}

/// A client that connects only where the guard allows, through no proxy but the given one.
pub(super) fn client(connection: Connection) -> Result<Client, String> {
    let Connection { policy, lookup, ca_file, identity, proxy } = connection;
    let tls = http_client::tls_config_as(ca_file.as_deref(), identity)
        .map_err(|error| error.to_string())?;
    let builder = Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(policy.https_only)
        .dns_resolver(GuardedResolver { policy: Arc::new(policy), lookup })
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .no_gzip()
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT)
        .user_agent(concat!("verdictd/", env!("CARGO_PKG_VERSION")));
    let unusable = |error: reqwest::Error| error.without_url().to_string();
    let builder = match proxy {
        Some(url) => builder.proxy(reqwest::Proxy::all(url).map_err(unusable)?),
        None => builder,
    };
    builder.build().map_err(unusable)
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
    let began = Instant::now();
    let deadline = began + timeout;
    let (client, request) = request.build_split();
    let request = request.map_err(|error| no_answer(error, url))?;
    let scrubber = Scrubber::of(&request);
    let response = match timeout_at(deadline, client.execute(request)).await {
        Err(_) => return Err(timed_out(url, "no answer")),
        Ok(Err(error)) => return Err(no_answer(error, url)),
        Ok(Ok(response)) => response,
    };
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|value| parse_retry_after(value, now));
    skew::note(response.headers(), now, began.elapsed());
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = match timeout_at(deadline, read_capped(response, cap)).await {
        Err(_) => Err(timed_out(url, "the answer did not end")),
        Ok(Err(error)) => Err(no_answer(error, url)),
        Ok(Ok(text)) => Ok(text),
    };
    Ok(Answer { status, retry_after, headers, body, scrubber, now })
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
