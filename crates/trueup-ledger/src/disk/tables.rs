//! The tables of the ledger in memory, with the rules that the schema on disk enforces.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::LedgerError;
use crate::fact::Seq;
use crate::rows::{EntryRow, InventoryRow, MemoryRow, Remembered, RowWrite, StoredEntry};

/// What the schema on disk calls `entries`, `evidence`, `memory`, `inventory` and `first_seen`.
#[derive(Default)]
pub struct Tables {
    /// The entry with the place `n` is at `n - 1`: none is ever removed.
    entries: Vec<StoredEntry>,
    /// For the entry at the same index: where its evidence is.
    evidence_of: Vec<Option<usize>>,
    evidence: Vec<Vec<u8>>,
    evidence_by_digest: BTreeMap<Vec<u8>, usize>,
    unfinished: BTreeSet<i64>,
    memory: BTreeMap<(String, String), MemoryRow>,
    inventory: BTreeSet<InventoryRow>,
    first_seen: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Tables {
    pub fn n_entries(&self) -> usize {
        self.entries.len()
    }

    /// Makes all changes or none, and returns the places of the entries among them.
    pub fn write(&mut self, rows: Vec<RowWrite>) -> Result<Vec<Seq>, LedgerError> {
        self.check(&rows)?;
        Ok(rows.into_iter().filter_map(|row| self.write_row(row)).collect())
    }

    /// An outcome belongs to an entry that is there; nothing else can fail.
    fn check(&self, rows: &[RowWrite]) -> Result<(), LedgerError> {
        let mut n_entries = self.entries.len() as i64;
        for row in rows {
            if let RowWrite::Entry(entry) = row {
                if entry.intent.is_some_and(|intent| !(1..=n_entries).contains(&intent)) {
                    let detail = "an outcome refers to an intent that is not there".to_owned();
                    return Err(LedgerError::Storage { detail });
                }
                n_entries += 1;
            }
        }
        Ok(())
    }

    fn write_row(&mut self, row: RowWrite) -> Option<Seq> {
        match row {
            RowWrite::Entry(entry) => return Some(self.write_entry(entry)),
            RowWrite::Memory(row) => {
                self.memory.insert((row.app.clone(), row.object.clone()), row);
            }
            RowWrite::Inventory { app, group, kind } => {
                self.inventory.insert((app, group, kind));
            }
            RowWrite::FirstSeen { app, seen } => {
                self.first_seen.insert(app, seen.into_iter().collect());
            }
            RowWrite::ForgetObject { app, object } => {
                self.memory.remove(&(app, object));
            }
            RowWrite::ForgetApp { app } => {
                self.memory.retain(|(of, _), _| *of != app);
                self.inventory.retain(|(of, _, _)| *of != app);
                self.first_seen.remove(&app);
            }
        }
        None
    }

    fn write_entry(&mut self, entry: EntryRow) -> Seq {
        let EntryRow { time, app, object, kind, intent, body, evidence } = entry;
        let seq = self.entries.len() as i64 + 1;
        match intent {
            Some(intent) => {
                self.unfinished.remove(&intent);
            }
            None if kind == "intended" => {
                self.unfinished.insert(seq);
            }
            None => {}
        }
        let evidence = evidence.map(|(digest, body)| {
            *self.evidence_by_digest.entry(digest).or_insert_with(|| {
                self.evidence.push(body);
                self.evidence.len() - 1
            })
        });
        let (kind, has_evidence) = (kind.to_owned(), evidence.is_some());
        self.evidence_of.push(evidence);
        self.entries.push(StoredEntry { seq, time, app, object, kind, intent, body, has_evidence });
        Seq::new(seq)
    }

    pub fn remembered(&self, app: &str) -> Remembered {
        let from = (app.to_owned(), String::new());
        let objects = self.memory.range(from..).take_while(|((of, _), _)| of == app);
        let first_seen = self.first_seen.get(app).into_iter().flatten();
        Remembered {
            objects: objects.map(|(_, row)| row.clone()).collect(),
            first_seen: first_seen.map(|(difference, time)| (difference.clone(), *time)).collect(),
        }
    }

    pub fn inventory(&self) -> Vec<InventoryRow> {
        self.inventory.iter().cloned().collect()
    }

    /// From the newest back.
    pub fn history(&self, app: &str, object: Option<&str>, before: i64, limit: usize) -> Vec<StoredEntry> {
        let entries = self.entries.iter().rev();
        let wanted = entries.filter(|entry| {
            entry.seq < before
                && entry.app == app
                && object.is_none_or(|object| entry.object.as_deref() == Some(object))
        });
        wanted.take(limit).cloned().collect()
    }

    pub fn after(&self, seq: i64, limit: usize) -> Vec<StoredEntry> {
        let n_passed = usize::try_from(seq).unwrap_or_default();
        self.entries.iter().skip(n_passed).take(limit).cloned().collect()
    }

    pub fn unfinished(&self, limit: usize) -> Vec<StoredEntry> {
        let entries = self.unfinished.iter().filter_map(|seq| self.entry(*seq));
        entries.take(limit).cloned().collect()
    }

    /// From the newest back.
    pub fn carried_out(&self, before: i64, limit: usize) -> Vec<StoredEntry> {
        let outcomes = self.entries.iter().filter(|entry| matches!(&*entry.kind, "done" | "confirmed"));
        let done: BTreeSet<i64> = outcomes.filter_map(|entry| entry.intent).collect();
        let intents =
            self.entries.iter().rev().filter(|entry| entry.seq < before && done.contains(&entry.seq));
        intents.take(limit).cloned().collect()
    }

    pub fn evidence(&self, seq: i64) -> Option<Vec<u8>> {
        let index = usize::try_from(seq.checked_sub(1)?).ok()?;
        self.evidence.get((*self.evidence_of.get(index)?)?).cloned()
    }

    fn entry(&self, seq: i64) -> Option<&StoredEntry> {
        self.entries.get(usize::try_from(seq.checked_sub(1)?).ok()?)
    }
}
