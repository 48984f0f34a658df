-- What receivers remember of a conversation (a root message, a ticket): ids the other side gave.

ALTER TABLE outbox ADD COLUMN conversation TEXT;
CREATE INDEX outbox_conversation ON outbox (endpoint, conversation)
    WHERE conversation IS NOT NULL;

CREATE TABLE conversations (
    endpoint TEXT NOT NULL,
    conversation TEXT NOT NULL,
    known_json TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (endpoint, conversation)
);
