//! Where a client really connects: names that lie, proxies that are asked for and those that are
//! not.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

use super::fake::{Fake, Reply};
use super::secret;
use crate::deliver::egress::Lookup;
use crate::deliver::exchange::{Answer, exchange};
use crate::deliver::{ErrorClass, Network, SendError};

type Asked = Arc<Mutex<Vec<String>>>;

/// Answers with these addresses, one after the other; the last one repeats.
fn answering(addresses: &[&str]) -> (Lookup, Asked) {
    let script: VecDeque<String> = addresses.iter().map(ToString::to_string).collect();
    let script = Mutex::new(script);
    let asked: Asked = Arc::default();
    let seen = asked.clone();
    let lookup: Lookup = Arc::new(move |name| {
        seen.lock().unwrap().push(name);
        let mut script = script.lock().unwrap();
        let next = if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() };
        let found: Vec<_> =
            next.split(' ').map(|ip| SocketAddr::new(ip.parse().unwrap(), 0)).collect();
        Box::pin(async move { Ok(found) })
    });
    (lookup, asked)
}

fn network(table: serde_json::Value) -> Network {
    serde_json::from_value(table).unwrap()
}

async fn post(client: &reqwest::Client, url: &str) -> Result<Answer, SendError> {
    let url = Url::parse(url).unwrap();
    let now = super::at();
    exchange(client.post(url.clone()).body("{}"), &url, Duration::from_secs(5), now).await
}

fn port(fake: &Fake) -> u16 {
    Url::parse(&fake.url).unwrap().port().unwrap()
}

#[tokio::test]
async fn a_name_that_answers_a_private_address_is_not_called() {
    let fake = Fake::start(vec![Reply::status(200, "internal: hunter2")]).await;
    for address in ["127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1 10.0.0.1"] {
        let (lookup, asked) = answering(&[address]);
        let client = Network::default().client_with(lookup).unwrap();
        let url = format!("http://hook.example:{}/secret-path", port(&fake));
        let error = post(&client, &url).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Blocked, "{error}");
        assert!(error.detail.contains("hook.example is a private"), "{error}");
        assert!(!error.detail.contains("hunter2") && !error.detail.contains("secret"), "{error}");
        assert_eq!(*asked.lock().unwrap(), ["hook.example"]);
    }
    assert!(fake.seen().is_empty());
}

/// The first answer is good and the second is not (DNS rebinding): each connection is made to an
/// address that was judged, because the judge is the one that resolves.
#[tokio::test]
async fn a_name_that_answers_otherwise_the_second_time_is_judged_again() {
    let fake = Fake::start(vec![Reply::status(200, "")]).await;
    let (lookup, asked) = answering(&["127.0.0.1", "127.0.0.2", "127.0.0.2 127.0.0.1"]);
    let client = network(json!({"allow": ["127.0.0.1/32"]})).client_with(lookup).unwrap();
    let url = format!("http://hook.example:{}/", port(&fake));
    assert_eq!(post(&client, &url).await.unwrap().status, 200);
    assert_eq!(post(&client, &url).await.unwrap_err().class, ErrorClass::Blocked);
    assert_eq!(post(&client, &url).await.unwrap().status, 200, "only the allowed one is called");
    assert_eq!(fake.seen().len(), 2);
    assert_eq!(asked.lock().unwrap().len(), 3, "one resolution for each connection");
}

#[tokio::test]
async fn an_http_proxy_is_asked_by_name_and_may_be_private() {
    let folder = tempfile::tempdir().unwrap();
    let proxy = Fake::by_method(vec![
        ("POST", vec![Reply::status(200, "")]),
        ("CONNECT", vec![Reply::status(403, "no")]),
    ])
    .await;
    let address = proxy.url.replace("http://127.0.0.1", "http://user:hunter2@proxy.example");
    let table = json!({"proxy": secret(folder.path(), "proxy", &address)});
    let (lookup, asked) = answering(&["127.0.0.1"]);
    let network = network(table);
    let client = network.client_with(lookup).unwrap();
    assert_eq!(post(&client, "http://hook.example/path").await.unwrap().status, 200);
    let seen = &proxy.seen()[0];
    assert_eq!(seen.path, "http://hook.example/path");
    assert_eq!(seen.headers["proxy-authorization"], "Basic dXNlcjpodW50ZXIy");
    let error = post(&client, "https://hook.example/path").await.unwrap_err();
    assert_eq!(proxy.seen()[1].path, "hook.example:443");
    assert!(!error.detail.contains("hunter2") && !error.detail.contains("path"), "{error}");
    assert!(asked.lock().unwrap().iter().all(|name| name == "proxy.example"));
    // What can be known without resolving is still refused.
    assert!(network.checked("http://10.0.0.1/").is_err());
    assert!(network.checked("http://proxy.example/").is_err());
}

/// Answers every SOCKS5 request with "not allowed" and keeps what was asked for.
async fn socks_server() -> (String, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked: Asked = Arc::default();
    let seen = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut greeting = [0; 2];
            stream.read_exact(&mut greeting).await.unwrap();
            let mut methods = vec![0; usize::from(greeting[1])];
            stream.read_exact(&mut methods).await.unwrap();
            stream.write_all(&[5, 0]).await.unwrap();
            let mut head = [0; 4];
            stream.read_exact(&mut head).await.unwrap();
            let mut length = [0; 1];
            let target = if head[3] == 1 {
                let mut ip = [0; 4];
                stream.read_exact(&mut ip).await.unwrap();
                std::net::Ipv4Addr::from(ip).to_string()
            } else {
                stream.read_exact(&mut length).await.unwrap();
                let mut name = vec![0; usize::from(length[0])];
                stream.read_exact(&mut name).await.unwrap();
                String::from_utf8(name).unwrap()
            };
            let mut port = [0; 2];
            stream.read_exact(&mut port).await.unwrap();
            seen.lock().unwrap().push(format!("{target}:{}", u16::from_be_bytes(port)));
            stream.write_all(&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        }
    });
    (address, asked)
}

#[tokio::test]
async fn behind_socks5_names_are_resolved_and_judged_here() {
    let (address, asked) = socks_server().await;
    let table = json!({"proxy": format!("socks5://{address}")});
    let (lookup, names) = answering(&["10.0.0.1", "1.1.1.1"]);
    let client = network(table).client_with(lookup).unwrap();
    let blocked = post(&client, "http://hook.example/").await.unwrap_err();
    assert_eq!(blocked.class, ErrorClass::Blocked, "{blocked}");
    assert!(asked.lock().unwrap().is_empty());
    let refused = post(&client, "http://hook.example/").await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Network, "{refused}");
    assert_eq!(*asked.lock().unwrap(), ["1.1.1.1:80"]);
    assert_eq!(names.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn behind_socks5h_the_proxy_resolves() {
    let (address, asked) = socks_server().await;
    let table = json!({"proxy": format!("socks5h://{address}")});
    let (lookup, names) = answering(&["10.0.0.1"]);
    let client = network(table).client_with(lookup).unwrap();
    let refused = post(&client, "http://hook.example/").await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Network, "{refused}");
    assert_eq!(*asked.lock().unwrap(), ["hook.example:80"]);
    assert!(names.lock().unwrap().is_empty());
}

#[test]
fn keys_that_do_not_fit_together_are_told_at_the_start() {
    let cause = |table: serde_json::Value| network(table).client().unwrap_err();
    assert!(cause(json!({"client_cert": "/x"})).contains("belong together"));
    let files = cause(json!({"client_cert": "/no/cert.pem", "client_key": "/no/key.pem"}));
    assert!(files.contains("/no/cert.pem"), "{files}");
    let literal = cause(json!({"proxy": "http://user:hunter2@p.example"}));
    assert!(literal.contains("is a secret") && !literal.contains("hunter2"), "{literal}");
    let unreadable = cause(json!({"proxy": {"file": "/no/proxy"}}));
    assert!(unreadable.contains("/no/proxy"), "{unreadable}");
    let wrong = serde_json::from_value::<Network>(json!({"allow": ["10.0.0.1/8"]})).unwrap_err();
    assert!(wrong.to_string().contains("is not a network"), "{wrong}");
}
