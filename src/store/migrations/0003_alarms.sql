-- Alarms that no look sees, and the rows that say until when they were watched. An alarm that is
-- on has no cleared_at; the next stretch of the same alarm is another row. The portfolio's own
-- alarms have an empty experiment.

CREATE TABLE alarms (
    experiment TEXT NOT NULL,
    alarm TEXT NOT NULL,
    raised_at BIGINT NOT NULL,
    cleared_at BIGINT,
    alarm_json TEXT NOT NULL,
    PRIMARY KEY (experiment, alarm, raised_at)
);
CREATE INDEX alarms_open ON alarms (experiment, alarm) WHERE cleared_at IS NULL;

CREATE TABLE watches (
    name TEXT PRIMARY KEY,
    last_slot BIGINT NOT NULL,
    report_json TEXT NOT NULL
);
