-- The state digest: sums over the canonical encodings of events and of raw logs (docs/digest.md), changed by apply and
-- by rewind in the same transaction as the data.

CREATE TABLE state_digest (
    chain_id     bigint   NOT NULL REFERENCES network,
    block_number bigint   NOT NULL,
    checkpoint   boolean  NOT NULL,
    version      smallint NOT NULL,
    event_count  bigint   NOT NULL,
    log_count    bigint   NOT NULL,
    events       bytea    NOT NULL CHECK (length(events) = 2048),
    raw_logs     bytea    NOT NULL CHECK (length(raw_logs) = 2048),
    PRIMARY KEY (chain_id, block_number)
);
CREATE INDEX state_digest_passing ON state_digest (chain_id, block_number) WHERE NOT checkpoint;
-- Sums are random bytes: Postgres need not try to compress them.
ALTER TABLE state_digest ALTER COLUMN events SET STORAGE EXTERNAL;
ALTER TABLE state_digest ALTER COLUMN raw_logs SET STORAGE EXTERNAL;
COMMENT ON TABLE state_digest IS 'The digest of all logs up to and with a block: of every block with logs above finality, of the newest block with logs, and of checkpoints below. Which blocks have a row depends on the chain and on finality alone.';
COMMENT ON COLUMN state_digest.checkpoint IS 'The first block at which the network has another multiple of 4,096 logs: kept for good, so that any block''s digest is a checkpoint and fewer than 4,096 logs of raw_logs.';
COMMENT ON COLUMN state_digest.version IS 'The version of the canonical encoding.';
