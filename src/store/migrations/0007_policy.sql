-- Who hears what when: why a row is sent, waits or is withheld; silences, links that acknowledge,
-- digests, and the key of those links.

ALTER TABLE outbox ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN severity TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN lasting BIGINT NOT NULL DEFAULT 0;
-- The state that a withheld row was made in, and the silence or digest that withholds it.
ALTER TABLE outbox ADD COLUMN withheld_as TEXT;
ALTER TABLE outbox ADD COLUMN withheld_by TEXT;
CREATE INDEX outbox_by_notice ON outbox (notice_id);
CREATE INDEX outbox_withheld ON outbox (withheld_by, position) WHERE withheld_by IS NOT NULL;
CREATE INDEX outbox_lasting ON outbox (lasting, created_at) WHERE lasting = 1;

CREATE TABLE silences (
    id TEXT PRIMARY KEY,
    matcher_json TEXT NOT NULL,
    author TEXT NOT NULL,
    authenticated BIGINT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    ended_at BIGINT,
    ended_by TEXT,
    -- What was still wrong at its end has been told.
    settled BIGINT NOT NULL
);
CREATE INDEX silences_open ON silences (ends_at) WHERE settled = 0;

-- One per notice: a second use of the same link finds it.
CREATE TABLE acks (
    notice_id TEXT PRIMARY KEY,
    partition_key TEXT NOT NULL,
    topic TEXT NOT NULL,
    who TEXT NOT NULL,
    authenticated BIGINT NOT NULL,
    because TEXT NOT NULL,
    at BIGINT NOT NULL
);

CREATE TABLE digests (
    name TEXT PRIMARY KEY,
    last_slot BIGINT NOT NULL
);

CREATE TABLE keys (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
