//! Servers of the tests: real ones started by path on free ports, and a receiver that misbehaves
//! on request. Everything a guard starts is ended by its pid when the guard is dropped.

pub(crate) mod daemon;
pub(crate) mod home;
pub(crate) mod http;
pub(crate) mod line;
pub(crate) mod metrics;
pub(crate) mod played;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod prometheus;
pub(crate) mod receiver;
pub(crate) mod rollouts;
