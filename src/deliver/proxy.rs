//! The proxy of an endpoint: explicit, never from the environment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::secret::SecretRef;

const SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

/// A URL without credentials, or a secret that holds one with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ProxyUrl {
    /// `http://proxy.example:3128`
    Plain(String),
    /// `{file = "PATH"}` or `{env = "NAME"}`
    Secret(SecretRef),
}

impl ProxyUrl {
    /// The proxy's URL, or what is wrong with it, without showing it.
    pub(super) fn read(&self) -> Result<Url, String> {
        let (text, is_secret) = match self {
            Self::Plain(text) => (text.clone(), false),
            Self::Secret(secret) => {
                let text = secret.read().map_err(|error| format!("proxy: {error}"))?;
                (text.expose().trim().to_owned(), true)
            }
        };
        let url = Url::parse(&text).map_err(|error| format!("proxy: not a URL: {error}"))?;
        if !SCHEMES.contains(&url.scheme()) {
            return Err(format!("proxy: use one of the schemes {}", SCHEMES.join(", ")));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err("proxy: the URL has no host".to_owned());
        }
        let has_credentials = !url.username().is_empty() || url.password().is_some();
        if has_credentials && !is_secret {
            let hint = "proxy: a URL with credentials is a secret: put it into a file and write \
                        proxy = {file = \"PATH\"}";
            return Err(hint.to_owned());
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_checked_without_being_shown() {
        let read = |text: &str| ProxyUrl::Plain(text.to_owned()).read();
        for good in ["http://p.example:3128", "https://p.example", "socks5://10.0.0.1:1080"] {
            assert!(read(good).is_ok(), "{good}");
        }
        for (bad, cause) in [
            ("p.example:3128", "schemes"),
            ("socks4://p.example", "schemes"),
            ("http://", "not a URL"),
            ("http://user:hunter2@p.example", "is a secret"),
            ("hunter2", "not a URL"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.contains(cause) && !error.contains("hunter2"), "{bad}: {error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy");
        std::fs::write(&path, "http://user:hunter2@p.example\n").unwrap();
        let secret = ProxyUrl::Secret(SecretRef::File(path));
        assert_eq!(secret.read().unwrap().password(), Some("hunter2"));
        let table = serde_json::json!({"file": "/x"});
        let parsed: ProxyUrl = serde_json::from_value(table).unwrap();
        assert_eq!(parsed, ProxyUrl::Secret(SecretRef::File("/x".into())));
    }
}
