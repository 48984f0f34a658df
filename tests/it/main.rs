//! One integration binary: the real daemon, real Prometheus and PostgreSQL, fakes on port 0.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::print_stderr, reason = "figures and leftovers are told to the reader")]

mod aa_daemon;
mod actions;
mod alarms;
mod bad_input;
mod burn_rates;
mod burn_rules;
mod cli;
mod config;
mod counted;
mod dashboards;
mod dashboards_live;
mod drafts;
mod fakes;
mod gates;
mod heartbeat;
mod http_api;
mod kept;
mod kill_held;
mod kill_points;
mod late;
mod mails;
mod messages;
mod notify;
mod people;
mod policy;
mod prometheus;
mod redaction;
mod replay;
mod restart;
mod restated;
mod stories;
mod tidy;
mod verifiers;
mod warehouse;
