-- Log events, many to a row: a chunk is what one stream was given in one batch, over a minute at most.
-- Ids are never used twice (AUTOINCREMENT): event ids are made from them.
CREATE TABLE log_groups (
    id   INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT    NOT NULL UNIQUE
);

CREATE TABLE log_streams (
    id                INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id          INTEGER NOT NULL,
    name              TEXT    NOT NULL,
    created_ms        INTEGER NOT NULL,
    first_event_ms    INTEGER,
    last_event_ms     INTEGER,
    last_ingestion_ms INTEGER,
    stored_bytes      INTEGER NOT NULL,
    UNIQUE (group_id, name)
);

CREATE TABLE log_chunks (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    group_id     INTEGER NOT NULL,
    stream_id    INTEGER NOT NULL,
    first_ms     INTEGER NOT NULL,
    last_ms      INTEGER NOT NULL,
    ingestion_ms INTEGER NOT NULL,
    stored_bytes INTEGER NOT NULL,
    body         BLOB    NOT NULL
);

-- A search finds the chunks of a time span in either index alone. More indexes would make reading backwards
-- simpler, and writing half as fast.
CREATE INDEX log_chunks_of_stream ON log_chunks (stream_id, first_ms, last_ms);
CREATE INDEX log_chunks_of_group  ON log_chunks (group_id, first_ms, last_ms, stream_id);

-- Deleted streams whose chunks are still to be removed, a slice at a time.
CREATE TABLE log_chunks_to_remove (
    stream_id INTEGER PRIMARY KEY
);
