//! Writes as rows of tables: what the storage on disk and the one in memory both keep.

use trueup_engine::app::AppKey;
use trueup_engine::memory::{Memory, UnownedTable};
use trueup_object::{GroupKind, Map, ResourceKey, Text, Value};

use crate::error::LedgerError;
use crate::fact::{NewEntry, Seq};
use crate::guard::check_object;
use crate::ledger::Write;
use crate::memory::Circumstances;
use crate::wire;

/// One change of one table, in the table's own form.
#[derive(Debug, Clone)]
pub enum RowWrite {
    Entry(EntryRow),
    Memory(MemoryRow),
    Inventory { app: String, group: String, kind: String },
    FirstSeen { app: String, seen: Vec<(String, i64)> },
    ForgetObject { app: String, object: String },
    ForgetApp { app: String },
}

/// A row of entries, with the evidence that belongs to it.
#[derive(Debug, Clone)]
pub struct EntryRow {
    pub time: i64,
    pub app: String,
    pub object: Option<String>,
    pub kind: &'static str,
    pub intent: Option<i64>,
    pub body: String,
    /// Digest of the content, and the content compressed.
    pub evidence: Option<(Vec<u8>, Vec<u8>)>,
}

/// A row of memory. Bodies are compressed JSON, save the table of what nobody owned, which packs itself.
#[derive(Debug, Clone)]
pub struct MemoryRow {
    pub app: String,
    pub object: String,
    pub time: Option<i64>,
    pub revision: Option<String>,
    pub context: String,
    pub base: Option<Vec<u8>>,
    pub unowned: Option<Vec<u8>>,
    pub inherited: Vec<u8>,
}

/// An entry as it is read back. What its evidence holds is read apart.
#[derive(Debug, Clone)]
pub struct StoredEntry {
    pub seq: i64,
    pub time: i64,
    pub app: String,
    pub object: Option<String>,
    pub kind: String,
    pub intent: Option<i64>,
    pub body: String,
    pub has_evidence: bool,
}

/// What the other tables remember of an application.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    pub objects: Vec<MemoryRow>,
    pub first_seen: Vec<(String, i64)>,
}

/// A kind that was applied: application, group and kind.
pub type InventoryRow = (String, String, String);

/// What a write changes in the tables. Refuses what is too large and what shows a value of a Secret.
pub fn rows_of(write: &Write) -> Result<Vec<RowWrite>, LedgerError> {
    Ok(match write {
        Write::Entry(entry) => vec![RowWrite::Entry(entry_row(entry)?)],
        Write::Memory { app, object, memory, circumstances } => {
            vec![RowWrite::Memory(memory_row(app, object, memory, circumstances)?)]
        }
        Write::Inventory { app, kinds } => kinds
            .iter()
            .map(|GroupKind { group, kind }| RowWrite::Inventory {
                app: app.to_string(),
                group: group.to_string(),
                kind: kind.to_string(),
            })
            .collect(),
        Write::FirstSeen { app, seen } => {
            let seen =
                seen.iter().map(|(id, time)| (id.as_str().to_owned(), wire::time_to_micros(*time))).collect();
            vec![RowWrite::FirstSeen { app: app.to_string(), seen }]
        }
        Write::ForgetObject { app, object } => {
            vec![RowWrite::ForgetObject { app: app.to_string(), object: object.to_string() }]
        }
        Write::ForgetApp { app } => vec![RowWrite::ForgetApp { app: app.to_string() }],
    })
}

fn entry_row(entry: &NewEntry) -> Result<EntryRow, LedgerError> {
    let NewEntry { time, app, object, fact, evidence } = entry;
    let body = wire::fact_to_json(fact);
    wire::check_size("an entry", body.len(), wire::FACT_BYTES_MAX)?;
    let evidence = match evidence {
        None => None,
        Some(evidence) => {
            check_object("the evidence", object.as_ref(), evidence.live.as_value())?;
            let json = wire::evidence_to_json(evidence);
            wire::check_size("evidence", json.len(), wire::BODY_BYTES_MAX)?;
            Some((blake3::hash(json.as_bytes()).as_bytes().to_vec(), wire::compress(json.as_bytes())?))
        }
    };
    Ok(EntryRow {
        time: wire::time_to_micros(*time),
        app: app.to_string(),
        object: object.as_ref().map(ResourceKey::to_string),
        kind: fact.kind(),
        intent: fact.intent().map(Seq::number),
        body,
        evidence,
    })
}

fn memory_row(
    app: &AppKey,
    object: &ResourceKey,
    memory: &Memory,
    circumstances: &Circumstances,
) -> Result<MemoryRow, LedgerError> {
    let Memory { base, unowned, inherited, synced_at } = memory;
    let Circumstances { revision, context } = circumstances;
    if let Some(base) = base {
        check_object("the base", Some(object), base)?;
    }
    let unowned = unowned.as_ref().map(UnownedTable::to_bytes);
    wire::check_size(
        "a table of unowned fields",
        unowned.as_ref().map_or(0, Vec::len),
        wire::BODY_BYTES_MAX,
    )?;
    let inherited: Map =
        inherited.iter().map(|(path, value)| (path.as_str(), value.as_str().into())).collect();
    Ok(MemoryRow {
        app: app.to_string(),
        object: object.to_string(),
        time: synced_at.map(wire::time_to_micros),
        revision: revision.as_ref().map(Text::to_string),
        context: context.to_string(),
        base: base.as_ref().map(|base| packed("a base", base)).transpose()?,
        unowned,
        inherited: packed("inherited additions", &Value::Map(inherited))?,
    })
}

fn packed(what: &'static str, value: &Value) -> Result<Vec<u8>, LedgerError> {
    let json = value.to_json();
    wire::check_size(what, json.len(), wire::BODY_BYTES_MAX)?;
    wire::compress(json.as_bytes())
}
