//! Typed columns in, sufficient statistics out: CSV records with positions, and polars frames.
//!
//! Two halves that the CSV source joins: [`Records`] reads a file record by record with line
//! numbers and guesses nothing; [`Ledger`] holds typed columns in polars, lets the newest file
//! win per key and adds rows up to one per period and arm. This is the only crate that names
//! polars. No I/O of its own beyond the reader it is given, no clock, no inference of types.

mod ledger;
mod records;

pub use ledger::{Chunk, Ledger, LedgerError, Total};
pub use records::{Record, RecordError, Records};
