//! The secrets that settings refer to: which there are, and which cannot be read here.
//!
//! Values are read to see whether they are there and never kept or shown. A secret may be put in
//! place later, or exist in the daemon's own environment only: a missing one is told, not refused.

use serde_json::Value;

use super::Settings;
use crate::secret::SecretRef;

impl Settings {
    /// Every reference to a secret, with its dotted key.
    pub fn secrets(&self) -> Vec<(String, SecretRef)> {
        let mut found = Vec::new();
        walk("", &serde_json::to_value(self).unwrap_or_default(), &mut found);
        found
    }

    /// The secrets that cannot be read in this process now, one sentence each.
    pub fn missing_secrets(&self) -> Vec<String> {
        let read = |(key, secret): (String, SecretRef)| {
            let error = secret.read().err()?;
            Some(format!("`{key}`: {error}"))
        };
        self.secrets().into_iter().filter_map(read).collect()
    }
}

/// References are the tables with the one key `env` or `file`; entries of lists go by their name.
fn walk(path: &str, value: &Value, found: &mut Vec<(String, SecretRef)>) {
    let under = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(table) => match serde_json::from_value::<SecretRef>(value.clone()) {
            Ok(secret) => found.push((path.to_owned(), secret)),
            Err(_) => {
                for (key, value) in table {
                    walk(&under(key), value, found);
                }
            }
        },
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                let name = value["name"].as_str().map_or_else(|| index.to_string(), str::to_owned);
                walk(&format!("{path}[{name}]"), value, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::load;

    #[test]
    fn a_secret_that_is_missing_or_empty_is_named_by_key_and_reference() {
        let folder = tempfile::tempdir().unwrap();
        let (good, empty) = (folder.path().join("good"), folder.path().join("empty"));
        std::fs::write(&good, "hunter2").unwrap();
        std::fs::write(&empty, "\n").unwrap();
        let file = folder.path().join("verdictd.toml");
        let text = format!(
            "[receivers.chat.slack]\nurl = {{env = \"VERDICTD_NOWHERE\"}}\n\
             [receivers.hook.webhook]\nurl = \"https://a.example/\"\nsecret = {{file = {good:?}}}\n\
             [[http.tokens]]\nname = \"alice\"\ntoken = {{file = {empty:?}}}\n"
        );
        std::fs::write(&file, text).unwrap();
        let settings = load(Some(&file), &[], &[]).unwrap().settings;
        assert_eq!(settings.secrets().len(), 3, "{:?}", settings.secrets());
        let said = settings.missing_secrets();
        assert_eq!(
            said,
            [
                format!("`http.tokens[alice].token`: secret: file {} is empty", empty.display()),
                "`receivers.chat.slack.url`: secret: environment variable VERDICTD_NOWHERE is not \
                 set"
                .to_owned(),
            ]
        );
    }
}
