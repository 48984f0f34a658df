//! Laws of the whole judge: whatever is observed, in whatever unit, order and rhythm.
//!
//! Beside `properties_stats.rs` (laws of the formulas) and the laws in `analyse::tests` (Kleene
//! logic, mirror symmetry). Chance comes from a seeded generator: a failure names its seed.

#![allow(clippy::unwrap_used, reason = "a missing answer ends the test")]

#[path = "false_verdicts/dice.rs"]
mod dice;
#[path = "properties_engine/files.rs"]
mod files;
#[path = "properties_engine/hostile.rs"]
mod hostile;
#[path = "properties_engine/paths.rs"]
mod paths;
#[path = "properties_engine/total.rs"]
mod total;
