//! What every source gets: bounded concurrency, a deadline and jittered retries.
//!
//! Wraps any [`Source`]. A slow source cannot hold up another one, a failing one is asked again
//! only when that can help, and nothing waits longer than the deadline.

use std::sync::Arc;
use std::time::Duration;

use judge::plan::{Batch, Request};
use judge::time::Span;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::{BoxFuture, FetchClass, FetchError, Source};

/// Longest jittered wait before a retry.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Bounds of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Questions in flight at once.
    pub concurrency: usize,
    /// Longest time from asking to giving up, waits and retries included.
    pub deadline: Duration,
    /// How often one question is asked at most.
    pub attempts: u32,
    /// Upper bound of the first jittered wait; each further one is four times as long.
    pub first_wait: Duration,
}

impl Limits {
    /// Three attempts, first wait up to half a second.
    pub fn new(concurrency: usize, deadline: Duration) -> Self {
        let first_wait = Duration::from_millis(500);
        Self { concurrency: concurrency.max(1), deadline, attempts: 3, first_wait }
    }
}

/// A source within its [`Limits`].
#[derive(Debug)]
pub struct Limited {
    inner: Arc<dyn Source>,
    permits: Semaphore,
    limits: Limits,
}

impl Limited {
    /// Wraps a source.
    pub fn new(inner: Arc<dyn Source>, limits: Limits) -> Self {
        Self { inner, permits: Semaphore::new(limits.concurrency), limits }
    }

    async fn ask(&self, request: &Request) -> Result<Batch, FetchError> {
        let until = Instant::now() + self.limits.deadline;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let answer = tokio::time::timeout_at(until, self.once(request)).await;
            let error = match answer {
                Ok(Ok(batch)) => return Ok(batch),
                Ok(Err(error)) => error,
                Err(_) => return Err(self.too_late()),
            };
            let wait = self.wait(&error, attempt);
            let hopeless = !error.class.is_retryable() || attempt >= self.limits.attempts;
            if hopeless || Instant::now() + wait >= until {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// One attempt; the permit is given back before any wait.
    async fn once(&self, request: &Request) -> Result<Batch, FetchError> {
        let _permit =
            self.permits.acquire().await.map_err(|_| {
                FetchError::new(FetchClass::Transient, "the source is shutting down")
            })?;
        self.inner.fetch(request).await
    }

    fn wait(&self, error: &FetchError, attempt: u32) -> Duration {
        let bound = self.limits.first_wait.saturating_mul(4_u32.saturating_pow(attempt - 1));
        let bound_ms = bound.min(MAX_WAIT).as_millis() as u64;
        let jittered = Duration::from_millis(rand::random_range(0..=bound_ms));
        // What the source asks for is a lower bound; jitter on top keeps callers apart.
        jittered + Duration::from_millis(error.retry_after_ms.unwrap_or(0))
    }

    fn too_late(&self) -> FetchError {
        let message = format!("no answer within {} s", self.limits.deadline.as_secs_f64());
        FetchError::new(FetchClass::Timeout, message)
    }
}

impl Source for Limited {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Batch, FetchError>> {
        Box::pin(self.ask(request))
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), FetchError>> {
        Box::pin(async {
            match tokio::time::timeout(self.limits.deadline, self.inner.probe()).await {
                Ok(answer) => answer,
                Err(_) => Err(self.too_late()),
            }
        })
    }

    fn rhythm(&self) -> Span {
        self.inner.rhythm()
    }

    fn grain(&self) -> Span {
        self.inner.grain()
    }

    fn lateness(&self) -> Span {
        self.inner.lateness()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::sources::test_support::request;

    /// Answers from a script; counts how many questions were in flight at once.
    #[derive(Debug, Default)]
    struct Scripted {
        answers: Mutex<Vec<Result<Batch, FetchError>>>,
        delay: Duration,
        asked: AtomicUsize,
        in_flight: AtomicUsize,
        most: AtomicUsize,
    }

    impl Source for Scripted {
        fn kind(&self) -> &'static str {
            "scripted"
        }

        fn fetch<'a>(&'a self, _: &'a Request) -> BoxFuture<'a, Result<Batch, FetchError>> {
            Box::pin(async {
                self.asked.fetch_add(1, Ordering::SeqCst);
                let now = self.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
                self.most.fetch_max(now, Ordering::SeqCst);
                tokio::time::sleep(self.delay).await;
                self.in_flight.fetch_sub(1, Ordering::SeqCst);
                self.answers.lock().unwrap().pop().unwrap_or_else(|| Ok(Batch::default()))
            })
        }

        fn probe(&self) -> BoxFuture<'_, Result<(), FetchError>> {
            Box::pin(std::future::pending())
        }

        fn rhythm(&self) -> Span {
            Span::hours(1)
        }

        fn grain(&self) -> Span {
            Span::days(1)
        }

        fn lateness(&self) -> Span {
            Span::ZERO
        }
    }

    fn failing(classes: &[FetchClass]) -> Arc<Scripted> {
        let answers = classes.iter().map(|class| Err(FetchError::new(*class, "no"))).collect();
        Arc::new(Scripted { answers: Mutex::new(answers), ..Scripted::default() })
    }

    fn limits() -> Limits {
        Limits::new(2, Duration::from_mins(1))
    }

    #[tokio::test(start_paused = true)]
    async fn retryable_failures_are_asked_again_up_to_three_times() {
        let source = failing(&[FetchClass::Transient, FetchClass::Throttled]);
        let limited = Limited::new(source.clone(), limits());
        limited.fetch(&request()).await.unwrap();
        assert_eq!(source.asked.load(Ordering::SeqCst), 3);
        let source = failing(&[FetchClass::Transient; 5]);
        let limited = Limited::new(source.clone(), limits());
        assert_eq!(limited.fetch(&request()).await.unwrap_err().class, FetchClass::Transient);
        assert_eq!(source.asked.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn other_failures_are_final() {
        for class in [FetchClass::UserError, FetchClass::Auth, FetchClass::Contract] {
            let source = failing(&[class]);
            let limited = Limited::new(source.clone(), limits());
            assert_eq!(limited.fetch(&request()).await.unwrap_err().class, class);
            assert_eq!(source.asked.load(Ordering::SeqCst), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_is_kept_within_the_deadline_only() {
        let throttled = |ms| {
            let mut error = FetchError::new(FetchClass::Throttled, "slow down");
            error.retry_after_ms = Some(ms);
            let answers = Mutex::new(vec![Err(error)]);
            Arc::new(Scripted { answers, ..Scripted::default() })
        };
        let start = Instant::now();
        Limited::new(throttled(20_000), limits()).fetch(&request()).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(20));
        let start = Instant::now();
        let error = Limited::new(throttled(120_000), limits()).fetch(&request()).await;
        assert_eq!(error.unwrap_err().retry_after_ms, Some(120_000));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_questions_and_probes() {
        let source = Arc::new(Scripted { delay: Duration::from_mins(10), ..Scripted::default() });
        let limited = Limited::new(source, limits());
        let error = limited.fetch(&request()).await.unwrap_err();
        assert_eq!(
            (error.class, error.message.as_str()),
            (FetchClass::Timeout, "no answer within 60 s")
        );
        assert_eq!(limited.probe().await.unwrap_err().class, FetchClass::Timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_questions_are_in_flight_than_allowed() {
        let source = Arc::new(Scripted { delay: Duration::from_secs(1), ..Scripted::default() });
        let limited = Limited::new(source.clone(), limits());
        let question = request();
        futures_util::future::join_all((0..10).map(|_| limited.fetch(&question))).await;
        assert_eq!(source.most.load(Ordering::SeqCst), 2);
    }
}
