//! verdictd: a daemon that makes experiments decide themselves.
//!
//! This package acts (fetches, stores, sends, shows); everything that decides is in the `judge`
//! crate. `ARCHITECTURE.md` draws the map.

pub mod app;
pub mod cli;
pub mod clock;
pub mod cycle;
pub mod deliver;
pub mod demo;
pub mod failpoint;
pub mod gate;
#[cfg(test)]
mod golden;
pub mod http;
pub mod http_client;
pub mod inbound;
pub mod plain;
pub mod portfolio;
pub mod replay;
pub mod secret;
pub mod settings;
pub mod sources;
pub mod store;
pub mod tasks;
pub mod telemetry;
