-- What the policy held back, in the order in which it came: for counting it.
CREATE INDEX outbox_held ON outbox (position)
    WHERE withheld_as IS NOT NULL OR not_before > created_at;
