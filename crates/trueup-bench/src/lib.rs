//! Benchmarks that need no cluster: how fast one thread compares (B1), what the store of live objects costs (B2), and what the
//! sandbox takes.
//!
//! The objects are made from a seed, so that every run measures the same ones; each live object carries what a server, its
//! controllers and its writers leave in one, `managedFields` included. Figures are printed, never asserted; the budget of
//! allocations is a test.

pub mod compare;
pub mod kinds;
pub mod pairs;
pub mod sandbox;
pub mod store;
