//! The ledger as its users see it: open, write, ask.

use std::path::Path;
use std::time::Duration;

use log::LevelFilter;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use trueup_engine::app::{AppKey, FirstSeen};
use trueup_engine::memory::{Memory, UnownedTable};
use trueup_object::{GroupKind, Map, ResourceKey, Text, Value};

use crate::error::LedgerError;
use crate::fact::{NewEntry, Seq};
use crate::guard::check_object;
use crate::key::DigestKey;
use crate::memory::Circumstances;
use crate::schema;
use crate::wire;
use crate::writer::{self, EntryRow, MemoryRow, Request, RowWrite};

const FILE: &str = "ledger.db";
const KEY_FILE: &str = "ledger.key";

/// Writes that wait for the writer; past it, callers wait to hand theirs over.
const QUEUE_MAX: usize = 1024;

/// Questions at one time. Readers do not hold up the writer in WAL mode; each has a thread and a cache of its own.
const READERS_MAX: u32 = 2;

/// At a start every application asks what is remembered of it, and the last one waits for all others.
const READ_WAIT_MAX: Duration = Duration::from_secs(120);

/// Another process may hold the file while it checkpoints or migrates.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// What takes longer is worth a line for whoever measures.
const SLOW: Duration = Duration::from_secs(2);

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
    requests: mpsc::Sender<Request>,
    writer: JoinHandle<()>,
    pub(crate) readers: SqlitePool,
    key: DigestKey,
}

impl Ledger {
    /// Opens the ledger of a state directory, which is made where it is not there.
    pub async fn open(state_dir: &Path) -> Result<Self, LedgerError> {
        let failed = |error: std::io::Error| LedgerError::Storage {
            detail: format!("{}: {error}", state_dir.display()),
        };
        // The evidence shows what was in the cluster, so the folder is its owner's alone where it is made here.
        let mut folder = tokio::fs::DirBuilder::new();
        folder.recursive(true).mode(0o700);
        folder.create(state_dir).await.map_err(failed)?;
        let (path, key_path) = (state_dir.join(FILE), state_dir.join(KEY_FILE));
        let at = key_path.clone();
        let key = tokio::task::spawn_blocking(move || DigestKey::read_or_make(&at)).await;
        let key = key.map_err(|error| LedgerError::Storage { detail: error.to_string() })??;

        // A slow disk or a busy machine is no defect that a person could mend: it is told where somebody looks for it.
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .log_slow_statements(LevelFilter::Debug, SLOW);
        // FULL flushes at every commit: what was acknowledged survives a power cut, not only the end of the process.
        let writing = options.clone().create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
        let mut connection = writing
            .synchronous(SqliteSynchronous::Full)
            .connect()
            .await
            .map_err(|error| opened(&error, &path))?;
        schema::prepare(&mut connection, &path).await?;
        check_key(&mut connection, &key, &path, &key_path).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(READ_WAIT_MAX)
            .acquire_slow_level(LevelFilter::Debug)
            .acquire_slow_threshold(SLOW);
        let readers = readers.connect_with(options.read_only(true)).await?;
        let (requests, queue) = mpsc::channel(QUEUE_MAX);
        let writer = tokio::spawn(writer::run(connection, queue));
        Ok(Self { requests, writer, readers, key })
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
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { rows, reply }).await.map_err(|_| LedgerError::Closed)?;
        Ok(HandedOver { answer: Some(answer) })
    }

    /// Waits until everything that was handed over is written, and closes the file.
    pub async fn close(self) {
        let Self { requests, writer, readers, key: _ } = self;
        drop(requests);
        // A panic of the writer was reported when it happened; there is nothing more to be closed then.
        let _ended = writer.await;
        readers.close().await;
    }
}

/// Writes that the writer has.
#[derive(Debug)]
#[must_use = "whether they were written is known only after waiting"]
pub struct HandedOver {
    answer: Option<oneshot::Receiver<Result<Vec<Seq>, LedgerError>>>,
}

impl HandedOver {
    /// Waits until they are on the disk; returns the places of the entries among them, in order.
    pub async fn written(self) -> Result<Vec<Seq>, LedgerError> {
        match self.answer {
            Some(answer) => answer.await.map_err(|_| LedgerError::Closed)?,
            None => Ok(Vec::new()),
        }
    }
}

/// Digests made with another key would make every Secret look changed.
async fn check_key(
    connection: &mut SqliteConnection,
    key: &DigestKey,
    path: &Path,
    key_path: &Path,
) -> Result<(), LedgerError> {
    let fingerprint = key.fingerprint();
    let sql = "INSERT OR IGNORE INTO meta (name, value) VALUES ('key', ?)";
    sqlx::query(sql).bind(&fingerprint).execute(&mut *connection).await?;
    let row = sqlx::query("SELECT value FROM meta WHERE name = 'key'").fetch_one(connection).await?;
    if row.try_get::<String, _>(0)? == fingerprint {
        return Ok(());
    }
    Err(LedgerError::OtherKey { path: path.to_owned(), key: key_path.to_owned() })
}

fn opened(error: &sqlx::Error, path: &Path) -> LedgerError {
    let text = error.to_string();
    if text.contains("file is not a database") {
        return LedgerError::NotALedger { path: path.to_owned() };
    }
    LedgerError::Storage { detail: format!("{}: {text}", path.display()) }
}

fn rows_of(write: &Write) -> Result<Vec<RowWrite>, LedgerError> {
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
