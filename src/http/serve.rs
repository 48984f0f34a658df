//! The server around the routes: how many may be connected, and for how long.
//!
//! A client may be slow, or mean to be. A head that does not come is given up, as is a connection
//! that says nothing between two requests; heads have a size; a connection has an age, after which
//! it may finish its request and no more, so that one that does not read its answer ends as well.
//! When as many are connected as may be, further ones wait in the system's queue. Stopping waits
//! for what is being answered, and not for ever.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// What one client may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// How long a head may take, and a pause between two requests.
    pub head: Duration,
    /// Largest head, in bytes.
    pub head_bytes: usize,
    /// How old a connection may become; its last request may take [`Limits::last`] more.
    pub age: Duration,
    /// How long the last request of a connection may take, and the end of the daemon wait for it.
    pub last: Duration,
}

impl Limits {
    /// The daemon's own.
    pub fn of(connections: usize) -> Self {
        Self {
            connections,
            head: Duration::from_secs(30),
            head_bytes: 64 * 1024,
            age: Duration::from_mins(10),
            last: Duration::from_secs(25),
        }
    }
}

/// Serves until `stop`, and then what was begun.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: CancellationToken) {
    let (tracker, free) = (TaskTracker::new(), Arc::new(Semaphore::new(limits.connections)));
    loop {
        let next = async {
            // Closed is never: the semaphore lives as long as this loop.
            let permit = free.clone().acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let (router, stop) = (router.clone(), stop.clone());
        tracker.spawn(async move {
            connection(stream, router, limits, stop).await;
            drop(permit);
        });
    }
    drop(listener);
    tracker.close();
    if tokio::time::timeout(limits.last, tracker.wait()).await.is_err() {
        tracing::warn!("some clients did not read their answers and are left");
    }
}

/// A client that is gone again costs nothing; a process without descriptors waits for some.
async fn pause_after(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    tracing::error!(%error, "a connection cannot be taken");
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// One connection, from its first byte to its end.
async fn connection(stream: TcpStream, router: Router, limits: Limits, stop: CancellationToken) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let answer = router.oneshot(request.map(Body::new)).await;
            answer.map_err(|never: Infallible| match never {})
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head);
    builder.max_buf_size(limits.head_bytes);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped_or_old(&stop, limits.age) => {
            connection.as_mut().graceful_shutdown();
            let Ok(ended) = tokio::time::timeout(limits.last, connection).await else { return };
            ended
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended before its answer");
    }
}

async fn stopped_or_old(stop: &CancellationToken, age: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(age) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const TINY: Limits = Limits {
        connections: 2,
        head: Duration::from_millis(60),
        head_bytes: 16 * 1024,
        age: Duration::from_millis(400),
        last: Duration::from_millis(100),
    };

    async fn start(limits: Limits) -> (std::net::SocketAddr, CancellationToken, TaskTracker) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let large = "x".repeat(32 * 1024 * 1024);
        let router = Router::new().fallback(move |request: Request| {
            let is_large = request.uri().path() == "/large";
            let body = if is_large { large.clone() } else { "ok".to_owned() };
            async move { body }
        });
        tasks.spawn(serve(listener, router, limits, stop.clone()));
        tasks.close();
        (address, stop, tasks)
    }

    /// Everything until the other side closes.
    async fn talk(address: std::net::SocketAddr, said: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A server that has heard enough may close before everything was written.
        drop(stream.write_all(said).await);
        let mut heard = Vec::new();
        drop(stream.read_to_end(&mut heard).await);
        String::from_utf8_lossy(&heard).into_owned()
    }

    #[tokio::test]
    async fn heads_that_do_not_end_and_clients_that_say_nothing_are_given_up() {
        let (address, stop, tasks) = start(TINY).await;
        for said in ["", "GET / HTTP/1.1\r\nHost: x\r\nX-A: "] {
            let heard = talk(address, said.as_bytes()).await;
            assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 408"), "{said}: {heard}");
        }
        let whole = talk(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(whole.starts_with("HTTP/1.1 200") && whole.ends_with("ok"), "{whole}");
        let long = format!("GET / HTTP/1.1\r\nHost: x\r\nX-A: {}\r\n\r\n", "a".repeat(20_000));
        let heard = talk(address, long.as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 431"), "{heard}");
        let many = "X-A: a\r\n".repeat(200);
        let heard = talk(address, format!("GET / HTTP/1.1\r\n{many}\r\n").as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 431"), "{heard}");
        stop.cancel();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn who_does_not_read_is_left_and_the_next_one_is_served() {
        let (address, stop, tasks) = start(Limits { connections: 1, ..TINY }).await;
        let mut deaf = TcpStream::connect(address).await.unwrap();
        deaf.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // There is one place, and it is taken: this one is answered once the first has its age.
        let served = talk(address, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(served.starts_with("HTTP/1.1 200"), "{served}");
        stop.cancel();
        tasks.wait().await;
        drop(deaf);
    }

    #[tokio::test]
    async fn stopping_waits_for_no_one_for_ever() {
        let (address, stop, tasks) = start(Limits { age: Duration::from_mins(1), ..TINY }).await;
        let mut deaf = TcpStream::connect(address).await.unwrap();
        deaf.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut first = [0; 8];
        deaf.read_exact(&mut first).await.unwrap();
        stop.cancel();
        tasks.wait().await;
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}
