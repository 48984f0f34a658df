//! One integration binary: the real daemon, real Prometheus and PostgreSQL, fakes on port 0.

mod fakes;
mod restart;
mod tidy;
