//! The numbers of the five stories and the laws of product.md 4.2.

mod false_alarms;
mod laws;
mod modes;
mod planned;
mod stories;
