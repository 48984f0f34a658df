//! One integration binary: the real daemon, real Prometheus and PostgreSQL, fakes on port 0.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]
#![expect(clippy::print_stderr, reason = "figures and leftovers are told to the reader")]

mod aa_daemon;
mod alarms;
mod bad_input;
mod burn_rates;
mod cli;
mod config;
mod dashboards;
mod dashboards_live;
mod fakes;
mod gates;
mod http_api;
mod people;
mod prometheus;
mod replay;
mod restart;
mod restated;
mod stories;
mod tidy;
mod verifiers;
mod warehouse;
