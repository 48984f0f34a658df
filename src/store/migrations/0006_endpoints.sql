-- How each receiver does: its circuit, what it asked us to wait for, what was told about it.
-- `version` grows with every change, so that a late writer cannot undo a newer one.

CREATE TABLE endpoints (
    endpoint TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    since_at BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    failing_since BIGINT,
    probe_at BIGINT,
    paused_until BIGINT,
    cause TEXT,
    config_hash TEXT NOT NULL,
    skew_ms BIGINT,
    dropped_told_at BIGINT,
    version BIGINT NOT NULL
);

-- Rungs of the ladder that were used up; an attempt that only met a pause uses none.
ALTER TABLE outbox ADD COLUMN rung BIGINT NOT NULL DEFAULT 0;
UPDATE outbox SET rung = attempts;

-- The open rows of one endpoint in the order in which they are sent.
CREATE INDEX outbox_ready ON outbox (endpoint, urgent DESC, position) WHERE closed_at IS NULL;
-- Rows that died without an attempt saying so, for the alarm about them.
CREATE INDEX outbox_dropped ON outbox (closed_at) WHERE note IS NOT NULL;
-- Finds what is past its time without reading every open row; leases no longer ask by next_at.
CREATE INDEX outbox_expiry ON outbox (expires_at) WHERE closed_at IS NULL;
DROP INDEX outbox_due;
