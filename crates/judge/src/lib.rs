//! The judge: everything in verdictd that decides, and nothing that acts.
//!
//! One line runs through the product, and this crate holds its pure steps:
//!
//! ```text
//! spec -> plan -> (fetch) -> contract -> observe -> analyse -> decide -> record -> (deliver)
//! ```
//!
//! Invariants: no I/O, no clock, no async, no logging, no randomness. Time is an argument, data
//! problems are values, and the same inputs give the same bytes on any machine (pure-Rust maths
//! through `libm`, numbers rounded to 12 significant digits at the record's edge).

pub mod analyse;
pub mod ask;
pub mod case;
pub mod contract;
pub mod decide;
#[cfg(test)]
mod fixture;
pub mod guardrails;
pub mod ids;
pub mod lifecycle;
pub mod notice;
pub mod nulls;
pub mod observe;
pub mod plan;
pub mod planning;
pub mod points;
pub mod prose;
pub mod record;
pub mod rehearse;
pub mod spec;
pub mod stats;
pub mod time;
pub mod watch;
