//! The ledger as its users see it: open, write, ask.

use std::path::Path;

use trueup_engine::app::{AppKey, FirstSeen};
use trueup_engine::memory::Memory;
use trueup_object::{GroupKind, ResourceKey};

use crate::disk::{DiskAnswer, DiskStorage, MemoryDisk};
use crate::error::LedgerError;
use crate::fact::{NewEntry, Seq};
use crate::file::{FileAnswer, FileStorage};
use crate::key::DigestKey;
use crate::memory::Circumstances;
use crate::rows::rows_of;

/// Something to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    Entry(Box<NewEntry>),
    /// Replaces what is remembered of an object.
    Memory {
        app: AppKey,
        object: ResourceKey,
        memory: Memory,
        circumstances: Circumstances,
    },
    /// Adds kinds that were applied.
    Inventory {
        app: AppKey,
        kinds: Vec<GroupKind>,
    },
    /// Replaces all of an application's.
    FirstSeen {
        app: AppKey,
        seen: FirstSeen,
    },
    /// Drops what is remembered of an object: it was pruned. Its entries stay.
    ForgetObject {
        app: AppKey,
        object: ResourceKey,
    },
    /// Drops what is remembered of an application: it was deleted. Its entries stay.
    ForgetApp {
        app: AppKey,
    },
}

/// The record of an installation. Cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) storage: Storage,
    key: DigestKey,
}

/// Where the tables are.
#[derive(Debug)]
pub enum Storage {
    File(FileStorage),
    Disk(DiskStorage),
}

impl Ledger {
    /// Opens the ledger of a state directory, which is made where it is not there.
    pub async fn open(state_dir: &Path) -> Result<Self, LedgerError> {
        let (file, key) = FileStorage::open(state_dir).await?;
        Ok(Self { storage: Storage::File(file), key })
    }

    /// Opens the ledger of a disk in memory: without a file, a thread or a task, and so in the same way at every run.
    pub fn in_memory(disk: &MemoryDisk) -> Self {
        Self { storage: Storage::Disk(DiskStorage::open(disk)), key: disk.key() }
    }

    /// The key of the digests with which sensitive values are sealed before they are written here.
    pub fn key(&self) -> &DigestKey {
        &self.key
    }

    /// A text that tells this state directory from others.
    pub fn id(&self) -> String {
        self.key.fingerprint()
    }

    /// Records one fact. It is on the disk when this returns.
    pub async fn append(&self, entry: NewEntry) -> Result<Seq, LedgerError> {
        let seqs = self.write(vec![Write::Entry(Box::new(entry))]).await?;
        seqs.first().copied().ok_or(LedgerError::Closed)
    }

    /// Makes all writes or none, and returns the places of the entries among them, in order. They are on the disk when
    /// this returns.
    pub async fn write(&self, writes: Vec<Write>) -> Result<Vec<Seq>, LedgerError> {
        self.hand_over(writes).await?.written().await
    }

    /// Hands writes over, all to be made or none, and does not wait for the disk: they come before everything that is
    /// handed over later, and are made also when nobody waits for the answer.
    pub async fn hand_over(&self, writes: Vec<Write>) -> Result<HandedOver, LedgerError> {
        let mut rows = Vec::with_capacity(writes.len());
        for write in &writes {
            rows.extend(rows_of(write)?);
        }
        if rows.is_empty() {
            return Ok(HandedOver { answer: None });
        }
        let answer = match &self.storage {
            Storage::File(file) => Answer::File(file.hand_over(rows).await?),
            Storage::Disk(disk) => Answer::Disk(disk.hand_over(&writes, rows)),
        };
        Ok(HandedOver { answer: Some(answer) })
    }

    /// Waits until everything that was handed over is written, and closes the file.
    pub async fn close(self) {
        match self.storage {
            Storage::File(file) => file.close().await,
            Storage::Disk(disk) => disk.close().await,
        }
    }
}

/// Writes that the storage has.
#[derive(Debug)]
#[must_use = "whether they were written is known only after waiting"]
pub struct HandedOver {
    answer: Option<Answer>,
}

#[derive(Debug)]
enum Answer {
    File(FileAnswer),
    Disk(DiskAnswer),
}

impl HandedOver {
    /// Waits until they are on the disk; returns the places of the entries among them, in order.
    pub async fn written(self) -> Result<Vec<Seq>, LedgerError> {
        match self.answer {
            Some(Answer::File(answer)) => answer.await.map_err(|_| LedgerError::Closed)?,
            Some(Answer::Disk(answer)) => answer.written().await,
            None => Ok(Vec::new()),
        }
    }
}
