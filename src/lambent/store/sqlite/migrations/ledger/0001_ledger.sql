-- Rows of the ledger, many to a row here: a chunk holds rows of one category and one day, as columns, compressed.
CREATE TABLE categories (
    id       INTEGER PRIMARY KEY,
    account  TEXT NOT NULL,
    function TEXT NOT NULL,
    body     BLOB NOT NULL UNIQUE
);

CREATE INDEX categories_of_function ON categories (account, function);

-- Sequences are never used twice, although the rows that had them go.
CREATE TABLE next_sequence (
    sequence INTEGER NOT NULL
);

INSERT INTO next_sequence VALUES (1);

CREATE TABLE chunks (
    first_sequence INTEGER PRIMARY KEY,
    last_sequence  INTEGER NOT NULL,
    category_id    INTEGER NOT NULL,
    day            INTEGER NOT NULL,
    first_ms       INTEGER NOT NULL,
    last_ms        INTEGER NOT NULL,
    row_count      INTEGER NOT NULL,
    body           BLOB    NOT NULL
);

-- Everything that a search asks before it opens a body.
CREATE INDEX chunks_of_category ON chunks (category_id, first_sequence, last_sequence, first_ms, last_ms);
CREATE INDEX chunks_of_day ON chunks (day, category_id, row_count, first_sequence);

-- The sums of the rows of a category on a day: written with the rows, kept when they go.
CREATE TABLE usage (
    day                  INTEGER NOT NULL,
    category_id          INTEGER NOT NULL,
    rows                 INTEGER NOT NULL,
    requests             INTEGER NOT NULL,
    billed_ms            INTEGER NOT NULL,
    billed_init_ms       INTEGER NOT NULL,
    restores             INTEGER NOT NULL,
    charged_stream_bytes INTEGER NOT NULL,
    duration_us          INTEGER NOT NULL,
    errors               INTEGER NOT NULL,
    cold_starts          INTEGER NOT NULL,
    new_environments     INTEGER NOT NULL,
    init_us              INTEGER NOT NULL,
    request_bytes        INTEGER NOT NULL,
    response_bytes       INTEGER NOT NULL,
    streamed_bytes       INTEGER NOT NULL,
    PRIMARY KEY (day, category_id)
) WITHOUT ROWID;

-- Days before this one are there only as sums.
CREATE TABLE rows_since (
    day INTEGER NOT NULL
);

INSERT INTO rows_since VALUES (0);
