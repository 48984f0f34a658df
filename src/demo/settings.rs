//! The demo's daemon configuration: everything on loopback, everything in one folder.
//!
//! The same TOML a user would write; secrets are files beside it. Guardrails are looked at every
//! hour instead of every 30 seconds (weeks of 30 s slots would be a million evaluations).

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::flags::TOKEN_HEADER;

/// Chat rooms of the five files.
pub const CHATS: [&str; 5] =
    ["growth-chat", "platform-chat", "recruiting-chat", "sales-chat", "support-chat"];
/// The ticket system all five files notify.
pub const TICKETS: &str = "tickets";
/// Actions of the five files and the flags they turn off.
pub const ACTIONS: [(&str, &str); 4] = [
    ("turn-off-checklist", "checklist"),
    ("turn-off-quote-cache", "quote-cache"),
    ("pause-outreach", "outreach"),
    ("pause-pitching", "pitching"),
];
/// Token of the flag server; the demo's servers listen on loopback and end with it.
pub const FLAG_TOKEN: &str = "demo-flag-token";
/// Signing secret of the ticket system.
pub const SIGNING_SECRET: &str = "whsec_ZGVtby1zaWduaW5nLXNlY3JldC1vZi10aGUtZGVtbw==";

/// Folders of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Everything is below it.
    pub root: PathBuf,
}

impl Places {
    /// Experiment files.
    pub fn experiments(&self) -> PathBuf {
        self.root.join("experiments")
    }

    /// Exports, one folder per story.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// The daemon's configuration file.
    pub fn config(&self) -> PathBuf {
        self.root.join("verdictd.toml")
    }

    fn secret(&self, name: &str) -> PathBuf {
        self.root.join("secrets").join(name)
    }
}

/// Where the built-in servers listen.
#[derive(Debug, Clone, Copy)]
pub struct Servers {
    /// The metrics server.
    pub prometheus: SocketAddr,
    /// Flags and messages.
    pub desk: SocketAddr,
}

/// Writes the secrets and the configuration file.
pub fn write(places: &Places, servers: Servers, listen: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(places.root.join("secrets"))?;
    for chat in CHATS {
        std::fs::write(places.secret(chat), format!("http://{}/slack/{chat}", servers.desk))?;
    }
    std::fs::write(places.secret("flag-token"), FLAG_TOKEN)?;
    std::fs::write(places.secret("signing"), SIGNING_SECRET)?;
    std::fs::write(places.config(), text(places, servers, listen))
}

/// The configuration.
pub fn text(places: &Places, servers: Servers, listen: &str) -> String {
    let mut text = general(places, servers, listen);
    let folders = [
        ("warehouse", "activation", true),
        ("ats-export", "recruiting", false),
        ("crm-export", "sales", false),
        ("helpdesk-export", "support", false),
    ];
    for (source, folder, answers_sql) in folders {
        let path = quoted(&places.data().join(folder));
        add(&mut text, format_args!("[sources.{source}.csv]\nfolder = {path}"));
        add(&mut text, format_args!("answers_sql = {answers_sql}"));
        // Files are renamed into place whole.
        add(
            &mut text,
            format_args!("stable_for_polls = 1\nsettled_after_secs = 0\nrhythm_secs = 86400\n"),
        );
    }
    for chat in CHATS {
        let secret = quoted(&places.secret(chat));
        add(&mut text, format_args!("[receivers.{chat}.slack]\nurl = {{ file = {secret} }}"));
        add(&mut text, format_args!("allow_private = true\n"));
    }
    let (desk, signing) = (servers.desk, quoted(&places.secret("signing")));
    add(
        &mut text,
        format_args!("[receivers.{TICKETS}.webhook]\nurl = \"http://{desk}/hooks/{TICKETS}\""),
    );
    add(&mut text, format_args!("secret = {{ file = {signing} }}\nallow_private = true\n"));
    for (action, flag) in ACTIONS {
        add(&mut text, format_args!("{}", action_text(places, desk, action, flag)));
    }
    text
}

fn general(places: &Places, servers: Servers, listen: &str) -> String {
    let (experiments, store) =
        (quoted(&places.experiments()), quoted(&places.root.join("demo.db")));
    format!(
        "# Written by `verdictd demo`.\n\
         [daemon]\nexperiments = {experiments}\ntimezone = \"UTC\"\n\n\
         [store]\npath = {store}\n\n\
         [scheduler]\n# One look an hour: the demo plays weeks in minutes.\n\
         guardrail_every_secs = 3600\njitter = false\n\n\
         [http]\nlisten = \"{listen}\"\n\n[log]\nlevel = \"warn\"\n\n\
         # Nobody holds the demo's reviews, and nobody can log in to stop it.\n\
         [alarms]\nevery_secs = 0\n\n\
         [sources.prom.prometheus]\nurl = \"http://{}\"\n\
         # The built-in server has every sample at once.\nquery_delay_secs = 0\n\n",
        servers.prometheus
    )
}

fn action_text(places: &Places, desk: SocketAddr, action: &str, flag: &str) -> String {
    let token = quoted(&places.secret("flag-token"));
    format!(
        "[actions.{action}.webhook]\nurl = \"http://{desk}/flags/{flag}/off\"\n\
         secret_headers = {{ {TOKEN_HEADER} = {{ file = {token} }} }}\n\
         armed = true\nallow_private = true\n\
         verify = {{ url = \"http://{desk}/flags/{flag}\", pointer = \"/enabled\", \
         equals = false, interval_ms = 50 }}\n"
    )
}

/// A path as a TOML string.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Writing to a text cannot fail.
fn add(text: &mut String, line: std::fmt::Arguments<'_>) {
    if writeln!(text, "{line}").is_err() {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::stage::EXPERIMENT_FILES;
    use config::{Config, File, FileFormat};

    #[test]
    fn every_name_of_the_story_files_is_configured() {
        let places = Places { root: "/tmp/a \"b".into() };
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        let servers = Servers { prometheus: address, desk: address };
        let text = text(&places, servers, "127.0.0.1:0");
        let file = File::from_str(&text, FileFormat::Toml);
        let config = Config::builder().add_source(file).build().unwrap();
        let has = |section: &str, name: &str| {
            let names = config.get_table(section).unwrap();
            assert!(names.contains_key(name), "no {section}.{name}");
        };
        for (_, yaml) in
            EXPERIMENT_FILES.iter().filter(|(name, _)| crate::demo::stage::is_experiment(name))
        {
            for line in yaml.lines().map(str::trim) {
                match line.split_once(": ") {
                    Some(("source", name)) => has("sources", name),
                    Some(("action", name)) => has("actions", name),
                    Some(("notify", names)) => {
                        let names = names.trim_matches(['[', ']']).split(", ");
                        names.for_each(|name| has("receivers", name));
                    }
                    _ => {}
                }
            }
        }
        assert_eq!(config.get_int("scheduler.guardrail_every_secs").unwrap(), 3_600);
    }
}
