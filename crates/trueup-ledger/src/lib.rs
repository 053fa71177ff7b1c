//! Keeps the append-only record of what was seen, intended and done, and what must be remembered between syncs.
//!
//! One SQLite file in the state directory; for simulations, a [`MemoryDisk`] that keeps the same rows. A write is acknowledged when it is on the disk, so a caller that waits for
//! the acknowledgement has its intent recorded before the effect. Entries and evidence are never changed or removed
//! (triggers see to it); bases, inventories and the other tables of memory are replaced. No value of a Secret is ever
//! in the file: what is written was masked or sealed before, and Secrets are checked once more here.

mod claim;
mod disk;
mod error;
mod fact;
mod file;
mod guard;
mod key;
mod ledger;
mod memory;
mod query;
mod rows;
mod schema;
mod wire;
mod writer;

pub use claim::Claim;
pub use disk::{MemoryDisk, PendingWrite, WriteFate};
pub use error::LedgerError;
pub use fact::{Corrected, Entry, Fact, IntendedAction, NewEntry, Seq, StoredEvidence};
pub use key::DigestKey;
pub use ledger::{HandedOver, Ledger, Write};
pub use memory::{AppMemory, Circumstances};

#[cfg(test)]
mod tests;
