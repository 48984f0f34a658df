-- First schema. Only BIGINT, DOUBLE PRECISION and TEXT, so that another engine takes the same
-- text. Instants are epoch milliseconds. Flags are 0 or 1. NULL means "not known", never zero.

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('log', 0), ('outbox', 0);

CREATE TABLE experiments (
    id TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    revision TEXT NOT NULL,
    labels_json TEXT NOT NULL,
    life_json TEXT NOT NULL,
    last_said_json TEXT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    cycle BIGINT NOT NULL,
    state_version BIGINT NOT NULL,
    evaluations BIGINT NOT NULL
);

CREATE TABLE revisions (
    experiment TEXT NOT NULL,
    revision TEXT NOT NULL,
    file TEXT NOT NULL,
    source_text TEXT NOT NULL,
    model_json TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (experiment, revision)
);

CREATE TABLE broken_files (
    file TEXT PRIMARY KEY,
    revision_hash TEXT NOT NULL,
    diagnostics_text TEXT NOT NULL,
    seen_at BIGINT NOT NULL
);

-- A cursor that has ended keeps its row (next_at NULL): its epoch and last_slot must outlive it,
-- or a revived track could repeat a slot and an old claim could match a new one.
CREATE TABLE cursors (
    experiment TEXT NOT NULL REFERENCES experiments (id),
    track TEXT NOT NULL,
    last_slot BIGINT,
    next_at BIGINT,
    holder TEXT,
    epoch BIGINT NOT NULL,
    lease_until BIGINT,
    PRIMARY KEY (experiment, track)
);
CREATE INDEX cursors_due ON cursors (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE missed (
    experiment TEXT NOT NULL REFERENCES experiments (id),
    track TEXT NOT NULL,
    from_at BIGINT NOT NULL,
    to_at BIGINT NOT NULL,
    slots BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (experiment, track, from_at)
);

-- Append-only: a restated period gets a new version, the old one stays.
CREATE TABLE points (
    series_id TEXT NOT NULL,
    period_start BIGINT NOT NULL,
    period_end BIGINT NOT NULL,
    arm TEXT NOT NULL,
    version BIGINT NOT NULL,
    form TEXT NOT NULL,
    s1 DOUBLE PRECISION NOT NULL,
    s2 DOUBLE PRECISION NOT NULL,
    s3 DOUBLE PRECISION NOT NULL,
    s4 DOUBLE PRECISION NOT NULL,
    s5 DOUBLE PRECISION NOT NULL,
    s6 DOUBLE PRECISION NOT NULL,
    fetched_at BIGINT NOT NULL,
    PRIMARY KEY (series_id, period_start, period_end, arm, version)
);
CREATE INDEX points_newest ON points (series_id, period_end);

CREATE TABLE evaluations (
    experiment TEXT NOT NULL REFERENCES experiments (id),
    number BIGINT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    track TEXT NOT NULL,
    scheduled_at BIGINT NOT NULL,
    restatement_no BIGINT NOT NULL,
    revision TEXT NOT NULL,
    data_as_of BIGINT,
    fetched_at BIGINT,
    recorded_at BIGINT NOT NULL,
    revises TEXT,
    verdict TEXT NOT NULL,
    cause TEXT NOT NULL,
    headline TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (experiment, number),
    UNIQUE (experiment, track, scheduled_at, restatement_no)
);

-- Sequential state; earlier epochs of a test stay with in_force = 0.
CREATE TABLE tests (
    experiment TEXT NOT NULL REFERENCES experiments (id),
    cycle BIGINT NOT NULL,
    test_id TEXT NOT NULL,
    epoch TEXT NOT NULL,
    in_force BIGINT NOT NULL,
    tau DOUBLE PRECISION NOT NULL,
    alpha DOUBLE PRECISION NOT NULL,
    ln_p DOUBLE PRECISION NOT NULL,
    looks BIGINT NOT NULL,
    opened_at BIGINT NOT NULL,
    earlier_epochs BIGINT NOT NULL,
    PRIMARY KEY (experiment, cycle, test_id, epoch)
);

CREATE TABLE guardrails (
    experiment TEXT NOT NULL REFERENCES experiments (id),
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    status_json TEXT NOT NULL,
    PRIMARY KEY (experiment, name)
);

CREATE TABLE definitions (
    experiment TEXT NOT NULL REFERENCES experiments (id),
    subject TEXT NOT NULL,
    series_id TEXT NOT NULL,
    PRIMARY KEY (experiment, subject)
);

CREATE TABLE acknowledgements (
    experiment TEXT NOT NULL REFERENCES experiments (id),
    subject TEXT NOT NULL,
    series_id TEXT NOT NULL,
    who TEXT NOT NULL,
    because TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (experiment, subject, series_id)
);

-- No foreign key: entries about sources carry `source:<name>`.
CREATE TABLE log (
    id BIGINT PRIMARY KEY,
    experiment TEXT NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    who TEXT,
    verdict TEXT,
    because TEXT,
    said TEXT NOT NULL,
    evaluation_id TEXT
);
CREATE INDEX log_by_experiment ON log (experiment, id);

CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    endpoint TEXT NOT NULL,
    partition_key TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    position BIGINT NOT NULL,
    kind TEXT NOT NULL,
    urgent BIGINT NOT NULL,
    lane TEXT NOT NULL,
    notice_id TEXT NOT NULL,
    body TEXT NOT NULL,
    content TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    final_state BIGINT NOT NULL,
    state TEXT NOT NULL,
    next_at BIGINT NOT NULL,
    holder TEXT,
    lease_until BIGINT,
    attempts BIGINT NOT NULL,
    first_attempt_at BIGINT,
    manual BIGINT NOT NULL,
    collapsed BIGINT NOT NULL,
    superseded_by TEXT,
    note TEXT,
    closed_at BIGINT,
    confirmed_at BIGINT
);
CREATE INDEX outbox_open ON outbox (endpoint, partition_key, lane, sequence, position)
    WHERE closed_at IS NULL;
CREATE INDEX outbox_due ON outbox (next_at) WHERE closed_at IS NULL;
-- Covers the count of open rows and bytes of an endpoint, which every enqueue asks for, and
-- gives the oldest of them first. (closed_at is in it for engines that would look it up.)
CREATE INDEX outbox_load ON outbox (endpoint, lane, position, bytes, closed_at)
    WHERE closed_at IS NULL;
CREATE INDEX outbox_by_position ON outbox (position);
CREATE INDEX outbox_by_partition ON outbox (partition_key, position);

CREATE TABLE attempts (
    outbox_id TEXT NOT NULL REFERENCES outbox (id),
    attempt BIGINT NOT NULL,
    holder TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT,
    status BIGINT,
    class TEXT,
    detail TEXT,
    manual BIGINT NOT NULL,
    PRIMARY KEY (outbox_id, attempt)
);

CREATE TABLE sources (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    last_ok_at BIGINT,
    failing_since BIGINT,
    class TEXT,
    cause TEXT,
    told BIGINT NOT NULL
);
