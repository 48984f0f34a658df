//! The verdictd binary.
fn main() {}
