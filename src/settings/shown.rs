//! Settings as they are shown: TOML that can be pasted, without credentials.

use config::{Value, ValueKind};

use super::{Loaded, without_credentials, without_path};
use crate::plain;

impl Loaded {
    /// One line per value, `key = value    # layer`, which is TOML. Secrets are references and
    /// stay so; of an endpoint's address scheme and host are shown.
    pub fn print(&self) -> String {
        let setting = |(key, value, layer)| (format!("{key} = {value}"), layer);
        let shown: Vec<(String, String)> = self.shown().into_iter().map(setting).collect();
        let width = shown.iter().map(|(setting, _)| setting.chars().count()).max();
        let width = width.unwrap_or(0).min(72);
        let lines = shown.iter().map(|(setting, layer)| format!("{setting:<width$}  # {layer}\n"));
        lines.collect()
    }

    /// Key, value as TOML, and layer of every setting.
    pub fn shown(&self) -> Vec<(String, String, String)> {
        let one = |(key, value, layer): &(String, Value, String)| {
            // The path of a hook is often its credential; that of a source is not.
            let is_endpoint = key.starts_with("receivers.") || key.starts_with("actions.");
            let address = if is_endpoint { without_path } else { without_credentials };
            (key.clone(), toml(value, &address), plain::line(layer))
        };
        self.origins.iter().map(one).collect()
    }
}

/// A key of a table as TOML; a bare one needs no quotes.
pub(super) fn toml_key(key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(is_bare) { key.to_owned() } else { quoted(key) }
}

/// A basic string of TOML: what JSON escapes it reads, and nothing else may stand in it raw.
fn quoted(text: &str) -> String {
    plain::json(&serde_json::Value::from(text).to_string())
}

/// A value as TOML on one line; `text` says how strings are shown.
fn toml(value: &Value, text: &dyn Fn(&str) -> String) -> String {
    match &value.kind {
        ValueKind::Nil => "\"\"".to_owned(),
        ValueKind::Boolean(it) => it.to_string(),
        ValueKind::I64(it) => it.to_string(),
        ValueKind::I128(it) => it.to_string(),
        ValueKind::U64(it) => it.to_string(),
        ValueKind::U128(it) => it.to_string(),
        // With a point or an exponent: `1.0` is not an integer.
        ValueKind::Float(it) => format!("{it:?}").to_lowercase(),
        ValueKind::String(it) => quoted(&text(it)),
        ValueKind::Array(list) => {
            let list: Vec<_> = list.iter().map(|one| toml(one, text)).collect();
            format!("[{}]", list.join(", "))
        }
        ValueKind::Table(table) => {
            let pair =
                |(key, one): (&String, &Value)| format!("{} = {}", toml_key(key), toml(one, text));
            let mut pairs: Vec<_> = table.iter().map(pair).collect();
            pairs.sort();
            if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::load;

    #[test]
    fn what_is_printed_can_be_pasted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("verdictd.toml");
        let text = r#"
[daemon]
admins = ["alice", "Bob \"the\" builder\u001b[31m"]
[[http.tokens]]
name = "alice"
admin = true
token = {env = "ALICE_TOKEN"}
[[http.tokens]]
name = "ci"
token = {file = "/run/ci"}
[scheduler]
concurrency = 3
[[routes]]
name = "loud"
match = {labels = {"a.b" = "x"}, severity = ["high"]}
to = ["hook"]
[receivers.hook.webhook]
url = "https://a.example"
rate = {per_sec = 1e-3, burst = 2}
"#;
        std::fs::write(&file, text).unwrap();
        let flags = [("http.listen".to_owned(), "127.0.0.1:3".to_owned())];
        let loaded = load(Some(&file), &[], &flags).unwrap();
        let printed = loaded.print();
        assert!(!printed.contains('\u{1b}'), "{printed}");
        assert!(printed.contains("http.listen = \"127.0.0.1:3\""), "{printed}");
        assert!(printed.lines().any(|line| line.contains("# flag")), "{printed}");
        let again = folder.path().join("again.toml");
        std::fs::write(&again, &printed).unwrap();
        let read = load(Some(&again), &[], &[]).unwrap();
        let as_json = |settings| serde_json::to_value(settings).unwrap();
        assert_eq!(as_json(&read.settings), as_json(&loaded.settings), "{printed}");
    }
}
