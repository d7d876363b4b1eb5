-- The tables of the messaging library, for a service's first migration.

CREATE TABLE consumer_offset (
    consumer    text        NOT NULL,
    topic       text        NOT NULL,
    partition   integer     NOT NULL,
    next_offset bigint      NOT NULL,
    cluster_id  text        NOT NULL,
    moved_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (consumer, topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE inbox (
    id      bytea PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX inbox_seen_at ON inbox (seen_at);

-- What was said stays eight days in its day's partition; what still has to be said stands in outbox_unsent as well.
CREATE TABLE outbox (
    id         bigint      GENERATED ALWAYS AS IDENTITY,
    day        date        NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date,
    shard      smallint    NOT NULL,
    event_id   text        NOT NULL,
    topic      text        NOT NULL,
    key        text        NOT NULL,
    headers    text        NOT NULL,
    value      bytea       NOT NULL,
    personal   boolean     NOT NULL,
    gate       text        COLLATE "C" NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (day, id)
) PARTITION BY RANGE (day);

-- The key begins with the gate ('' is none), so that however much waits behind a closed one, the others' reading does
-- not pass by it.
-- Most values are sealed and cannot be compressed, and every one is read once: trying cost half of each insert.
ALTER TABLE outbox ALTER COLUMN value SET STORAGE EXTERNAL;

CREATE TABLE outbox_unsent (
    id       bigint   NOT NULL,
    day      date     NOT NULL,
    shard    smallint NOT NULL,
    event_id text     NOT NULL,
    gate     text     COLLATE "C" NOT NULL DEFAULT '',
    PRIMARY KEY (gate, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX outbox_unsent_event ON outbox_unsent (event_id);

CREATE TABLE outbox_parked (
    key    text PRIMARY KEY,
    row_id bigint NOT NULL
);

CREATE TABLE outbox_lease (
    shard      smallint PRIMARY KEY,
    owner      text,
    epoch      bigint      NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 50);
INSERT INTO outbox_lease (shard) SELECT generate_series(0, 15);

CREATE TABLE outbox_relay (
    owner      text PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

CREATE TABLE dead_letter (
    id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind          text        NOT NULL,
    consumer      text        NOT NULL,
    topic         text        NOT NULL,
    partition     integer     NOT NULL,
    record_offset bigint      NOT NULL,
    sealed        bytea       NOT NULL,
    error         text        NOT NULL,
    state         text        NOT NULL DEFAULT 'DEAD',
    note          text        NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT now(),
    settled_at    timestamptz
);
CREATE INDEX dead_letter_replay ON dead_letter (consumer, id) WHERE state = 'REPLAY';
CREATE INDEX dead_letter_settled ON dead_letter (settled_at) WHERE state IN ('REPLAYED', 'DISCARDED');
CREATE INDEX dead_letter_sealed ON dead_letter (settled_at)
    WHERE state IN ('REPLAYED', 'DISCARDED') AND sealed <> '';

CREATE TABLE incident (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text        NOT NULL,
    subject    text        NOT NULL,
    summary    text        NOT NULL,
    opened_at  timestamptz NOT NULL DEFAULT now(),
    closed_at  timestamptz,
    resolution text
);
CREATE UNIQUE INDEX incident_open ON incident (kind, subject) WHERE closed_at IS NULL;
CREATE INDEX incident_closed ON incident (closed_at) WHERE closed_at IS NOT NULL;
