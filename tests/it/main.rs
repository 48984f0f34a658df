//! One integration binary: the real daemon, real Prometheus and PostgreSQL, fakes on port 0.

mod dashboards;
mod aa_daemon;
mod fakes;
mod tidy;
