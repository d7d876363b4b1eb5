-- The tables of the messaging library on SQLite. Times are seconds since 1970.

CREATE TABLE IF NOT EXISTS consumer_offset (
    consumer    TEXT    NOT NULL,
    topic       TEXT    NOT NULL,
    partition   INTEGER NOT NULL,
    next_offset INTEGER NOT NULL,
    cluster_id  TEXT    NOT NULL,
    PRIMARY KEY (consumer, topic, partition)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS inbox (
    id      BLOB PRIMARY KEY,
    seen_at REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS inbox_seen_at ON inbox (seen_at);

CREATE TABLE IF NOT EXISTS outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    shard      INTEGER NOT NULL,
    event_id   TEXT    NOT NULL,
    topic      TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    headers    TEXT    NOT NULL,
    value      BLOB    NOT NULL,
    personal   INTEGER NOT NULL,
    created_at REAL    NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0)
);
CREATE INDEX IF NOT EXISTS outbox_created_at ON outbox (created_at);

CREATE TABLE IF NOT EXISTS outbox_unsent (
    id       INTEGER PRIMARY KEY,
    shard    INTEGER NOT NULL,
    event_id TEXT    NOT NULL,
    gate     TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS outbox_unsent_event ON outbox_unsent (event_id);

CREATE TABLE IF NOT EXISTS outbox_parked (
    key    TEXT PRIMARY KEY,
    row_id INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS outbox_lease (
    shard      INTEGER PRIMARY KEY,
    owner      TEXT,
    epoch      INTEGER NOT NULL DEFAULT 0,
    expires_at REAL    NOT NULL DEFAULT 0
);
WITH RECURSIVE n(shard) AS (SELECT 0 UNION ALL SELECT shard + 1 FROM n WHERE shard < 15)
INSERT OR IGNORE INTO outbox_lease (shard) SELECT shard FROM n;

CREATE TABLE IF NOT EXISTS outbox_relay (
    owner      TEXT PRIMARY KEY,
    expires_at REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS dead_letter (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT    NOT NULL,
    consumer      TEXT    NOT NULL,
    topic         TEXT    NOT NULL,
    partition     INTEGER NOT NULL,
    record_offset INTEGER NOT NULL,
    sealed        BLOB    NOT NULL,
    error         TEXT    NOT NULL,
    state         TEXT    NOT NULL DEFAULT 'DEAD',
    note          TEXT    NOT NULL DEFAULT '',
    created_at    REAL    NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0),
    settled_at    REAL
);
CREATE INDEX IF NOT EXISTS dead_letter_settled ON dead_letter (settled_at) WHERE state IN ('REPLAYED', 'DISCARDED');
CREATE INDEX IF NOT EXISTS dead_letter_sealed ON dead_letter (settled_at)
    WHERE state IN ('REPLAYED', 'DISCARDED') AND sealed <> x'';

CREATE TABLE IF NOT EXISTS incident (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       TEXT NOT NULL,
    subject    TEXT NOT NULL,
    summary    TEXT NOT NULL,
    opened_at  REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0),
    closed_at  REAL,
    resolution TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS incident_open ON incident (kind, subject) WHERE closed_at IS NULL;
CREATE INDEX IF NOT EXISTS incident_closed ON incident (closed_at) WHERE closed_at IS NOT NULL;
