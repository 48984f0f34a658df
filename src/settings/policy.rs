//! `[[routes]]`, `[quiet_hours.*]`, `[digests.*]` and `[notify]`: who hears what when, as written.
//!
//! Names, zones and hours are checked when the settings are read: a route to a receiver that does
//! not exist is an error of the start, never a message that is missed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Settings;
use crate::deliver::policy::{Day, Digest, DigestHours, Matcher, Policy, Quiet, QuietHours, Route};
use crate::secret::SecretRef;

/// Most routes, quiet hours and digests of each kind.
const MOST: usize = 1_000;

/// One `[[routes]]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// How answers name it; its number where there is none.
    #[serde(default)]
    pub name: Option<String>,
    /// Which notices; empty = all.
    #[serde(default, rename = "match")]
    pub matcher: Matcher,
    /// Receivers.
    pub to: Vec<String>,
    /// Whether later routes are asked as well.
    #[serde(default, rename = "continue")]
    pub goes_on: bool,
    /// Whether they take the place of the experiment's `notify`.
    #[serde(default)]
    pub only: bool,
    /// Name of quiet hours.
    #[serde(default)]
    pub quiet_hours: Option<String>,
}

/// One `[quiet_hours.NAME]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietSettings {
    /// IANA zone; empty = `daemon.timezone`.
    #[serde(default)]
    pub zone: String,
    /// Days on which a stretch begins; empty = every day.
    #[serde(default)]
    pub days: Vec<Day>,
    /// `HH:MM`.
    pub from: String,
    /// `HH:MM`; not later than `from` = on the next day.
    pub to: String,
    /// Dates that are quiet all day, `YYYY-MM-DD`.
    #[serde(default)]
    pub holidays: Vec<String>,
    /// Receivers that have them.
    #[serde(default)]
    pub receivers: Vec<String>,
}

/// One `[digests.NAME]`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DigestSettings {
    /// The receiver.
    pub to: String,
    /// Which notices of low or normal severity; empty = all for this receiver.
    #[serde(default, rename = "match")]
    pub matcher: Matcher,
    /// `HH:MM`.
    pub at: String,
    /// IANA zone; empty = `daemon.timezone`.
    #[serde(default)]
    pub zone: String,
    /// Days; empty = every day.
    #[serde(default)]
    pub days: Vec<Day>,
    /// Whether it is sent with nothing new in it.
    #[serde(default)]
    pub empty: bool,
}

/// `[notify]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifySettings {
    /// What stays wrong is told again after so long; 0 = never.
    pub repeat_after_hours: u64,
    /// How long links to acknowledge and snooze work.
    pub link_valid_hours: u64,
    /// How long a snooze lasts.
    pub snooze_hours: u64,
    /// The key of those links; one of the store's own where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_secret: Option<SecretRef>,
}

impl Settings {
    /// Routes, quiet hours and digests, or everything that is wrong with them.
    pub fn policy(&self) -> Result<Policy, Vec<String>> {
        let mut reader = Reader { settings: self, faults: Vec::new() };
        let policy = reader.policy();
        let mut names = BTreeSet::new();
        for route in &policy.routes {
            if !names.insert(&route.name) {
                reader.faults.push(format!("two `[[routes]]` are called `{}`", route.name));
            }
        }
        if reader.faults.is_empty() { Ok(policy) } else { Err(reader.faults) }
    }
}

struct Reader<'a> {
    settings: &'a Settings,
    faults: Vec<String>,
}

impl Reader<'_> {
    fn policy(&mut self) -> Policy {
        let Settings { routes, quiet_hours, digests, .. } = self.settings;
        for (key, count) in [
            ("routes", routes.len()),
            ("quiet_hours", quiet_hours.len()),
            ("digests", digests.len()),
        ] {
            if count > MOST {
                self.faults.push(format!("`{key}` has {count} entries; it may have {MOST}"));
            }
        }
        let quiet: BTreeMap<_, _> =
            quiet_hours.iter().map(|(name, one)| (name.clone(), self.quiet(name, one))).collect();
        let digests: BTreeMap<_, _> =
            digests.iter().map(|(name, one)| (name.clone(), self.digest(name, one))).collect();
        let routes = (1..).zip(routes).map(|(number, one)| self.route(number, one)).collect();
        Policy { routes, quiet, digests }
    }

    fn route(&mut self, number: usize, settings: &RouteSettings) -> Route {
        let name = settings.name.clone().unwrap_or_else(|| number.to_string());
        let key = format!("routes: {name}");
        self.receivers(&key, "to", &settings.to);
        self.matcher(&key, &settings.matcher);
        if settings.to.is_empty() && !settings.only {
            self.faults.push(format!("`{key}`: `to` is empty; name a receiver"));
        }
        if let Some(quiet) = &settings.quiet_hours
            && !self.settings.quiet_hours.contains_key(quiet)
        {
            self.faults.push(format!("`{key}`: there is no `[quiet_hours.{quiet}]`"));
        }
        Route {
            name,
            matcher: settings.matcher.clone(),
            to: settings.to.clone(),
            goes_on: settings.goes_on,
            only: settings.only,
            quiet: settings.quiet_hours.clone(),
        }
    }

    fn quiet(&mut self, name: &str, settings: &QuietSettings) -> Quiet {
        let key = format!("quiet_hours.{name}");
        self.receivers(&key, "receivers", &settings.receivers);
        let mut holidays = Vec::new();
        for text in &settings.holidays {
            match text.parse::<Date>() {
                Ok(date) => holidays.push(date),
                Err(_) => self.faults.push(format!(
                    "`{key}.holidays` has `{text}`; write a date such as 2026-12-25"
                )),
            }
        }
        let hours = QuietHours {
            zone: self.zone(&key, &settings.zone),
            days: settings.days.clone(),
            from: self.time(&key, "from", &settings.from),
            to: self.time(&key, "to", &settings.to),
            holidays,
        };
        Quiet { hours, receivers: settings.receivers.clone() }
    }

    fn digest(&mut self, name: &str, settings: &DigestSettings) -> Digest {
        let key = format!("digests.{name}");
        self.receivers(&key, "to", std::slice::from_ref(&settings.to));
        self.matcher(&key, &settings.matcher);
        let hours = DigestHours {
            zone: self.zone(&key, &settings.zone),
            days: settings.days.clone(),
            at: self.time(&key, "at", &settings.at),
        };
        Digest {
            to: settings.to.clone(),
            matcher: settings.matcher.clone(),
            hours,
            empty: settings.empty,
        }
    }

    fn receivers(&mut self, key: &str, field: &str, names: &[String]) {
        let known = &self.settings.receivers;
        for name in names.iter().filter(|name| !known.contains_key(*name)) {
            let known: Vec<_> = known.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            self.faults.push(format!(
                "`{key}`: `{field}` names `{name}`, which is no receiver; there are: {known}"
            ));
        }
    }

    fn matcher(&mut self, key: &str, matcher: &Matcher) {
        let faults = matcher.faults().into_iter().map(|fault| format!("`{key}`: {fault}"));
        self.faults.extend(faults);
    }

    fn zone(&mut self, key: &str, name: &str) -> TimeZone {
        let name = if name.is_empty() { &self.settings.daemon.timezone } else { name };
        TimeZone::get(name).unwrap_or_else(|_| {
            self.faults.push(format!("`{key}.zone` is `{name}`, which is no time zone (IANA)"));
            TimeZone::UTC
        })
    }

    fn time(&mut self, key: &str, field: &str, text: &str) -> Time {
        Time::strptime("%H:%M", text).unwrap_or_else(|_| {
            self.faults.push(format!("`{key}.{field}` is `{text}`; write HH:MM, such as 19:30"));
            Time::midnight()
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::{Settings, load};

    const RECEIVERS: &str = "[receivers.chat.webhook]\nurl = \"https://chat.example/hook\"\n\
         [receivers.mail.webhook]\nurl = \"https://mail.example/hook\"\n";

    fn read(text: &str) -> Result<Settings, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("verdictd.toml");
        std::fs::write(&path, format!("{text}\n{RECEIVERS}")).unwrap();
        load(Some(&path), &[], &[]).map(|loaded| loaded.settings).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_written_is_what_is_in_force() {
        let settings = read(
            "[[routes]]\nname = \"growth\"\nto = [\"chat\"]\ncontinue = true\n\
             match = {labels = {team = \"growth\"}, severity = [\"high\", \"page\"]}\n\
             [[routes]]\nto = [\"mail\"]\nonly = true\nquiet_hours = \"nights\"\n\
             [quiet_hours.nights]\nzone = \"Europe/Berlin\"\ndays = [\"mon\"]\n\
             from = \"19:00\"\nto = \"08:00\"\nholidays = [\"2026-12-25\"]\n\
             [digests.mail]\nto = \"mail\"\nat = \"09:00\"\ndays = [\"mon\", \"fri\"]\n",
        )
        .unwrap();
        let policy = settings.policy().unwrap();
        let names: Vec<_> = policy.routes.iter().map(|route| route.name.as_str()).collect();
        assert_eq!(names, ["growth", "2"]);
        assert!(policy.routes[0].goes_on && policy.routes[1].only);
        assert_eq!(policy.routes[0].matcher.labels["team"], "growth");
        assert_eq!(policy.quiet["nights"].hours.holidays.len(), 1);
        assert_eq!(policy.digests["mail"].to, "mail");
    }

    #[test]
    fn names_and_hours_that_cannot_work_are_errors_of_the_start() {
        for (text, words) in [
            (
                "[[routes]]\nto = [\"chatt\"]",
                "names `chatt`, which is no receiver; there are: chat",
            ),
            ("[[routes]]\nto = []", "`to` is empty"),
            ("[[routes]]\nto = [\"chat\"]\nquiet_hours = \"x\"", "there is no `[quiet_hours.x]`"),
            ("[[routes]]\nto = [\"chat\"]\nmatch = {kind = [\"guard.*\"]}", "none of: experiment"),
            ("[[routes]]\nto = [\"chat\"]\nmatch = {alarm = [\"srn\"]}", "`alarm` has `srn`"),
            ("[[routes]]\nto = [\"chat\"]\nmatch = {cause = [\"bad\"]}", "`cause` has `bad`"),
            ("[[routes]]\nto = [\"chat\"]\nmatch = {colour = \"red\"}", "colour"),
            ("[[routes]]\nto = [\"chat\"]\nmatch = {severity = [\"loud\"]}", "loud"),
            ("[[routes]]\nname = \"2\"\nto = [\"chat\"]\n[[routes]]\nto = [\"chat\"]", "two"),
            ("[quiet_hours.n]\nfrom = \"7pm\"\nto = \"08:00\"", "`quiet_hours.n.from` is `7pm`"),
            ("[quiet_hours.n]\nzone = \"Mars\"\nfrom = \"19:00\"\nto = \"08:00\"", "no time zone"),
            (
                "[quiet_hours.n]\nfrom = \"19:00\"\nto = \"08:00\"\nholidays = [\"25.12.\"]",
                "write a date",
            ),
            ("[digests.d]\nto = \"nobody\"\nat = \"09:00\"", "no receiver"),
            ("[digests.d]\nto = \"chat\"\nat = \"24:00\"", "write HH:MM"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(words), "{text}: {refused}");
        }
    }
}
