//! Lua scripts in Argo CD's dialect: they judge objects, list actions on them, and carry these out on a copy.
//!
//! A script gets an object and returns a table; it has no other way in or out. It runs in LuaJIT's interpreter (whose
//! compiler is never switched on, since compiled code would not count its instructions) within a limit of instructions
//! and one of memory, and nothing that it leaves behind is seen by the next one. The time that it sees is handed in, and
//! its maps are walked in the order of their keys, so that the same object at the same time gives the same answer.

mod actions;
mod clock;
mod convert;
mod directory;
mod error;
mod health;
mod library;
mod message;
mod pattern;
mod pool;
mod secret;
mod state;
mod text;

#[cfg(test)]
mod tests;

pub use actions::{Action, Effect, Operation};
pub use directory::DirectoryError;
pub use error::ScriptError;
pub use library::{Library, Problem};
pub use pool::{LuaRules, Pool};
