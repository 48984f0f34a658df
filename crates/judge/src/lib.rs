//! Stub.
pub mod stats;
