//! One integration binary: the real daemon, real Prometheus and PostgreSQL, fakes on port 0.

mod fakes;
mod prometheus;
mod stories;
mod tidy;
mod verifiers;
mod warehouse;
