//! The contract step: rows of any source become points of exactly one value form, or a refusal.
//!
//! Third pure step of the line (sources.md 3.1). One strict place decides what is a number, a
//! time, an arm, missing or refused; a refusal names row, column, value and what to write.
//! Nothing is ever half stored: one bad row refuses the whole batch.
