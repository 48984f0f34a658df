//! One integration binary: the real daemon, real Prometheus and PostgreSQL, fakes on port 0.

mod cli;
mod config;
mod fakes;
mod http_api;
mod restart;
mod tidy;
