//! Comparing, from outside: case files and laws.

#![expect(clippy::unwrap_used, reason = "tests")]

mod cases;
mod laws;
mod mutations;
mod recorded;
mod world;
