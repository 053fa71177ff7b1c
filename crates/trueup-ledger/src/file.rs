//! The storage on disk: one SQLite file, one task that writes it, and connections that only read.

use std::path::Path;
use std::time::Duration;

use log::LevelFilter;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::error::LedgerError;
use crate::fact::Seq;
use crate::key::DigestKey;
use crate::rows::{InventoryRow, MemoryRow, Remembered, RowWrite, StoredEntry};
use crate::schema;
use crate::writer::{self, Request};

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

/// The file with those who use it.
#[derive(Debug)]
pub struct FileStorage {
    requests: mpsc::Sender<Request>,
    writer: JoinHandle<()>,
    readers: SqlitePool,
}

/// The answer to writes that the writer has.
pub type FileAnswer = oneshot::Receiver<Result<Vec<Seq>, LedgerError>>;

impl FileStorage {
    /// Opens the file of a state directory, and reads the key beside it; makes what is not there.
    pub async fn open(state_dir: &Path) -> Result<(Self, DigestKey), LedgerError> {
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
        Ok((Self { requests, writer, readers }, key))
    }

    pub async fn hand_over(&self, rows: Vec<RowWrite>) -> Result<FileAnswer, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request { rows, reply }).await.map_err(|_| LedgerError::Closed)?;
        Ok(answer)
    }

    pub async fn close(self) {
        let Self { requests, writer, readers } = self;
        drop(requests);
        // A panic of the writer was reported when it happened; there is nothing more to be closed then.
        let _ended = writer.await;
        readers.close().await;
    }

    pub async fn remembered(&self, app: &str) -> Result<Remembered, LedgerError> {
        let sql =
            "SELECT object, time, revision, context, base, unowned, inherited FROM memory WHERE app = ?";
        let mut remembered = Remembered::default();
        for row in sqlx::query(sql).bind(app).fetch_all(&self.readers).await? {
            remembered.objects.push(memory_row(app, &row)?);
        }
        let rows = sqlx::query("SELECT difference, time FROM first_seen WHERE app = ?");
        for row in rows.bind(app).fetch_all(&self.readers).await? {
            remembered.first_seen.push((row.try_get(0)?, row.try_get(1)?));
        }
        Ok(remembered)
    }

    pub async fn inventory(&self) -> Result<Vec<InventoryRow>, LedgerError> {
        let rows = sqlx::query("SELECT app, api_group, kind FROM inventory").fetch_all(&self.readers).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
    }

    /// From the newest back.
    pub async fn history(
        &self,
        app: &str,
        object: Option<&str>,
        before: i64,
        limit: i64,
    ) -> Result<Vec<StoredEntry>, LedgerError> {
        let rows = match object {
            Some(object) => {
                let sql = "SELECT seq, time, app, object, kind, intent, evidence, body FROM entries \
                           WHERE app = ? AND object = ? AND seq < ? ORDER BY seq DESC LIMIT ?";
                sqlx::query(sql).bind(app).bind(object).bind(before).bind(limit)
            }
            None => {
                let sql = "SELECT seq, time, app, object, kind, intent, evidence, body FROM entries \
                           WHERE app = ? AND seq < ? ORDER BY seq DESC LIMIT ?";
                sqlx::query(sql).bind(app).bind(before).bind(limit)
            }
        };
        rows.fetch_all(&self.readers).await?.iter().map(stored_entry).collect()
    }

    pub async fn after(&self, seq: i64, limit: i64) -> Result<Vec<StoredEntry>, LedgerError> {
        let sql = "SELECT seq, time, app, object, kind, intent, evidence, body FROM entries \
                   WHERE seq > ? ORDER BY seq LIMIT ?";
        let rows = sqlx::query(sql).bind(seq).bind(limit);
        rows.fetch_all(&self.readers).await?.iter().map(stored_entry).collect()
    }

    pub async fn unfinished(&self, limit: i64) -> Result<Vec<StoredEntry>, LedgerError> {
        let sql = "SELECT seq, time, app, object, kind, intent, evidence, body FROM entries AS intents \
                   WHERE kind = 'intended' AND NOT EXISTS (SELECT 1 FROM entries AS outcomes \
                   WHERE outcomes.intent = intents.seq AND outcomes.kind IN ('done', 'refused', 'confirmed')) \
                   ORDER BY seq LIMIT ?";
        let rows = sqlx::query(sql).bind(limit);
        rows.fetch_all(&self.readers).await?.iter().map(stored_entry).collect()
    }

    pub async fn carried_out(&self, before: i64, limit: i64) -> Result<Vec<StoredEntry>, LedgerError> {
        let sql = "SELECT seq, time, app, object, kind, intent, evidence, body FROM entries AS intents \
                   WHERE kind = 'intended' AND seq < ? AND EXISTS (SELECT 1 FROM entries AS outcomes \
                   WHERE outcomes.intent = intents.seq AND outcomes.kind IN ('done', 'confirmed')) \
                   ORDER BY seq DESC LIMIT ?";
        let rows = sqlx::query(sql).bind(before).bind(limit);
        rows.fetch_all(&self.readers).await?.iter().map(stored_entry).collect()
    }

    pub async fn evidence(&self, seq: i64) -> Result<Option<Vec<u8>>, LedgerError> {
        let sql = "SELECT evidence.body FROM entries JOIN evidence ON evidence.id = entries.evidence \
                   WHERE entries.seq = ?";
        let row = sqlx::query(sql).bind(seq).fetch_optional(&self.readers).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }
}

fn memory_row(app: &str, row: &SqliteRow) -> Result<MemoryRow, LedgerError> {
    Ok(MemoryRow {
        app: app.to_owned(),
        object: row.try_get("object")?,
        time: row.try_get("time")?,
        revision: row.try_get("revision")?,
        context: row.try_get("context")?,
        base: row.try_get("base")?,
        unowned: row.try_get("unowned")?,
        inherited: row.try_get("inherited")?,
    })
}

fn stored_entry(row: &SqliteRow) -> Result<StoredEntry, LedgerError> {
    Ok(StoredEntry {
        seq: row.try_get("seq")?,
        time: row.try_get("time")?,
        app: row.try_get("app")?,
        object: row.try_get("object")?,
        kind: row.try_get("kind")?,
        intent: row.try_get("intent")?,
        body: row.try_get("body")?,
        has_evidence: row.try_get::<Option<i64>, _>("evidence")?.is_some(),
    })
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
