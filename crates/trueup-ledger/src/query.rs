//! Questions to the ledger.

use std::collections::{BTreeMap, BTreeSet};

use trueup_engine::app::AppKey;
use trueup_engine::difference::DifferenceId;
use trueup_engine::memory::{Memory, UnownedTable};
use trueup_object::{GroupKind, ResourceKey, Text, Value};

use crate::error::LedgerError;
use crate::fact::{Entry, Seq, StoredEvidence};
use crate::ledger::{Ledger, Storage};
use crate::memory::{AppMemory, Circumstances};
use crate::rows::{InventoryRow, MemoryRow, Remembered, StoredEntry};
use crate::wire;

/// Entries in one answer; who wants more asks again from the last one.
pub const ENTRIES_MAX: usize = 1000;

impl Ledger {
    /// Everything that is remembered of an application. What cannot be read spoils its own object only.
    pub async fn memory(&self, app: &AppKey) -> Result<AppMemory, LedgerError> {
        let app = app.to_string();
        let remembered = match &self.storage {
            Storage::File(file) => file.remembered(&app).await?,
            Storage::Disk(disk) => disk.read(|tables| tables.remembered(&app)).await?,
        };
        app_memory(remembered)
    }

    /// The kinds that were ever applied, by application.
    pub async fn inventory(&self) -> Result<BTreeMap<AppKey, BTreeSet<GroupKind>>, LedgerError> {
        let rows = match &self.storage {
            Storage::File(file) => file.inventory().await?,
            Storage::Disk(disk) => disk.read(|tables| tables.inventory()).await?,
        };
        inventory(rows)
    }

    /// The entries of an application, of one of its objects where one is given, from the newest back, beginning before
    /// an entry where one is given. At most a thousand.
    pub async fn history(
        &self,
        app: &AppKey,
        object: Option<&ResourceKey>,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Entry>, LedgerError> {
        let (app, object) = (app.to_string(), object.map(ResourceKey::to_string));
        let before = before.map_or(i64::MAX, Seq::number);
        let limit = limit.min(ENTRIES_MAX);
        entries(match &self.storage {
            Storage::File(file) => file.history(&app, object.as_deref(), before, limit as i64).await?,
            Storage::Disk(disk) => {
                disk.read(|tables| tables.history(&app, object.as_deref(), before, limit)).await?
            }
        })
    }

    /// The entries after a place, in order: what a follower asks. At most a thousand.
    pub async fn after(&self, seq: Option<Seq>, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        let (seq, limit) = (seq.map_or(0, Seq::number), limit.min(ENTRIES_MAX));
        entries(match &self.storage {
            Storage::File(file) => file.after(seq, limit as i64).await?,
            Storage::Disk(disk) => disk.read(|tables| tables.after(seq, limit)).await?,
        })
    }

    /// Intents without an outcome: whoever meant to act was interrupted, and nobody knows whether the effect came
    /// about. In order, at most a thousand.
    pub async fn unfinished(&self) -> Result<Vec<Entry>, LedgerError> {
        entries(match &self.storage {
            Storage::File(file) => file.unfinished(ENTRIES_MAX as i64).await?,
            Storage::Disk(disk) => disk.read(|tables| tables.unfinished(ENTRIES_MAX)).await?,
        })
    }

    /// Intents that were carried out, from the newest back, beginning before one where one is given. At most a thousand.
    pub async fn carried_out(&self, before: Option<Seq>) -> Result<Vec<Entry>, LedgerError> {
        let before = before.map_or(i64::MAX, Seq::number);
        entries(match &self.storage {
            Storage::File(file) => file.carried_out(before, ENTRIES_MAX as i64).await?,
            Storage::Disk(disk) => disk.read(|tables| tables.carried_out(before, ENTRIES_MAX)).await?,
        })
    }

    /// What an entry's effect was about to overwrite.
    pub async fn evidence(&self, seq: Seq) -> Result<Option<StoredEvidence>, LedgerError> {
        let body = match &self.storage {
            Storage::File(file) => file.evidence(seq.number()).await?,
            Storage::Disk(disk) => disk.read(|tables| tables.evidence(seq.number())).await?,
        };
        body.map(|body| evidence(&body)).transpose()
    }
}

pub fn app_memory(remembered: Remembered) -> Result<AppMemory, LedgerError> {
    let mut memory = AppMemory::default();
    for row in remembered.objects {
        match object_memory(&row) {
            Ok((key, object, circumstances)) => {
                memory.objects.insert(key.clone(), object);
                memory.circumstances.insert(key, circumstances);
            }
            Err(LedgerError::Unreadable { detail }) => memory.unreadable.push((row.object, detail)),
            Err(error) => return Err(error),
        }
    }
    for (difference, time) in remembered.first_seen {
        memory.first_seen.insert(DifferenceId::from_text(&difference), wire::time_from(time)?);
    }
    Ok(memory)
}

pub fn inventory(rows: Vec<InventoryRow>) -> Result<BTreeMap<AppKey, BTreeSet<GroupKind>>, LedgerError> {
    let mut inventory: BTreeMap<AppKey, BTreeSet<GroupKind>> = BTreeMap::new();
    for (app, group, kind) in rows {
        inventory.entry(wire::app_from(&app)?).or_default().insert(GroupKind::new(&group, &kind));
    }
    Ok(inventory)
}

pub fn entries(rows: Vec<StoredEntry>) -> Result<Vec<Entry>, LedgerError> {
    rows.into_iter().map(|row| entry_of(&row)).collect()
}

pub fn evidence(body: &[u8]) -> Result<StoredEvidence, LedgerError> {
    wire::evidence_from(&wire::decompress(body)?)
}

fn object_memory(row: &MemoryRow) -> Result<(ResourceKey, Memory, Circumstances), LedgerError> {
    let MemoryRow { app: _, object, time, revision, context, base, unowned, inherited } = row;
    let memory = Memory {
        base: base.as_deref().map(unpacked).transpose()?,
        unowned: unowned.as_deref().map(UnownedTable::from_bytes).transpose().map_err(wire::unreadable)?,
        inherited: inherited_of(&unpacked(inherited)?)?,
        synced_at: time.map(wire::time_from).transpose()?,
    };
    let revision = revision.as_deref().map(Text::from);
    let circumstances = Circumstances { revision, context: context.as_str().into() };
    Ok((wire::key_from(object)?, memory, circumstances))
}

fn inherited_of(body: &Value) -> Result<BTreeMap<String, String>, LedgerError> {
    let entries = body.as_map().ok_or_else(|| wire::unreadable("inherited additions are no map"))?.iter();
    Ok(entries.filter_map(|(path, value)| Some((path.to_owned(), value.as_str()?.to_owned()))).collect())
}

fn unpacked(body: &[u8]) -> Result<Value, LedgerError> {
    wire::parse(&wire::decompress(body)?)
}

fn entry_of(row: &StoredEntry) -> Result<Entry, LedgerError> {
    let StoredEntry { seq, time, app, object, kind, intent, body, has_evidence } = row;
    Ok(Entry {
        seq: Seq::new(*seq),
        time: wire::time_from(*time)?,
        app: wire::app_from(app)?,
        object: object.as_deref().map(wire::key_from).transpose()?,
        fact: wire::fact_from(kind, *intent, body)?,
        has_evidence: *has_evidence,
    })
}
