-- Rollback actions: flags that are pulled from us, and who armed what.

-- Flags that we serve as off since a trip; without a row an action's flags are served as configured.
CREATE TABLE pulled_flags (
    action TEXT PRIMARY KEY,
    outbox_id TEXT NOT NULL,
    off_at BIGINT NOT NULL,
    seen_at BIGINT,
    seen_by TEXT
);

-- Whether an action was armed when the daemon last looked.
CREATE TABLE arming (
    action TEXT PRIMARY KEY,
    word TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- The newest uses of one action, for its daily limit.
CREATE INDEX outbox_actions ON outbox (endpoint, position) WHERE lane = 'action';
