//! The HTTP side: form POSTs with explicit instants, bounded bodies, every failure classified.
//!
//! Messages carry what the server said, shortened, and never a credential: the address is
//! configured without one and headers are marked sensitive.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use url::Url;

use super::config::{PrometheusAuth, PrometheusConfig};
use super::parse::{Envelope, Series};
use super::schedule::{Run, seconds};
use crate::secret::Secret;
use crate::sources::{FetchClass, FetchError, is_loopback};

/// A success.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) series: Vec<Series>,
    pub(super) warnings: Vec<String>,
}

/// An API base address with its credentials by reference.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    auth: PrometheusAuth,
    timeout: Duration,
    max_body: usize,
}

impl Client {
    pub(super) fn new(config: &PrometheusConfig) -> Result<Self, String> {
        let base = base_url(config)?;
        if let PrometheusAuth::Header { name, .. } = &config.auth {
            HeaderName::try_from(name).map_err(|_| format!("{name:?} is not a header name"))?;
        }
        if config.timeout_secs == 0 || config.max_body_bytes == 0 {
            return Err("timeout_secs and max_body_bytes must be above 0".to_owned());
        }
        let timeout = Duration::from_secs(config.timeout_secs);
        let http = crate::http_client::client(config.extra_ca.as_deref(), timeout)
            .map_err(|error| error.to_string())?;
        let max_body = usize::try_from(config.max_body_bytes).unwrap_or(usize::MAX);
        Ok(Self { http, base, auth: config.auth.clone(), timeout, max_body })
    }

    /// Asks one run: a range query, or an instant query for a single point.
    pub(super) async fn query(&self, promql: &str, run: &Run) -> Result<Answer, FetchError> {
        let first = seconds(run.first_end.as_millisecond());
        let last = seconds(run.last_end().as_millisecond());
        let step = seconds(run.step_ms);
        let timeout = format!("{}s", self.timeout.as_secs());
        let mut form = vec![("query", promql), ("timeout", timeout.as_str())];
        let path = if run.count == 1 {
            form.push(("time", &first));
            "query"
        } else {
            form.extend([("start", first.as_str()), ("end", &last), ("step", &step)]);
            "query_range"
        };
        let url = self
            .base
            .join(&format!("api/v1/{path}"))
            .map_err(|error| FetchError::new(FetchClass::UserError, error.to_string()))?;
        let request = self.http.post(url).headers(self.headers()?).form(&form);
        let response = request.send().await.map_err(|error| self.unsent(&error))?;
        self.read(response).await
    }

    fn headers(&self) -> Result<HeaderMap, FetchError> {
        let auth = |message: String| FetchError::new(FetchClass::Auth, message);
        let read = |secret: &crate::secret::SecretRef| -> Result<Secret, FetchError> {
            secret.read().map_err(|error| auth(error.to_string()))
        };
        let (name, value) = match &self.auth {
            PrometheusAuth::None => return Ok(HeaderMap::new()),
            PrometheusAuth::Bearer { token } => {
                (AUTHORIZATION, format!("Bearer {}", read(token)?.expose()))
            }
            PrometheusAuth::Basic { username, password } => {
                use base64::Engine as _;
                let pair = format!("{username}:{}", read(password)?.expose());
                let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
                (AUTHORIZATION, format!("Basic {encoded}"))
            }
            PrometheusAuth::Header { name, value } => {
                let name = HeaderName::try_from(name)
                    .map_err(|_| auth(format!("{name:?} is not a header name")))?;
                (name, read(value)?.expose().to_owned())
            }
        };
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| auth("the secret has characters that no header can carry".to_owned()))?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(name, value)]))
    }

    /// A request that got no answer.
    fn unsent(&self, error: &reqwest::Error) -> FetchError {
        if error.is_timeout() {
            let message = format!("{}: no answer within {:?}", self.base, self.timeout);
            return FetchError::new(FetchClass::Timeout, message);
        }
        // reqwest's own text says little; the root cause ("connection refused") says why.
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        FetchError::new(FetchClass::Transient, format!("{}: {cause}", self.base))
    }

    async fn read(&self, response: Response) -> Result<Answer, FetchError> {
        let status = response.status();
        let headers = response.headers().clone();
        if status.is_redirection() {
            let target = headers.get(LOCATION).and_then(|value| value.to_str().ok());
            let target = target.unwrap_or("nowhere");
            let message = format!(
                "{}: {status}, redirects are not followed: set url to the final address of {}",
                self.base,
                clip(target.split('?').next().unwrap_or_default())
            );
            return Err(FetchError::new(FetchClass::UserError, message));
        }
        let body = self.body(response).await?;
        let said = |what: &str| format!("{}: {status}, {what}", self.base);
        let envelope = match serde_json::from_slice::<Envelope>(&body) {
            Ok(envelope) => envelope,
            Err(error) if status.is_success() => {
                let what = no_json(&headers, &body).unwrap_or_else(|| clip(&error.to_string()));
                return Err(FetchError::new(FetchClass::Contract, said(&what)));
            }
            Err(_) => {
                let what = no_json(&headers, &body)
                    .unwrap_or_else(|| clip(&String::from_utf8_lossy(&body)));
                return Err(failure(status, &headers, "", said(&what)));
            }
        };
        if envelope.status == "success" && status.is_success() {
            return success(envelope)
                .map_err(|what| FetchError::new(FetchClass::Contract, said(&what)));
        }
        let kind = envelope.error_type.unwrap_or_default();
        let error = envelope.error.unwrap_or_default();
        let message = said(&clip(&format!("{kind}: {error}")));
        Err(failure(status, &headers, &format!("{kind}: {error}"), message))
    }

    /// The body up to the cap.
    async fn body(&self, response: Response) -> Result<Vec<u8>, FetchError> {
        let mut body = Vec::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| self.unsent(&error))?;
            if body.len() + chunk.len() > self.max_body {
                let message = format!(
                    "{}: the answer is larger than {} bytes: aggregate in the query",
                    self.base, self.max_body
                );
                return Err(FetchError::new(FetchClass::Contract, message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn base_url(config: &PrometheusConfig) -> Result<Url, String> {
    let mut base = Url::parse(&config.url).map_err(|error| format!("url: {error}"))?;
    if !base.username().is_empty() || base.password().is_some() {
        return Err("url: credentials belong into auth, by reference".to_owned());
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err("url: only an address and a path prefix, no query".to_owned());
    }
    let host = base.host_str().ok_or("url: no host")?.to_owned();
    match base.scheme() {
        "https" => {}
        "http" if config.auth == PrometheusAuth::None || is_loopback(&host) => {}
        "http" => return Err("url: credentials are sent over https only".to_owned()),
        other => return Err(format!("url: {other} is neither http nor https")),
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    Ok(base)
}

fn success(mut envelope: Envelope) -> Result<Answer, String> {
    let warnings = envelope.partial();
    let data = envelope.data.ok_or("success without data")?;
    if data.result_type == "string" {
        return Err("the query returns a text, not a number".to_owned());
    }
    Ok(Answer { series: data.result.0, warnings })
}

/// What a body is when it is not JSON.
fn no_json(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let html = kind.contains("html") || body.trim_ascii_start().starts_with(b"<");
    html.then(|| {
        "answered with a web page, not JSON: is the url right, or does a proxy want a log-in?"
            .to_owned()
    })
}

/// The class of a failure status; 422 is told apart by its text.
fn failure(status: StatusCode, headers: &HeaderMap, error: &str, message: String) -> FetchError {
    let text = error.to_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let class = match status.as_u16() {
        401 | 403 | 407 => FetchClass::Auth,
        408 | 504 => FetchClass::Timeout,
        422 if says(&["too many samples", "maximum samples", "max samples"]) => {
            FetchClass::CostGuard
        }
        422 if says(&["deadline exceeded", "timed out", "timeout"]) => FetchClass::Timeout,
        422 if says(&["canceled", "cancelled"]) => FetchClass::Transient,
        425 | 499 | 500 | 502 => FetchClass::Transient,
        429 => FetchClass::Throttled,
        503 if says(&["timeout", "timed out"]) => FetchClass::Timeout,
        code if code >= 500 => FetchClass::Transient,
        _ => FetchClass::UserError,
    };
    let mut failure = FetchError::new(class, message);
    if matches!(status.as_u16(), 429 | 503) {
        failure.retry_after_ms = retry_after_ms(headers);
    }
    failure
}

/// `Retry-After` in seconds; the date form is ignored, the retry ladder waits then.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse::<u64>().ok()?.checked_mul(1_000)
}

/// At most 300 characters on one line.
fn clip(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut clipped: String = line.trim().chars().take(300).collect();
    if clipped.is_empty() {
        clipped.push_str("an empty answer");
    }
    clipped
}
