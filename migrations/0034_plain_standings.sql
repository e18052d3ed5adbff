-- What follows from a standing's sums is written with them: as generated columns they took a third of the time in which a row
-- is copied in. Rows that are restored get them from the same expressions (store::apply::standings).

ALTER TABLE standing
    ALTER COLUMN active DROP EXPRESSION,
    ALTER COLUMN average DROP EXPRESSION,
    ALTER COLUMN voice_average DROP EXPRESSION,
    ALTER COLUMN score DROP EXPRESSION;
COMMENT ON COLUMN standing.active IS 'Feedback that stands: given - revoked.';
COMMENT ON COLUMN standing.average IS 'total / active, cut toward zero at 60 decimal places; NULL where nothing stands.';
COMMENT ON COLUMN standing.voice_average IS 'voices / clients, cut toward zero at 60 decimal places; NULL where nothing stands.';
