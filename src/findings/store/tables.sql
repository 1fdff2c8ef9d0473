-- The store of findings. Plain SQL, so that other databases can hold the same tables; all moments are RFC 3339 text in
-- UTC with nine digits of the second, so that they sort as text.

-- One row: the version of these tables.
CREATE TABLE version (
    version INTEGER NOT NULL
);

-- One row a finding, as of the newest word about it.
CREATE TABLE findings (
    id              TEXT PRIMARY KEY NOT NULL, -- derived from flow, check, key and by: the same in every run
    flow            TEXT NOT NULL,             -- the flow
    check_name      TEXT NOT NULL,             -- the check that is broken
    key             TEXT NOT NULL,             -- the transaction: a value of the flow's key
    by_value        TEXT,                      -- the value of the check's `by`, where it has one
    class           TEXT NOT NULL,             -- what kind of inconsistency: lost_message, duplicate, …
    severity        TEXT NOT NULL,             -- info, warning, critical
    status          TEXT NOT NULL,             -- open, healed, resolved
    time            TEXT,                      -- when the observation happened from which the judgement starts
    deadline        TEXT,                      -- by when what was expected should have been there
    judged_at       TEXT,                      -- how far the sources had come when it was judged
    healed_after_ms BIGINT,                    -- how long the systems disagreed, where it healed
    summary         TEXT NOT NULL,             -- one sentence
    document        TEXT NOT NULL,             -- all of it as JSON: `throughline schema finding`
    explanation     TEXT NOT NULL,             -- all of it for people, as `throughline run` prints it
    first_word      BIGINT NOT NULL,           -- the first word about it: words.number
    last_word       BIGINT NOT NULL            -- the newest word about it: words.number
);
CREATE UNIQUE INDEX findings_by_last_word ON findings (last_word);
CREATE INDEX findings_by_key ON findings (key);
CREATE INDEX findings_by_kind ON findings (flow, check_name, class, severity, status);

-- One row a word about a finding, in the order in which they were told: how it was opened, changed, healed, resolved.
CREATE TABLE words (
    number    BIGINT PRIMARY KEY NOT NULL, -- counts from 1
    id        TEXT NOT NULL,               -- the finding: findings.id
    status    TEXT NOT NULL,               -- what it was from then on
    class     TEXT NOT NULL,
    severity  TEXT NOT NULL,
    judged_at TEXT,
    summary   TEXT NOT NULL
);
CREATE INDEX words_by_id ON words (id, number);

-- How far others have come: `journal <lane>`: everything before this entry of the lane's journal stands in here;
-- `webhook`: everything up to this word was taken by the receiver.
CREATE TABLE positions (
    name     TEXT PRIMARY KEY NOT NULL,
    position BIGINT NOT NULL
);

INSERT INTO version (version) VALUES (1);
