-- Times are microseconds since the epoch, UTC. Applications are `namespace/name`, objects `group/kind/namespace/name`.
-- Bodies marked zstd are compressed JSON.

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What was there before a change, once for equal content.
CREATE TABLE evidence (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    body BLOB NOT NULL -- zstd
) STRICT;

CREATE TABLE entries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    version INTEGER NOT NULL,
    time INTEGER NOT NULL,
    app TEXT NOT NULL,
    object TEXT,
    kind TEXT NOT NULL CHECK (kind IN ('observed', 'intended', 'done', 'refused', 'confirmed')),
    intent INTEGER REFERENCES entries (seq),
    evidence INTEGER REFERENCES evidence (id),
    body TEXT NOT NULL,
    CHECK ((intent IS NULL) = (kind IN ('observed', 'intended')))
) STRICT;

CREATE INDEX entries_of_app ON entries (app, object, seq);
CREATE INDEX entries_of_intent ON entries (intent, kind) WHERE intent IS NOT NULL;
CREATE INDEX intents ON entries (seq) WHERE kind = 'intended';

CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never changed'); END;
CREATE TRIGGER entries_are_not_removed BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'entries are never removed'); END;
CREATE TRIGGER evidence_is_not_changed BEFORE UPDATE ON evidence
BEGIN SELECT RAISE(ABORT, 'evidence is never changed'); END;
CREATE TRIGGER evidence_is_not_removed BEFORE DELETE ON evidence
BEGIN SELECT RAISE(ABORT, 'evidence is never removed'); END;

-- What is remembered of an object from one sync to the next.
CREATE TABLE memory (
    app TEXT NOT NULL,
    object TEXT NOT NULL,
    time INTEGER, -- when it was last applied or found in agreement
    revision TEXT, -- the commit that the base came from
    context TEXT NOT NULL, -- the server's version and the kind's schema: `unowned` is taken anew when it changes
    base BLOB, -- zstd: the normalised target that was last applied, sealed
    unowned BLOB, -- hashes of paths and values that nobody declared and nobody owned right after
    inherited BLOB NOT NULL, -- zstd: what others had added when the object was first synced
    PRIMARY KEY (app, object)
) STRICT, WITHOUT ROWID;

-- Kinds that were ever applied: they stay watched, or what was dropped while nobody looked is never pruned.
CREATE TABLE inventory (
    app TEXT NOT NULL,
    api_group TEXT NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (app, api_group, kind)
) STRICT, WITHOUT ROWID;

-- When each difference that is still there was first seen.
CREATE TABLE first_seen (
    app TEXT NOT NULL,
    difference TEXT NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (app, difference)
) STRICT, WITHOUT ROWID;
