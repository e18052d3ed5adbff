-- Re-indexing from a chosen block.

CREATE TABLE reindex (
    chain_id         bigint PRIMARY KEY REFERENCES network,
    source           text   NOT NULL CHECK (source IN ('rpc', 'store')),
    from_block       bigint NOT NULL,
    target_number    bigint NOT NULL,
    target_hash      bytea  NOT NULL,
    target_at        bigint NOT NULL,
    safe_number      bigint,
    finalized_number bigint,
    finalized_hash   bytea,
    told_from        bigint,
    started_at       timestamptz NOT NULL DEFAULT now(),
    CHECK ((finalized_number IS NULL) = (finalized_hash IS NULL))
);
COMMENT ON TABLE reindex IS 'A re-index that is under way, at most one a network: whoever writes next goes on with it. Ends in the transaction that reaches target_number.';
COMMENT ON COLUMN reindex.source IS 'store: raw logs and headers above the cursor''s tip are held, what derives from them is not. rpc: nothing above the tip is held, and the follower brings it.';
COMMENT ON COLUMN reindex.target_number IS 'The newest block before it began; with target_hash, target_at, safe_number and the finalized block what the cursor is again at the end of one from the store.';
COMMENT ON COLUMN reindex.told_from IS 'The lowest block of which a change was taken back: those of the blocks from there on are told again, also of final ones.';

-- Totals are counted anew below finality, also from validations that were answered since; the index of the newest ones
-- is validation_agent.
CREATE INDEX validation_agent_past ON validation (chain_id, deployment, agent_id) WHERE end_block IS NOT NULL;
