-- What is said is kept apart from how far it got: a lease or an attempt no longer rewrites
-- kilobytes that never change. The same text of one notice is kept once: a generic webhook's body
-- is the content itself, and every receiver of a notice has the same content.

CREATE TABLE texts (
    id BIGINT PRIMARY KEY,
    text TEXT NOT NULL
);

ALTER TABLE outbox ADD COLUMN content_text BIGINT NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN body_text BIGINT NOT NULL DEFAULT 0;
INSERT INTO texts (id, text) SELECT position * 2, content FROM outbox;
INSERT INTO texts (id, text) SELECT position * 2 + 1, body FROM outbox WHERE body <> content;
UPDATE outbox SET content_text = position * 2,
    body_text = CASE WHEN body = content THEN position * 2 ELSE position * 2 + 1 END;
ALTER TABLE outbox DROP COLUMN body;
ALTER TABLE outbox DROP COLUMN content;

-- Endpoints that ever had a row: so that nobody reads every row to learn their names.
CREATE TABLE addressees (
    endpoint TEXT PRIMARY KEY
);
INSERT INTO addressees (endpoint) SELECT DISTINCT endpoint FROM outbox WHERE endpoint <> '';

-- One index gives the order of sending and covers the count of rows and bytes; there were two.
DROP INDEX outbox_load;
DROP INDEX outbox_ready;
CREATE INDEX outbox_ready ON outbox (endpoint, urgent DESC, position, lane, bytes, closed_at)
    WHERE closed_at IS NULL;
CREATE INDEX outbox_dead ON outbox (endpoint, position) WHERE state = 'dead';

-- Rows that are leased without being the first of their queue: asked for by a person, or waiting
-- for the end of quiet hours.
CREATE INDEX outbox_manual ON outbox (endpoint, position) WHERE closed_at IS NULL AND manual > 0;
CREATE INDEX outbox_deferred ON outbox (endpoint, not_before)
    WHERE closed_at IS NULL AND not_before > created_at;
