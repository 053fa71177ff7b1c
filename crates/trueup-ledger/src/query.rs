//! Questions to the ledger.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use trueup_engine::app::AppKey;
use trueup_engine::difference::DifferenceId;
use trueup_engine::memory::{Memory, UnownedTable};
use trueup_object::{GroupKind, ResourceKey, Text, Timestamp, Value};

use crate::error::LedgerError;
use crate::fact::{Entry, Seq, StoredEvidence};
use crate::ledger::Ledger;
use crate::memory::{AppMemory, Circumstances};
use crate::wire;

/// Entries in one answer; who wants more asks again from the last one.
const ENTRIES_MAX: usize = 1000;

impl Ledger {
    /// Everything that is remembered of an application. What cannot be read spoils its own object only.
    pub async fn memory(&self, app: &AppKey) -> Result<AppMemory, LedgerError> {
        let mut memory = AppMemory::default();
        let app = app.to_string();
        let sql =
            "SELECT object, time, revision, context, base, unowned, inherited FROM memory WHERE app = ?";
        for row in sqlx::query(sql).bind(&app).fetch_all(&self.readers).await? {
            let object: String = row.try_get("object")?;
            match object_memory(&object, &row) {
                Ok((key, object, circumstances)) => {
                    memory.objects.insert(key.clone(), object);
                    memory.circumstances.insert(key, circumstances);
                }
                Err(LedgerError::Unreadable { detail }) => memory.unreadable.push((object, detail)),
                Err(error) => return Err(error),
            }
        }
        let rows = sqlx::query("SELECT difference, time FROM first_seen WHERE app = ?");
        for row in rows.bind(&app).fetch_all(&self.readers).await? {
            let (difference, time): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            memory.first_seen.insert(DifferenceId::from_text(&difference), wire::time_from(time)?);
        }
        Ok(memory)
    }

    /// The kinds that were ever applied, by application.
    pub async fn inventory(&self) -> Result<BTreeMap<AppKey, BTreeSet<GroupKind>>, LedgerError> {
        let mut inventory: BTreeMap<AppKey, BTreeSet<GroupKind>> = BTreeMap::new();
        let rows = sqlx::query("SELECT app, api_group, kind FROM inventory").fetch_all(&self.readers).await?;
        for row in rows {
            let (app, group, kind): (String, String, String) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            inventory.entry(wire::app_from(&app)?).or_default().insert(GroupKind::new(&group, &kind));
        }
        Ok(inventory)
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
        let before = before.map_or(i64::MAX, Seq::number);
        let limit = limit.min(ENTRIES_MAX) as i64;
        let rows = match object {
            Some(object) => {
                let sql = "SELECT seq, time, app, object, kind, intent, evidence, body FROM entries \
                           WHERE app = ? AND object = ? AND seq < ? ORDER BY seq DESC LIMIT ?";
                sqlx::query(sql).bind(app.to_string()).bind(object.to_string()).bind(before).bind(limit)
            }
            None => {
                let sql = "SELECT seq, time, app, object, kind, intent, evidence, body FROM entries \
                           WHERE app = ? AND seq < ? ORDER BY seq DESC LIMIT ?";
                sqlx::query(sql).bind(app.to_string()).bind(before).bind(limit)
            }
        };
        rows.fetch_all(&self.readers).await?.iter().map(entry_of).collect()
    }

    /// The entries after a place, in order: what a follower asks. At most a thousand.
    pub async fn after(&self, seq: Option<Seq>, limit: usize) -> Result<Vec<Entry>, LedgerError> {
        let sql = "SELECT seq, time, app, object, kind, intent, evidence, body FROM entries \
                   WHERE seq > ? ORDER BY seq LIMIT ?";
        let rows = sqlx::query(sql).bind(seq.map_or(0, Seq::number)).bind(limit.min(ENTRIES_MAX) as i64);
        rows.fetch_all(&self.readers).await?.iter().map(entry_of).collect()
    }

    /// Intents without an outcome: whoever meant to act was interrupted, and nobody knows whether the effect came
    /// about. In order, at most a thousand.
    pub async fn unfinished(&self) -> Result<Vec<Entry>, LedgerError> {
        let sql = "SELECT seq, time, app, object, kind, intent, evidence, body FROM entries AS intents \
                   WHERE kind = 'intended' AND NOT EXISTS (SELECT 1 FROM entries AS outcomes \
                   WHERE outcomes.intent = intents.seq AND outcomes.kind IN ('done', 'refused', 'confirmed')) \
                   ORDER BY seq LIMIT ?";
        let rows = sqlx::query(sql).bind(ENTRIES_MAX as i64);
        rows.fetch_all(&self.readers).await?.iter().map(entry_of).collect()
    }

    /// What an entry's effect was about to overwrite.
    pub async fn evidence(&self, seq: Seq) -> Result<Option<StoredEvidence>, LedgerError> {
        let sql = "SELECT evidence.body FROM entries JOIN evidence ON evidence.id = entries.evidence \
                   WHERE entries.seq = ?";
        let row = sqlx::query(sql).bind(seq.number()).fetch_optional(&self.readers).await?;
        let Some(row) = row else { return Ok(None) };
        let body: Vec<u8> = row.try_get(0)?;
        wire::evidence_from(&wire::decompress(&body)?).map(Some)
    }
}

fn object_memory(object: &str, row: &SqliteRow) -> Result<(ResourceKey, Memory, Circumstances), LedgerError> {
    let (time, revision): (Option<i64>, Option<String>) = (row.try_get("time")?, row.try_get("revision")?);
    let (base, unowned): (Option<Vec<u8>>, Option<Vec<u8>>) = (row.try_get("base")?, row.try_get("unowned")?);
    let (context, inherited): (String, Vec<u8>) = (row.try_get("context")?, row.try_get("inherited")?);
    let memory = Memory {
        base: base.map(|base| unpacked(&base)).transpose()?,
        unowned: unowned
            .map(|table| UnownedTable::from_bytes(&table))
            .transpose()
            .map_err(wire::unreadable)?,
        inherited: inherited_of(&unpacked(&inherited)?)?,
        synced_at: time.map(wire::time_from).transpose()?,
    };
    let circumstances = Circumstances { revision: revision.map(Text::from), context: context.into() };
    Ok((wire::key_from(object)?, memory, circumstances))
}

fn inherited_of(body: &Value) -> Result<BTreeMap<String, String>, LedgerError> {
    let entries = body.as_map().ok_or_else(|| wire::unreadable("inherited additions are no map"))?.iter();
    Ok(entries.filter_map(|(path, value)| Some((path.to_owned(), value.as_str()?.to_owned()))).collect())
}

fn unpacked(body: &[u8]) -> Result<Value, LedgerError> {
    wire::parse(&wire::decompress(body)?)
}

fn entry_of(row: &SqliteRow) -> Result<Entry, LedgerError> {
    let (app, object): (String, Option<String>) = (row.try_get("app")?, row.try_get("object")?);
    let (kind, body): (String, String) = (row.try_get("kind")?, row.try_get("body")?);
    let time: Timestamp = wire::time_from(row.try_get("time")?)?;
    Ok(Entry {
        seq: Seq::new(row.try_get("seq")?),
        time,
        app: wire::app_from(&app)?,
        object: object.as_deref().map(wire::key_from).transpose()?,
        fact: wire::fact_from(&kind, row.try_get("intent")?, &body)?,
        has_evidence: row.try_get::<Option<i64>, _>("evidence")?.is_some(),
    })
}
