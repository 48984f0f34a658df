//! The one constructor of outgoing HTTP and TLS: sources, receivers and actions share it.
//!
//! Invariants: one crypto provider (ring), the system's roots plus at most one extra CA file, no
//! redirects (a redirect would carry credentials elsewhere), no proxies from the environment. An
//! extra CA file and a client certificate are read at each handshake, so that renewed ones need no
//! restart.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file cannot be read or is not PEM.
    #[error("extra CA {path}: {cause}")]
    ExtraCa {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The client certificate or its key cannot be used.
    #[error("client certificate {path}: {cause}")]
    ClientCertificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, without its content.
        cause: String,
    },
    /// The TLS or HTTP library refused.
    #[error("HTTP client: {0}")]
    Library(String),
}

/// TLS settings: system roots plus the certificates of `extra_ca` (PEM, one or more).
pub fn tls_config(extra_ca: Option<&Path>) -> Result<ClientConfig, ClientError> {
    tls_config_as(extra_ca, None)
}

/// As [`tls_config`]; servers that ask who we are get the certificate of `identity`.
pub fn tls_config_as(
    extra_ca: Option<&Path>,
    identity: Option<ClientIdentity>,
) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Library(error.to_string()))?;
    let config = match extra_ca {
        None => config.with_root_certificates(system_roots()),
        // Nothing is left out of the verification: it is the library's own, made anew when the
        // file changes.
        Some(path) => {
            config.dangerous().with_custom_certificate_verifier(Arc::new(CaFile::open(path)?))
        }
    };
    let Some(identity) = identity else {
        return Ok(config.with_no_client_auth());
    };
    // A file that cannot be used is told at the start, not at the first handshake.
    identity.read()?;
    Ok(config.with_client_cert_resolver(Arc::new(identity)))
}

/// A system without certificates still reaches plain HTTP and the extra CA; every other handshake
/// then fails with "unknown issuer", which names the cause.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Where our certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    /// PEM, our certificate first, then those between it and an authority.
    pub certificate: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

impl ClientIdentity {
    fn read(&self) -> Result<CertifiedKey, ClientError> {
        let wrong = |path: &Path, cause: String| ClientError::ClientCertificate {
            path: path.to_owned(),
            cause,
        };
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| wrong(&self.certificate, error.to_string()))?;
        if chain.is_empty() {
            return Err(wrong(&self.certificate, "holds no certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| wrong(&self.key, error.to_string()))?;
        CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())
            .map_err(|error| wrong(&self.key, error.to_string()))
    }
}

impl ResolvesClientCert for ClientIdentity {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // Without a usable file no certificate is shown, and the server's refusal is the error.
        let unusable = |error: &ClientError| tracing::warn!(%error, "no client certificate");
        let certified = self.read().inspect_err(unusable).ok()?;
        certified.key.choose_scheme(schemes)?;
        Some(Arc::new(certified))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The system's authorities and those of a file, as the file is now.
#[derive(Debug)]
struct CaFile {
    path: PathBuf,
    kept: Mutex<Kept>,
}

/// The last good content of the file, and what verifies by it.
#[derive(Debug)]
struct Kept {
    pem: Vec<u8>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl CaFile {
    /// A file that cannot be used is told here, not at the first handshake.
    fn open(path: &Path) -> Result<Self, ClientError> {
        let pem = read_ca(path)?;
        let verifier = verifier(path, &pem)?;
        Ok(Self { path: path.to_owned(), kept: Mutex::new(Kept { pem, verifier }) })
    }

    fn kept(&self) -> Arc<WebPkiServerVerifier> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).verifier.clone()
    }

    /// By the file as it is; by its last good content while it cannot be used.
    fn now(&self) -> Arc<WebPkiServerVerifier> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = read_ca(&self.path).and_then(|pem| {
            if pem == kept.pem {
                return Ok(None);
            }
            verifier(&self.path, &pem).map(|verifier| Some(Kept { pem, verifier }))
        });
        match changed {
            Ok(Some(fresh)) => *kept = fresh,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the last good extra CA stays in force"),
        }
        kept.verifier.clone()
    }
}

impl ServerCertVerifier for CaFile {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verifier = self.now();
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.kept().verify_tls12_signature(message, cert, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.kept().verify_tls13_signature(message, cert, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.kept().supported_verify_schemes()
    }
}

fn read_ca(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path)
        .map_err(|error| ClientError::ExtraCa { path: path.to_owned(), cause: error.to_string() })
}

/// The system's authorities and those of `pem`.
fn verifier(path: &Path, pem: &[u8]) -> Result<Arc<WebPkiServerVerifier>, ClientError> {
    let mut roots = system_roots();
    add_extra_ca(&mut roots, path, pem)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| ClientError::Library(error.to_string()))
}

fn add_extra_ca(roots: &mut RootCertStore, path: &Path, pem: &[u8]) -> Result<(), ClientError> {
    let wrong = |cause: String| ClientError::ExtraCa { path: path.to_owned(), cause };
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        count += 1;
    }
    if count == 0 {
        return Err(wrong("holds no certificate".to_owned()));
    }
    Ok(())
}

/// An HTTP client: `timeout` bounds one whole request, body included.
pub fn client(extra_ca: Option<&Path>, timeout: Duration) -> Result<reqwest::Client, ClientError> {
    let mut tls = tls_config(extra_ca)?;
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .user_agent(concat!("verdictd/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ClientError::Library(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_made_without_any_set_up() {
        client(None, Duration::from_secs(1)).unwrap();
    }

    #[test]
    fn a_wrong_extra_ca_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let error = client(Some(&path), Duration::from_secs(1)).unwrap_err().to_string();
        assert!(error.contains("ca.pem"), "{error}");
        std::fs::write(&path, "no certificate here\n").unwrap();
        let error = client(Some(&path), Duration::from_secs(1)).unwrap_err().to_string();
        assert!(error.contains("holds no certificate"), "{error}");
    }
}
