//! One mail over SMTP: a guarded connection, a bounded conversation, one deadline over all of it.
//!
//! The dialogue is `lettre`'s; what it stands on is ours, for four reasons. The checked address is
//! the connected address. TLS is the daemon's own configuration. The plain part before STARTTLS is
//! read by us byte by byte, so nothing that was sent before the handshake can count as an answer
//! after it. And a server that never ends a line is cut off at [`READ_CAP`].

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::{Response, Severity};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::egress::{Policy, addresses, refusal};
use super::exchange::{cut, misconfigured};
use super::{ErrorClass, SendError, Then};
use crate::secret::SecretRef;

/// How much a server may say in one conversation.
const READ_CAP: usize = 128 * 1024;
/// How much it may say before STARTTLS, and in how many lines.
const PLAIN_CAP: usize = 8 * 1024;
/// For saying good-bye after the mail was taken; whether it works does not matter.
const QUIT: Duration = Duration::from_millis(500);
/// What our own reader of the plain part hands on: the greeting was read already.
const GREETED: &[u8] = b"220 greeted\r\n";

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the first byte (port 465).
    #[default]
    Tls,
    /// TLS after STARTTLS (port 587); without it nothing is sent.
    Starttls,
    /// None: only inside a private network.
    None,
}

/// Where mail is handed in.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    /// Which addresses may be connected to.
    pub(super) policy: Policy,
    pub(super) tls: Arc<ClientConfig>,
    /// User and password; the password is read at each use.
    pub(super) login: Option<(String, SecretRef)>,
    /// The name we give in EHLO.
    pub(super) hello: String,
}

/// A mail and whom it is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parcel<'a> {
    pub(super) from: &'a Address,
    pub(super) to: &'a [Address],
    pub(super) bytes: &'a [u8],
}

impl Server {
    /// Hands one mail in; the answer is the server's word for it.
    ///
    /// A recipient that is refused for good does not keep the mail from the others and is named
    /// in the answer. One that is refused for now keeps it from all, so that nobody gets it twice.
    pub(super) async fn send(
        &self,
        parcel: Parcel<'_>,
        limit: Duration,
    ) -> Result<String, SendError> {
        let deadline = Instant::now() + limit;
        let talk = async {
            let mut connection = self.connect().await?;
            let said = self.hand_in(&mut connection, parcel).await?;
            Ok((connection, said))
        };
        let (mut connection, said) = match timeout_at(deadline, talk).await {
            Ok(talked) => talked?,
            Err(_) => return Err(failed(ErrorClass::Timeout, self.named("no end in time"))),
        };
        drop(timeout(QUIT, connection.quit()).await);
        Ok(said)
    }

    fn named(&self, what: &str) -> String {
        format!("{}:{}: {what}", self.host, self.port)
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let hello = ClientId::Domain(self.hello.clone());
        let mut stream = self.reach().await?;
        let address = stream.peer_addr().map_err(|error| self.broken(&error))?;
        let stream: Box<dyn AsyncTokioStream> = match self.security {
            Security::None => Box::new(Bounded::new(stream, address, &[])),
            Security::Tls => Box::new(Bounded::new(self.wrap(stream).await?, address, &[])),
            Security::Starttls => {
                plain_part(&mut stream, &self.hello).await.map_err(|refused| match refused {
                    Refused::Broken(error) => self.broken(&error),
                    Refused::Answer(line) => self.refused(&line),
                })?;
                Box::new(Bounded::new(self.wrap(stream).await?, address, GREETED))
            }
        };
        AsyncSmtpConnection::connect_with_transport(stream, &hello)
            .await
            .map_err(|error| self.judged(&error))
    }

    /// The first of the allowed addresses that answers.
    async fn reach(&self) -> Result<TcpStream, SendError> {
        let found = addresses(&self.host, self.port, &self.policy).await;
        let found = found.map_err(|error| {
            let class =
                refusal(error.as_ref()).map_or(ErrorClass::Network, |_| ErrorClass::Blocked);
            failed(class, self.named(&error.to_string()))
        })?;
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in found {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(self.broken(&last))
    }

    async fn wrap(
        &self,
        stream: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, SendError> {
        let name = ServerName::try_from(self.host.clone()).map_err(misconfigured)?;
        let connector = TlsConnector::from(self.tls.clone());
        connector.connect(name, stream).await.map_err(|error| self.broken(&error))
    }

    async fn hand_in(
        &self,
        connection: &mut AsyncSmtpConnection,
        parcel: Parcel<'_>,
    ) -> Result<String, SendError> {
        if let Some((user, password)) = &self.login {
            let password = password.read().map_err(misconfigured)?;
            let login = Credentials::new(user.clone(), password.expose().trim().to_owned());
            let ways = [Mechanism::Plain, Mechanism::Login];
            connection.auth(&ways, &login).await.map_err(|error| self.judged(&error))?;
        }
        let mail = Mail::new(Some(parcel.from.clone()), Vec::new());
        let said = connection.command(mail).await.map_err(|error| self.judged(&error))?;
        self.expect(&said, Severity::PositiveCompletion)?;
        let mut refused = Vec::new();
        for address in parcel.to {
            let rcpt = Rcpt::new(address.clone(), Vec::new());
            match connection.command(rcpt).await {
                Ok(said) => self.expect(&said, Severity::PositiveCompletion)?,
                Err(error) if error.is_permanent() => refused.push((address, error)),
                Err(error) => return Err(self.judged(&error)),
            }
        }
        if let Some((_, error)) = refused.first().filter(|_| refused.len() == parcel.to.len()) {
            return Err(self.judged(error));
        }
        let said = connection.command(Data).await.map_err(|error| self.judged(&error))?;
        self.expect(&said, Severity::PositiveIntermediate)?;
        let said = connection.message(parcel.bytes).await.map_err(|error| self.judged(&error))?;
        self.expect(&said, Severity::PositiveCompletion)?;
        let mut said = said.message().collect::<Vec<_>>().join(" ");
        for (address, error) in refused {
            said = format!("{said}; not for {address}: {error}");
        }
        Ok(cut(&said))
    }

    /// A reply of 3yz asks for more where 2yz says that it is done (RFC 5321, 4.2.1): the library
    /// takes the one for the other.
    fn expect(&self, said: &Response, wanted: Severity) -> Result<(), SendError> {
        let code = said.code();
        if code.severity == wanted {
            return Ok(());
        }
        let words = said.message().collect::<Vec<_>>().join(" ");
        let code = u16::from(code);
        let detail = cut(&self.named(&format!("{code} {words}: not an answer to this step")));
        let class = ErrorClass::NotAccepted;
        Err(SendError { then: AGAIN, class, status: Some(code), detail })
    }

    fn broken(&self, error: &io::Error) -> SendError {
        failed(ErrorClass::Network, self.named(&error.to_string()))
    }

    /// An answer to our own commands before STARTTLS.
    fn refused(&self, line: &str) -> SendError {
        let code = line.get(..3).and_then(|code| code.parse().ok());
        let (then, class) = code.map_or((AGAIN, ErrorClass::NotAccepted), |it| meaning(it, line));
        SendError { then, class, status: code, detail: cut(&self.named(line)) }
    }

    /// What an error of the dialogue means.
    fn judged(&self, error: &Error) -> SendError {
        let text = error.to_string();
        let code = error.status().map(u16::from);
        let (then, class) = match code {
            Some(code) => meaning(code, &text),
            // Our own refusal: the server offers no way to log in.
            None if error.is_client() => (AGAIN, ErrorClass::Config),
            None if error.is_response() => (AGAIN, ErrorClass::NotAccepted),
            None => (AGAIN, ErrorClass::Network),
        };
        SendError { then, class, status: code, detail: cut(&self.named(&text)) }
    }
}

const AGAIN: Then = Then::Retry { after: None };

fn failed(class: ErrorClass, detail: String) -> SendError {
    SendError { then: AGAIN, class, status: None, detail: cut(&detail) }
}

/// What a reply code means (RFC 5321, with the enhanced codes of RFC 3463 where they say more).
fn meaning(code: u16, text: &str) -> (Then, ErrorClass) {
    let has = |enhanced: &str| text.split([' ', '-', ':']).any(|word| word == enhanced);
    match code {
        530 | 534 | 535 | 538 => (Then::Permanent, ErrorClass::AuthError),
        _ if has("5.3.4") || has("5.2.3") => (Then::Shrink, ErrorClass::TooLarge),
        // 552 is also said of a full mailbox, which a smaller mail does not empty.
        552 if !has("5.2.2") => (Then::Shrink, ErrorClass::TooLarge),
        450..=451 if has("4.7.0") || has("4.7.1") => (AGAIN, ErrorClass::RateLimited),
        400..=499 => (AGAIN, ErrorClass::ServerError),
        500..=599 => (Then::Permanent, ErrorClass::ClientError),
        _ => (AGAIN, ErrorClass::NotAccepted),
    }
}

/// Why the plain part did not end in a handshake.
enum Refused {
    Broken(io::Error),
    Answer(String),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Greeting, EHLO and STARTTLS. Bytes are read one by one: what follows the last answer belongs
/// to the handshake, and there it breaks, if somebody in between put it there.
async fn plain_part(stream: &mut TcpStream, hello: &str) -> Result<(), Refused> {
    let mut left = PLAIN_CAP;
    reply(stream, &mut left, "220").await?;
    stream.write_all(format!("EHLO {hello}\r\n").as_bytes()).await?;
    let offered = reply(stream, &mut left, "250").await?;
    if !offered.lines().any(|line| line.get(4..).unwrap_or_default().trim() == "STARTTLS") {
        return Err(Refused::Answer("the server offers no STARTTLS".to_owned()));
    }
    stream.write_all(b"STARTTLS\r\n").await?;
    reply(stream, &mut left, "220").await.map(drop)
}

/// All lines of one reply, which must begin with that code.
async fn reply(stream: &mut TcpStream, left: &mut usize, code: &str) -> Result<String, Refused> {
    let mut text = String::new();
    loop {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            *left = left.checked_sub(1).ok_or_else(too_much)?;
            line.push(stream.read_u8().await?);
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let is_last = line.as_bytes().get(3) != Some(&b'-');
        text = if text.is_empty() { line } else { format!("{text}\n{line}") };
        if is_last {
            let is_wanted = text.starts_with(code);
            return if is_wanted { Ok(text) } else { Err(Refused::Answer(text)) };
        }
    }
}

fn too_much() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the server says more than a conversation takes")
}

/// A connection that gives out `first`, then what the server says, up to [`READ_CAP`].
#[derive(Debug)]
struct Bounded<S> {
    stream: S,
    address: SocketAddr,
    first: &'static [u8],
    left: usize,
}

impl<S> Bounded<S> {
    fn new(stream: S, address: SocketAddr, first: &'static [u8]) -> Self {
        Self { stream, address, first, left: READ_CAP }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> AsyncTokioStream
    for Bounded<S>
{
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let (now, rest) = self.first.split_at(self.first.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.first = rest;
            return Poll::Ready(Ok(()));
        }
        if self.left == 0 {
            return Poll::Ready(Err(too_much()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.left = self.left.saturating_sub(buffer.filled().len() - before);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
