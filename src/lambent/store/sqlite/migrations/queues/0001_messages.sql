-- Messages of all queues. A queue is known by a number: clearing it gives its name a new one, and the rows of
-- the old number are removed slice by slice. Sequence numbers are never used twice (AUTOINCREMENT).
CREATE TABLE queues (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    name     TEXT    UNIQUE,
    messages INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE messages (
    sequence          INTEGER PRIMARY KEY AUTOINCREMENT,
    queue             INTEGER NOT NULL,
    visible_ms        INTEGER NOT NULL,
    receipt           INTEGER,
    receive_count     INTEGER NOT NULL DEFAULT 0,
    first_received_ms INTEGER,
    sent_ms           INTEGER NOT NULL,
    message_id        TEXT    NOT NULL,
    group_name        TEXT,
    source            TEXT,
    attributes        BLOB    NOT NULL,
    body              BLOB    NOT NULL
);

-- What may be received comes first, however much is in flight or waiting behind it.
CREATE INDEX messages_by_visibility ON messages (queue, visible_ms);
CREATE INDEX messages_of_group ON messages (queue, group_name) WHERE group_name IS NOT NULL;
CREATE INDEX messages_taken ON messages (queue, group_name, visible_ms)
    WHERE group_name IS NOT NULL AND receipt IS NOT NULL;

-- Groups that have messages: where each begins, and from when on its first message may be received.
CREATE TABLE message_groups (
    queue        INTEGER NOT NULL,
    name         TEXT    NOT NULL,
    head         INTEGER NOT NULL,
    available_ms INTEGER NOT NULL,
    PRIMARY KEY (queue, name)
) WITHOUT ROWID;
CREATE INDEX message_groups_in_order ON message_groups (queue, head, available_ms);
CREATE INDEX message_groups_by_time ON message_groups (queue, available_ms);

CREATE TABLE deduplications (
    queue            INTEGER NOT NULL,
    deduplication_id TEXT    NOT NULL,
    message_id       TEXT    NOT NULL,
    sequence         INTEGER NOT NULL,
    until_ms         INTEGER NOT NULL,
    PRIMARY KEY (queue, deduplication_id)
) WITHOUT ROWID;
CREATE INDEX deduplications_by_end ON deduplications (until_ms);
