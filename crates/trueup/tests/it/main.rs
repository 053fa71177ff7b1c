//! The program as people run it: each test starts a sandbox of its own and calls the binary.
#![expect(clippy::unwrap_used, reason = "tests")]

mod against;
mod baseline;
mod blame;
mod compare;
mod controlled;
mod custom_health;
mod direct;
mod ignoring;
mod lifecycle;
mod offline;
mod persona;
mod program;
mod scripted;
mod settings;
mod ssh;
mod world;
