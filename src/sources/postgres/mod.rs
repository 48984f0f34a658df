//! A PostgreSQL warehouse over the simple query protocol: text cells, one decoder.
//!
//! First step of the line from world to batch. Each question is one connection: settings, a
//! read-only transaction, exactly one statement, commit. The server stops the statement after
//! `statement_timeout`; if it does not, or nobody waits any more, a CancelRequest goes out. Works
//! through transaction poolers. Errors never hold the password: nothing here formats it.

mod config;
mod failure;
mod sql;

use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::tz::TimeZone;
use judge::contract::{Grid, Refusal, instant};
use judge::plan::{Batch, Cell, Request, Row};
use judge::time::Span;
use rustls::ClientConfig;
use tokio_postgres::{CancelToken, Client, NoTls, SimpleQueryMessage, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use self::config::{PostgresConfig, SslMode};

use self::failure::classified;
use super::{BoxFuture, FetchClass, FetchError, Source};

/// How long opening a connection or sending a CancelRequest may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes of all cells of one answer.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A PostgreSQL source.
#[derive(Debug)]
pub struct PostgresSource {
    config: PostgresConfig,
    naive_zone: Option<TimeZone>,
    /// `None` when the connection is not encrypted.
    tls: Option<ClientConfig>,
}

impl PostgresSource {
    /// Checks the configuration; nothing is connected yet.
    pub fn new(config: &PostgresConfig) -> Result<Self, String> {
        if let Some(fault) = config.fault() {
            return Err(fault);
        }
        let tls = match config.sslmode {
            SslMode::Disable => None,
            SslMode::VerifyFull => Some(
                crate::http_client::tls_config(config.extra_ca.as_deref())
                    .map_err(|error| error.to_string())?,
            ),
        };
        let zone = config.naive_timezone.as_deref().map(TimeZone::get).transpose();
        let naive_zone = zone.map_err(|error| error.to_string())?;
        Ok(Self { config: config.clone(), naive_zone, tls })
    }

    async fn answer(&self, request: &Request) -> Result<Batch, FetchError> {
        let grid = Grid::of(&request.need).map_err(|refusal| refused(&refusal))?;
        let statement = sql::statement(&request.need, &grid)?;
        self.session(async |client| self.query(client, request, &statement).await).await
    }

    /// One connection around some work, cancelled when it takes too long or is given up.
    async fn session<T>(
        &self,
        work: impl AsyncFnOnce(&Client) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, self.connect());
        let session = connecting.await.unwrap_or_else(|_| {
            let message = format!("{}: no connection within {CONNECT_TIMEOUT:?}", self.config.host);
            Err(FetchError::new(FetchClass::Timeout, message))
        })?;
        let token = session.client.cancel_token();
        let mut cancel = CancelOnDrop { token: Some(token), tls: self.tls.clone() };
        let limit = self.config.connection_limit();
        match tokio::time::timeout(limit, work(&session.client)).await {
            Ok(Ok(done)) => {
                cancel.token = None;
                Ok(done)
            }
            Ok(Err(error)) => {
                // The server itself ended the statement: there is nothing to cancel.
                if matches!(error.class, FetchClass::UserError | FetchClass::Auth) {
                    cancel.token = None;
                }
                Err(error)
            }
            Err(_) => {
                let message = format!("no answer within {} s", limit.as_secs());
                Err(FetchError::new(FetchClass::Timeout, message))
            }
        }
    }

    async fn connect(&self) -> Result<Session, FetchError> {
        let mut config = tokio_postgres::Config::new();
        if self.config.is_socket() {
            config.host_path(&self.config.host);
        } else {
            config.host(&self.config.host);
        }
        config
            .port(self.config.port)
            .user(&self.config.user)
            .dbname(&self.config.dbname)
            .application_name("verdictd")
            .connect_timeout(CONNECT_TIMEOUT);
        if let Some(reference) = &self.config.password {
            let password = reference
                .read()
                .map_err(|error| FetchError::new(FetchClass::Auth, error.to_string()))?;
            config.password(password.expose());
        }
        let failed = |error: tokio_postgres::Error| classified(&error);
        // The connection task ends with the client; its error reaches the client's calls.
        let (client, task) = match &self.tls {
            None => {
                config.ssl_mode(tokio_postgres::config::SslMode::Disable);
                let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
            Some(tls) => {
                config.ssl_mode(tokio_postgres::config::SslMode::Require);
                let tls = MakeRustlsConnect::new(tls.clone());
                let (client, connection) = config.connect(tls).await.map_err(failed)?;
                (client, tokio::spawn(async move { drop(connection.await) }))
            }
        };
        Ok(Session { client, task })
    }

    async fn query(
        &self,
        client: &Client,
        request: &Request,
        statement: &str,
    ) -> Result<Batch, FetchError> {
        let failed = |error: tokio_postgres::Error| classified(&error);
        let settings = format!(
            "SET statement_timeout = {}; SET TIME ZONE 'UTC'; SET DateStyle = 'ISO, YMD'; \
             SET standard_conforming_strings = on; SET default_transaction_read_only = on",
            u64::from(self.config.statement_timeout_secs) * 1_000
        );
        client.batch_execute(&settings).await.map_err(failed)?;
        client.batch_execute("BEGIN READ ONLY").await.map_err(failed)?;
        let mut batch = Batch::default();
        let mut bytes = 0;
        let mut messages = pin!(client.simple_query_raw(statement).await.map_err(failed)?);
        while let Some(message) = messages.next().await {
            match message.map_err(failed)? {
                SimpleQueryMessage::RowDescription(columns) => {
                    let names = columns.iter().map(|column| contract_name(request, column.name()));
                    batch.columns = names.collect();
                }
                SimpleQueryMessage::Row(row) => {
                    bytes += (0..row.len()).filter_map(|i| row.get(i)).map(str::len).sum::<usize>();
                    if batch.rows.len() >= self.config.max_rows || bytes > MAX_BYTES {
                        return Err(self.too_much());
                    }
                    let place = format!("row {}", batch.rows.len() + 1);
                    let row = self.row(&batch.columns, &row, place);
                    batch.rows.push(row.map_err(|refusal| refused(&refusal))?);
                }
                _ => {}
            }
        }
        client.batch_execute("COMMIT").await.map_err(failed)?;
        Ok(batch)
    }

    fn too_much(&self) -> FetchError {
        let message = format!(
            "more than {} rows or {MAX_BYTES} bytes: aggregate to one row per period and arm",
            self.config.max_rows
        );
        FetchError::new(FetchClass::CostGuard, message)
    }

    fn row(&self, columns: &[String], row: &SimpleQueryRow, place: String) -> Result<Row, Refusal> {
        let cell = |(index, column): (usize, &String)| self.cell(column, row.get(index), &place);
        let cells = columns.iter().enumerate().map(cell).collect::<Result<Vec<_>, _>>()?;
        Ok(Row { cells, place })
    }

    /// One text cell; a time without offset is read in the declared zone, if there is one.
    fn cell(&self, column: &str, text: Option<&str>, place: &str) -> Result<Cell, Refusal> {
        let Some(text) = text else {
            return Ok(Cell::Missing);
        };
        if column == "time" && text.len() > 10 {
            if let Some(zone) = &self.naive_zone {
                return instant(text, zone).map(Cell::Time).map_err(|why| {
                    Refusal::new(place, why, "return timestamptz, or a date").at(column, text)
                });
            }
        } else if column != "arm" && matches!(text, "NaN" | "Infinity" | "-Infinity") {
            return Ok(Cell::NonFinite);
        }
        Ok(Cell::Text(text.to_owned()))
    }
}

fn refused(refusal: &Refusal) -> FetchError {
    FetchError::new(FetchClass::Contract, refusal.to_string())
}

/// The contract's name of a column: mapped by the query, else its own in lower case.
fn contract_name(request: &Request, name: &str) -> String {
    let columns = &request.need.query.columns;
    let mapped = columns.iter().find(|(_, text)| text.eq_ignore_ascii_case(name));
    mapped.map_or_else(|| name.to_lowercase(), |(contract, _)| contract.clone())
}

/// An open connection; its task ends with it.
struct Session {
    client: Client,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        // Closing by force: a statement that still runs is cancelled by CancelOnDrop.
        self.task.abort();
    }
}

/// Sends a CancelRequest unless the work was done: also when the whole question is dropped.
struct CancelOnDrop {
    token: Option<CancelToken>,
    tls: Option<ClientConfig>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let (Some(token), Ok(runtime)) = (self.token.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        let tls = self.tls.take();
        runtime.spawn(async move {
            let cancelling = async {
                match tls {
                    None => token.cancel_query(NoTls).await,
                    Some(tls) => token.cancel_query(MakeRustlsConnect::new(tls)).await,
                }
            };
            let answer = tokio::time::timeout(CONNECT_TIMEOUT, cancelling).await;
            if !matches!(answer, Ok(Ok(()))) {
                tracing::warn!("a CancelRequest to PostgreSQL did not arrive");
            }
        });
    }
}

impl Source for PostgresSource {
    fn kind(&self) -> &'static str {
        "postgres"
    }

    fn fetch<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Batch, FetchError>> {
        Box::pin(self.answer(request))
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), FetchError>> {
        let asked = self.session(async |client| {
            client.batch_execute("SELECT 1").await.map_err(|error| classified(&error))
        });
        Box::pin(asked)
    }

    fn rhythm(&self) -> Span {
        Span::seconds(i64::from(self.config.rhythm_secs))
    }

    fn grain(&self) -> Span {
        Span::days(1)
    }

    fn lateness(&self) -> Span {
        Span::seconds(i64::from(self.config.lateness_secs))
    }
}

#[cfg(test)]
mod tests;
