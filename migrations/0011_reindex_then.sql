-- A re-index from the store may begin while one from the chain is half way, which goes on after it.

ALTER TABLE reindex
    ADD COLUMN then_number bigint,
    ADD COLUMN then_hash   bytea,
    ADD COLUMN then_at     bigint,
    ADD CHECK ((then_number IS NULL) = (then_hash IS NULL) AND (then_number IS NULL) = (then_at IS NULL)),
    ADD CHECK (then_number IS NULL OR source = 'store');
COMMENT ON COLUMN reindex.then_number IS 'With then_hash and then_at the target of a re-index from the chain that was half way when this one from the store began: it goes on at its end. NULL where none was.';
