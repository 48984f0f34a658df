//! A scripted HTTP server: it can also be slow, endless, rude or gone.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::fake_smtp::acceptor;

/// What happens to the connection after the scripted bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Close,
    /// Nothing more, for ever.
    Hang,
    /// One byte now and then, for ever.
    Drip,
    /// Chunks without end, as fast as they are read.
    Endless,
    /// The connection is reset.
    Reset,
}

/// One scripted answer.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    bytes: String,
    after: After,
}

impl Reply {
    /// A whole answer.
    pub(super) fn status(status: u16, body: &str) -> Self {
        Self::with_header(status, "x-test: 1", body)
    }

    /// A whole answer with one more header.
    pub(super) fn with_header(status: u16, header: &str, body: &str) -> Self {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\n{header}\r\ncontent-length: {length}");
        let bytes = format!("{head}\r\nconnection: close\r\n\r\n{body}");
        Self { bytes, after: After::Close }
    }

    /// The beginning of an answer with that status, then something else.
    pub(super) fn broken(status: u16, after: After) -> Self {
        let framing = match after {
            After::Endless => "transfer-encoding: chunked",
            _ => "content-length: 100000",
        };
        Self { bytes: format!("HTTP/1.1 {status} X\r\n{framing}\r\n\r\n"), after }
    }

    /// A head that never ends.
    pub(super) fn slow_head(status: u16) -> Self {
        Self { bytes: format!("HTTP/1.1 {status} X\r\nx-slow: "), after: After::Drip }
    }

    /// No answer at all.
    pub(super) fn silent(after: After) -> Self {
        Self { bytes: String::new(), after }
    }
}

/// One request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

type Scripts = Arc<Mutex<HashMap<String, VecDeque<Reply>>>>;

/// A server on a free port of loopback.
#[derive(Debug)]
pub(super) struct Fake {
    pub(super) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    scripts: Scripts,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Fake {
    /// Answers every method with these, in order; the last one repeats.
    pub(super) async fn start(replies: Vec<Reply>) -> Self {
        Self::by_method(vec![("POST", replies)]).await
    }

    /// As [`Fake::start`], with a script for each method.
    pub(super) async fn by_method(scripts: Vec<(&str, Vec<Reply>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let scripts: HashMap<_, _> = scripts
            .into_iter()
            .map(|(method, replies)| (method.to_owned(), VecDeque::from(replies)))
            .collect();
        let scripts: Scripts = Arc::new(Mutex::new(scripts));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(serve(listener, scripts.clone(), seen.clone()));
        Self { url, seen, scripts, task }
    }

    /// Every request so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Other answers from now on.
    pub(super) fn script(&self, method: &str, replies: Vec<Reply>) {
        self.scripts.lock().unwrap().insert(method.to_owned(), replies.into());
    }
}

async fn serve(listener: TcpListener, scripts: Scripts, seen: Arc<Mutex<Vec<Seen>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let (scripts, seen) = (scripts.clone(), seen.clone());
        tokio::spawn(async move {
            let Some(request) = read_request(&mut stream).await else {
                return;
            };
            let reply = next_reply(&scripts, &request.method);
            seen.lock().unwrap().push(request);
            answer(stream, reply).await;
        });
    }
}

fn next_reply(scripts: &Scripts, method: &str) -> Reply {
    let mut scripts = scripts.lock().unwrap();
    let Some(script) = scripts.get_mut(method) else {
        return Reply::status(405, "");
    };
    if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() }
}

async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Seen> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, _)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let mut lines = head.lines();
        let mut first = lines.next()?.split(' ');
        let headers: HashMap<_, _> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers.get("content-length").map_or(0, |it| it.parse().unwrap());
        if bytes.len() >= head.len() + 4 + length {
            let body = String::from_utf8(bytes[head.len() + 4..].to_vec()).unwrap();
            let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
            return Some(Seen { method, path, headers, body });
        }
    }
}

async fn answer(mut stream: TcpStream, reply: Reply) {
    if stream.write_all(reply.bytes.as_bytes()).await.is_err() {
        return;
    }
    match reply.after {
        After::Close => drop(stream.shutdown().await),
        After::Hang => std::future::pending().await,
        After::Reset => {
            drop(stream.flush().await);
            stream.set_zero_linger().unwrap();
        }
        After::Drip => {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            while stream.write_all(b"x").await.is_ok() {
                ticks.tick().await;
            }
        }
        After::Endless => {
            let chunk = format!("1000\r\n{}\r\n", "y".repeat(0x1000));
            while stream.write_all(chunk.as_bytes()).await.is_ok() {}
        }
    }
}

/// A server on a free port that speaks TLS with the certificate of these tests and answers
/// everything alike.
#[derive(Debug)]
pub(super) struct TlsFake {
    pub(super) port: u16,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for TlsFake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsFake {
    pub(super) async fn start(reply: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let (acceptor, reply, count) = (acceptor(), reply.to_owned(), requests.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, reply, count) = (acceptor.clone(), reply.clone(), count.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    if read_request(&mut stream).await.is_some() {
                        count.fetch_add(1, Ordering::SeqCst);
                        drop(stream.write_all(reply.as_bytes()).await);
                        drop(stream.shutdown().await);
                    }
                });
            }
        });
        Self { port, requests, task }
    }

    /// Requests that came through the handshake.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}
