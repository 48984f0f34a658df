-- The number of an experiment's newest change: the state version that a change made. Looks that
-- change nothing raise the version (it guards what they keep) and leave this one.
ALTER TABLE experiments ADD COLUMN changes BIGINT NOT NULL DEFAULT 1;
UPDATE experiments SET changes = state_version;
