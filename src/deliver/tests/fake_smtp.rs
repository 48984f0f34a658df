//! A scripted mail server: it says what it is told to at each step, or nothing, or too much.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// When the server speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    Never,
    AtOnce,
    AfterStarttls,
}

/// What it says at a step instead of taking it; `HANG`, `DRIP`, `ENDLESS` and `CLOSE` are deeds.
pub(super) type Answers = HashMap<&'static str, String>;

/// A mail server on a free port of loopback.
#[derive(Debug)]
pub(super) struct FakeSmtp {
    pub(super) port: u16,
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FakeSmtp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The folder of the certificates made for `localhost` by an authority of these tests alone.
pub(super) fn certificates() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/deliver/tests/tls")
}

pub(super) fn acceptor() -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(certificates().join("server.pem")).unwrap();
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates().join("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

impl FakeSmtp {
    pub(super) async fn start(tls: Tls, answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (acceptor, heard) = (acceptor(), seen.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answers, heard) = (acceptor.clone(), answers.clone(), heard.clone());
                tokio::spawn(async move {
                    let talk = Talk { answers, heard, tls };
                    if tls == Tls::AtOnce {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            talk.serve(stream, true).await;
                        }
                    } else if let Some(stream) = talk.serve(stream, true).await
                        && let Ok(stream) = acceptor.accept(stream).await
                    {
                        talk.serve(stream, false).await;
                    }
                });
            }
        });
        Self { port, seen, task }
    }

    /// Every line the client said; a mail is one entry.
    pub(super) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

struct Talk {
    answers: Answers,
    heard: Arc<Mutex<Vec<String>>>,
    tls: Tls,
}

impl Talk {
    /// Until the client leaves; gives the stream back for the handshake after STARTTLS.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, greet: bool) -> Option<S> {
        let mut stream = BufReader::new(stream);
        if greet {
            self.say(&mut stream, "CONNECT", "220 mail.example ESMTP").await?;
        }
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
            let line = line.trim_end().to_owned();
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            self.heard.lock().unwrap().push(line);
            match verb.as_str() {
                "EHLO" => self.say(&mut stream, "EHLO", &self.offer()).await?,
                "STARTTLS" => {
                    self.say(&mut stream, "STARTTLS", "220 go ahead").await?;
                    return Some(stream.into_inner());
                }
                "AUTH" => self.say(&mut stream, "AUTH", "235 2.7.0 welcome").await?,
                "MAIL" => self.say(&mut stream, "MAIL", "250 2.1.0 ok").await?,
                "RCPT" => {
                    let step = if self.rcpt_count() > 1 { "RCPT2" } else { "RCPT" };
                    self.say(&mut stream, step, "250 2.1.5 ok").await?;
                }
                "DATA" => {
                    self.say(&mut stream, "DATA", "354 go on").await?;
                    let mut mail = String::new();
                    while !mail.ends_with("\r\n.\r\n") {
                        stream.read_line(&mut mail).await.ok().filter(|read| *read > 0)?;
                    }
                    self.heard.lock().unwrap().push(mail);
                    self.say(&mut stream, "END", "250 2.0.0 queued as 7").await?;
                }
                _ => self.say(&mut stream, "QUIT", "221 bye").await?,
            }
        }
    }

    fn offer(&self) -> String {
        let starttls = if self.tls == Tls::AfterStarttls { "250-STARTTLS\r\n" } else { "" };
        format!("250-mail.example\r\n{starttls}250-AUTH PLAIN LOGIN\r\n250 8BITMIME")
    }

    fn rcpt_count(&self) -> usize {
        self.heard.lock().unwrap().iter().filter(|line| line.starts_with("RCPT")).count()
    }

    /// `None` ends the conversation.
    async fn say<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: &mut BufReader<S>,
        step: &str,
        usual: &str,
    ) -> Option<()> {
        let said = self.answers.get(step).map_or(usual, String::as_str);
        match said {
            "CLOSE" => return None,
            "HANG" => std::future::pending().await,
            "DRIP" => {
                let mut ticks = tokio::time::interval(Duration::from_millis(20));
                while stream.write_all(b"2").await.is_ok() && stream.flush().await.is_ok() {
                    ticks.tick().await;
                }
            }
            "ENDLESS" => while stream.write_all("y".repeat(0x1000).as_bytes()).await.is_ok() {},
            text => {
                let text = text.replace("\\n", "\r\n");
                stream.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
                stream.flush().await.ok()?;
            }
        }
        Some(())
    }
}
