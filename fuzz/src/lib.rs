//! What everything that reads what others wrote must hold for any bytes whatever: it ends, soon and in bounded memory, without
//! a panic, and what it says is consistent in itself.
//!
//! A check panics where something does not hold. The programs in `fuzz_targets` hand it their inputs.

pub mod expressions;
pub mod objects;
pub mod requests;
pub mod rules;
mod shaped;
pub mod texts;
