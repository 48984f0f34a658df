//! TLS against real servers on loopback: who is trusted, and who we are.
//!
//! The certificates are made by Debian's `openssl` for each test, so that no key is ever kept.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{envelope, receiver};
use crate::deliver::{ErrorClass, Receiver, SendError, Then};

/// An authority in a folder of its own.
struct Authority {
    folder: tempfile::TempDir,
}

const NEW_KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
const DATABASE: &str = "[ca]\ndefault_ca = here\n[here]\ndatabase = index.txt\nnew_certs_dir = .\n\
    rand_serial = yes\ndefault_md = sha256\npolicy = names\nunique_subject = no\n[names]\n\
    commonName = supplied\n";

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let this = Self { folder };
        std::fs::write(this.path("ca.cnf"), DATABASE).unwrap();
        std::fs::write(this.path("index.txt"), "").unwrap();
        // Two authorities of one name would be one authority with two keys.
        let name = this.folder.path().file_name().unwrap().to_str().unwrap().to_owned();
        this.openssl(&format!("req -x509 {NEW_KEY} -keyout ca.key -out ca.pem -subj /CN={name}"));
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {error}");
    }

    /// `<name>.pem` and `<name>.key`, valid until the year given.
    fn issue(&self, name: &str, extensions: &str, until: u16) {
        std::fs::write(self.path("leaf.ext"), extensions).unwrap();
        let files = format!("-keyout {name}.key -out {name}.csr");
        self.openssl(&format!("req {NEW_KEY} {files} -subj /CN={name}"));
        let dates = format!("-startdate 20200101000000Z -enddate {until}0101000000Z");
        let files = format!("-cert ca.pem -keyfile ca.key -in {name}.csr -out {name}.pem");
        self.openssl(&format!(
            "ca -batch -notext -config ca.cnf -extfile leaf.ext {files} {dates}"
        ));
    }
}

/// A server that answers every request with `200`, and how many it answered.
struct TlsServer {
    port: u16,
    answered: Arc<AtomicUsize>,
}

impl TlsServer {
    /// With the certificate of that name; with `clients`, only for those it vouches for.
    async fn start(authority: &Authority, name: &str, clients: Option<&Authority>) -> Self {
        let chain =
            vec![CertificateDer::from_pem_file(authority.path(&format!("{name}.pem"))).unwrap()];
        let key = PrivateKeyDer::from_pem_file(authority.path(&format!("{name}.key"))).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_file(clients.path("ca.pem")).unwrap()).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let config = builder.with_single_cert(chain, key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answered = Arc::new(AtomicUsize::new(0));
        tokio::spawn(serve(listener, acceptor, answered.clone()));
        Self { port, answered }
    }

    fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, answered: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, answered) = (acceptor.clone(), answered.clone());
        tokio::spawn(async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let mut seen = Vec::new();
            let mut buffer = [0; 4096];
            while !seen.ends_with(b"{}") {
                match stream.read(&mut buffer).await {
                    Ok(read) if read > 0 => seen.extend_from_slice(&buffer[..read]),
                    _ => return,
                }
            }
            answered.fetch_add(1, Ordering::SeqCst);
            let reply = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            drop(stream.write_all(reply).await);
            drop(stream.shutdown().await);
        });
    }
}

fn hook(server: &TlsServer, ca: Option<&Path>, identity: Option<&Path>) -> Arc<dyn Receiver> {
    let mut table = json!({
        "url": format!("https://localhost:{}/secret-path", server.port),
        "allow_private": true,
        "https_only": true,
    });
    if let Some(ca) = ca {
        table["ca_file"] = json!(ca);
    }
    if let Some(stem) = identity {
        table["client_cert"] = json!(stem.with_extension("pem"));
        table["client_key"] = json!(stem.with_extension("key"));
    }
    receiver(json!({"webhook": table}))
}

async fn post(receiver: &Arc<dyn Receiver>) -> Result<u16, SendError> {
    receiver.send(&envelope("{}")).await.map(|receipt| receipt.status)
}

/// A failed handshake is tried again: a certificate may be renewed.
fn refused(result: Result<u16, SendError>, cause: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.then, error.class), (Then::Retry { after: None }, ErrorClass::Network));
    assert!(error.detail.contains(cause), "{error}");
    assert!(!error.detail.contains("secret-path"), "{error}");
}

const SERVER: &str = "subjectAltName = DNS:localhost";

#[tokio::test]
async fn only_a_valid_certificate_of_a_known_authority_is_talked_to() {
    let ours = Authority::new();
    let stranger = Authority::new();
    ours.issue("good", SERVER, 2100);
    ours.issue("expired", SERVER, 2021);
    ours.issue("wrong", "subjectAltName = DNS:hook.example", 2100);
    for (name, authority, cause) in [
        ("good", Some(&ours), None),
        ("good", None, Some("UnknownIssuer")),
        ("good", Some(&stranger), Some("UnknownIssuer")),
        ("expired", Some(&ours), Some("expired")),
        ("wrong", Some(&ours), Some("not valid for name")),
    ] {
        let server = TlsServer::start(&ours, name, None).await;
        let ca = authority.map(|it| it.path("ca.pem"));
        let result = post(&hook(&server, ca.as_deref(), None)).await;
        match cause {
            None => assert_eq!(result.unwrap(), 200),
            Some(cause) => refused(result, cause),
        }
        assert_eq!(server.answered(), usize::from(cause.is_none()), "{name}: {cause:?}");
    }
}

#[tokio::test]
async fn a_client_certificate_is_shown_to_who_asks_and_renewed_without_a_restart() {
    let ours = Authority::new();
    let clients = Authority::new();
    ours.issue("good", SERVER, 2100);
    ours.issue("client", "extendedKeyUsage = clientAuth", 2100);
    clients.issue("client", "extendedKeyUsage = clientAuth", 2100);
    let ca = ours.path("ca.pem");
    let server = TlsServer::start(&ours, "good", Some(&clients)).await;
    refused(post(&hook(&server, Some(&ca), None)).await, "CertificateRequired");
    assert_eq!(server.answered(), 0, "without a certificate");

    let stem = ours.path("client");
    let receiver = hook(&server, Some(&ca), Some(&stem));
    refused(post(&receiver).await, "received fatal alert");
    assert_eq!(server.answered(), 0, "with a stranger's certificate");

    std::fs::copy(clients.path("client.pem"), stem.with_extension("pem")).unwrap();
    std::fs::copy(clients.path("client.key"), stem.with_extension("key")).unwrap();
    assert_eq!(post(&receiver).await.unwrap(), 200, "the same receiver, with renewed files");

    // A server that does not ask is not bothered with it.
    let open = TlsServer::start(&ours, "good", None).await;
    assert_eq!(post(&hook(&open, Some(&ca), Some(&stem))).await.unwrap(), 200);
}

#[tokio::test]
async fn an_authority_is_renewed_without_a_restart() {
    let (ours, stranger) = (Authority::new(), Authority::new());
    ours.issue("good", SERVER, 2100);
    let server = TlsServer::start(&ours, "good", None).await;
    let file = stranger.path("trusted.pem");
    std::fs::copy(stranger.path("ca.pem"), &file).unwrap();
    let receiver = hook(&server, Some(&file), None);
    refused(post(&receiver).await, "UnknownIssuer");
    std::fs::copy(ours.path("ca.pem"), &file).unwrap();
    assert_eq!(post(&receiver).await.unwrap(), 200, "the same receiver, with a renewed file");
    // A file that cannot be used takes nobody's trust away.
    for broken in [Some("half a file"), None] {
        match broken {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        assert_eq!(post(&receiver).await.unwrap(), 200, "{broken:?}: the last good one");
    }
}

#[tokio::test]
async fn plain_http_is_not_spoken_to_a_tls_port_nor_tls_to_a_plain_one() {
    let ours = Authority::new();
    ours.issue("good", SERVER, 2100);
    let server = TlsServer::start(&ours, "good", None).await;
    let plain = json!({"webhook": {"url": format!("http://localhost:{}/", server.port),
        "allow_private": true}});
    let error = receiver(plain).send(&envelope("{}")).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Network, "{error}");
    assert_eq!(server.answered(), 0);
}
