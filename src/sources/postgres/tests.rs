//! Tests without a server: configuration, names, cells, and a peer that is no PostgreSQL.

use super::*;
use crate::secret::SecretRef;
use crate::sources::test_support::{columns, request, ts};

fn loopback() -> PostgresConfig {
    let sslmode = SslMode::Disable;
    PostgresConfig { sslmode, ..PostgresConfig::new("127.0.0.1", "reader", "metrics") }
}

#[test]
fn configurations_that_leak_or_cannot_work_are_refused() {
    let refused = |config: PostgresConfig| PostgresSource::new(&config).unwrap_err();
    let far = PostgresConfig { host: "db.example".into(), ..loopback() };
    assert!(refused(far).contains("this machine only"));
    let socket = PostgresConfig::new("/run/postgresql", "reader", "metrics");
    assert!(refused(socket.clone()).contains("Unix socket"));
    assert!(refused(PostgresConfig { max_rows: 0, ..loopback() }).contains("max_rows"));
    let zone = Some("Mars/Base".to_owned());
    assert!(refused(PostgresConfig { naive_timezone: zone, ..loopback() }).contains("Mars/Base"));
    PostgresSource::new(&PostgresConfig { sslmode: SslMode::Disable, ..socket }).unwrap();
    PostgresSource::new(&PostgresConfig::new("db.example", "reader", "metrics")).unwrap();
}

#[test]
fn columns_are_mapped_to_contract_names() {
    let mut request = request();
    request.need.query.columns = columns(&[("num", "Converted")]);
    assert_eq!(contract_name(&request, "CONVERTED"), "num");
    assert_eq!(contract_name(&request, "DEN"), "den");
}

#[test]
fn cells_are_text_null_non_finite_or_times_of_the_declared_zone() {
    let source = PostgresSource::new(&loopback()).unwrap();
    let cell = |column: &str, text| source.cell(column, text, "row 1").unwrap();
    assert_eq!(cell("num", None), Cell::Missing);
    assert_eq!(cell("num", Some("12.50")), Cell::Text("12.50".into()));
    assert_eq!(cell("value", Some("NaN")), Cell::NonFinite);
    assert_eq!(cell("value", Some("-Infinity")), Cell::NonFinite);
    assert_eq!(cell("arm", Some("NaN")), Cell::Text("NaN".into()));
    assert_eq!(cell("time", Some("2026-08-01 00:00:00")), Cell::Text("2026-08-01 00:00:00".into()));
    let naive_timezone = Some("Europe/Berlin".to_owned());
    let source = PostgresSource::new(&PostgresConfig { naive_timezone, ..loopback() }).unwrap();
    let at = source.cell("time", Some("2026-08-01 00:00:00"), "row 1").unwrap();
    assert_eq!(at, Cell::Time(ts("2026-07-31T22:00:00Z")));
    let refusal = source.cell("time", Some("2026-03-29 02:30:00"), "row 1").unwrap_err();
    assert!(refusal.to_string().contains("does not exist"), "{refusal}");
}

#[tokio::test]
async fn nobody_there_is_transient_and_the_secret_is_named_but_never_shown() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let source = PostgresSource::new(&PostgresConfig { port, ..loopback() }).unwrap();
    let mut request = request();
    request.need.query.sql = Some("select 1".to_owned());
    let error = source.fetch(&request).await.unwrap_err();
    assert_eq!(error.class, FetchClass::Transient, "{error}");
    let password = Some(SecretRef::File("/nonexistent/password".into()));
    let source = PostgresSource::new(&PostgresConfig { port, password, ..loopback() }).unwrap();
    let error = source.fetch(&request).await.unwrap_err();
    assert_eq!(error.class, FetchClass::Auth, "{error}");
    assert!(error.message.contains("/nonexistent/password"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_answers_is_a_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let source = PostgresSource::new(&PostgresConfig { port, ..loopback() }).unwrap();
    assert_eq!(source.probe().await.unwrap_err().class, FetchClass::Timeout);
    drop(listener);
}
