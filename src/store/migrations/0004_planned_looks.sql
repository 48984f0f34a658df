-- Planned looks of a signal (look: once, weekly): the frozen data and shares of information.
ALTER TABLE tests ADD COLUMN planned_json TEXT;
