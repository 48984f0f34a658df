//! The one constructor of outgoing HTTP and TLS: sources, receivers and actions share it.
//!
//! Invariants: one crypto provider (ring), the system's roots plus at most one extra CA file, no
//! redirects (a redirect would carry credentials elsewhere), no proxies from the environment. A
//! client certificate is read at each handshake, so that a renewed one needs no restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};

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
    let mut roots = RootCertStore::empty();
    // A system without certificates still reaches plain HTTP and the extra CA; every other
    // handshake then fails with "unknown issuer", which names the cause.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = extra_ca {
        add_extra_ca(&mut roots, path)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError::Library(error.to_string()))?
        .with_root_certificates(roots);
    let Some(identity) = identity else {
        return Ok(config.with_no_client_auth());
    };
    // A file that cannot be used is told at the start, not at the first handshake.
    identity.read()?;
    Ok(config.with_client_cert_resolver(Arc::new(identity)))
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

fn add_extra_ca(roots: &mut RootCertStore, path: &Path) -> Result<(), ClientError> {
    let wrong = |cause: String| ClientError::ExtraCa { path: path.to_owned(), cause };
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let mut count = 0;
    for certificate in certificates {
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
