//! One integration binary: the real daemon, real Prometheus and PostgreSQL, fakes on port 0.

mod dashboards;
mod fakes;
mod tidy;
