-- What every network has: the contracts watched on it, how far it is followed, its blocks and its raw logs.
--
-- Conventions of all tables:
--   chain_id     the network (EIP-155); every row of chain data carries it, every key begins with it
--   begin_block  the block whose event began the row; end_block the block whose event ended it, NULL while it holds:
--                "as of block N" is  begin_block <= N AND (end_block IS NULL OR end_block > N)
--   *_at         seconds since 1970, of the block
--   x, x_raw     a string of the chain: x is readable; x_raw has the bytes where x could not hold them (NUL, bad UTF-8)
--   hashes and addresses are bytea of 32 and 20 bytes

CREATE TABLE network (
    chain_id     bigint PRIMARY KEY,
    name         text   NOT NULL UNIQUE,
    genesis_hash bytea  NOT NULL CHECK (length(genesis_hash) = 32),
    start_block  bigint NOT NULL CHECK (start_block >= 0)
);
COMMENT ON TABLE network IS 'The networks that this database follows. genesis_hash guards against another chain with the same id.';

CREATE TABLE contract (
    chain_id    bigint   NOT NULL REFERENCES network,
    contract_id smallint NOT NULL,
    role        text     NOT NULL,
    address     bytea    NOT NULL CHECK (length(address) = 20),
    deployment  smallint NOT NULL,
    ordinal     smallint NOT NULL,
    PRIMARY KEY (chain_id, contract_id),
    UNIQUE (chain_id, address),
    UNIQUE (chain_id, role, ordinal)
);
COMMENT ON TABLE contract IS 'The watched contracts. deployment 0 is the primary set of registries; ordinal is the place within the role in the configuration.';

CREATE TABLE cursor (
    chain_id         bigint PRIMARY KEY REFERENCES network,
    epoch            bigint NOT NULL DEFAULT 0,
    seq              bigint NOT NULL DEFAULT 0,
    tip_number       bigint,
    tip_hash         bytea,
    tip_at           bigint,
    safe_number      bigint,
    finalized_number bigint,
    finalized_hash   bytea,
    CHECK ((tip_number IS NULL) = (tip_hash IS NULL)),
    CHECK ((finalized_number IS NULL) = (finalized_hash IS NULL)),
    CHECK (finalized_number IS NULL OR finalized_number <= tip_number)
);
COMMENT ON TABLE cursor IS 'How far each network is committed. Changes only in the transaction that changes the data; epoch is the writer''s fence; seq rises with every commit, and the newest row of change has it at most.';
COMMENT ON COLUMN cursor.tip_number IS 'The newest block whose data is committed; NULL before the first.';
COMMENT ON COLUMN cursor.finalized_number IS 'The newest finalized block that we hold and have verified: nothing at or below it is undone.';

CREATE TABLE head (
    chain_id   bigint PRIMARY KEY REFERENCES network,
    number     bigint NOT NULL,
    hash       bytea  NOT NULL,
    block_at   bigint NOT NULL,
    safe_number      bigint,
    finalized_number bigint,
    seen_at    timestamptz NOT NULL
);
COMMENT ON TABLE head IS 'The chain''s head and finality as last seen: an observation, no part of the data.';

CREATE TABLE block (
    chain_id    bigint  NOT NULL,
    number      bigint  NOT NULL,
    hash        bytea   NOT NULL,
    parent_hash bytea   NOT NULL,
    block_at    bigint  NOT NULL,
    log_count   integer NOT NULL,
    PRIMARY KEY (chain_id, number)
) PARTITION BY LIST (chain_id);
CREATE INDEX block_hash ON block (hash);
COMMENT ON TABLE block IS 'Headers: of every block above finality, below it of the blocks that carry events.';

CREATE TABLE raw_logs (
    chain_id   bigint   NOT NULL,
    from_block bigint   NOT NULL,
    to_block   bigint   NOT NULL CHECK (to_block >= from_block),
    log_count  integer  NOT NULL,
    codec      smallint NOT NULL,
    logs       bytea    NOT NULL,
    PRIMARY KEY (chain_id, from_block)
) PARTITION BY LIST (chain_id);
-- Compressed already: Postgres need not try again.
ALTER TABLE raw_logs ALTER COLUMN logs SET STORAGE EXTERNAL;
COMMENT ON TABLE raw_logs IS 'Every log of a watched contract, decodable or not, in compressed segments: one a block near the head, one a range of blocks below. The truth that all other chain data derives from. Ranges do not overlap.';

CREATE TABLE undecoded_log (
    chain_id         bigint   NOT NULL,
    begin_block      bigint   NOT NULL,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    contract_id      smallint NOT NULL,
    topic0           bytea,
    reason           text     NOT NULL,
    PRIMARY KEY (chain_id, begin_block, log_index)
) PARTITION BY LIST (chain_id);
COMMENT ON TABLE undecoded_log IS 'Logs that are no known event, or malformed ones: kept in raw_logs, listed here with the reason.';

CREATE TABLE change (
    chain_id     bigint   NOT NULL,
    seq          bigint   NOT NULL,
    op           smallint NOT NULL,
    entity       smallint NOT NULL,
    key          text     NOT NULL,
    block_number bigint   NOT NULL,
    block_hash   bytea    NOT NULL,
    PRIMARY KEY (chain_id, seq)
) PARTITION BY LIST (chain_id);
CREATE INDEX change_block ON change (chain_id, block_number);
COMMENT ON TABLE change IS 'What each transaction above finality changed, in order: op 1 insert, 2 update, 3 retract (a rewind took it back). Written by apply and by rewind; kept down to finality plus a configured age.';

-- Blocks and what is keyed by them are split by network, then by ranges of 2^24 blocks (a year of Taiko).
CREATE FUNCTION ensure_block_range(chain bigint, part bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['block', 'raw_logs', 'undecoded_log', 'audit_event'] LOOP
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)',
            format('%s_%s_%s', parent, chain, part), format('%s_%s', parent, chain),
            part * 16777216, (part + 1) * 16777216);
    END LOOP;
END $$;
COMMENT ON FUNCTION ensure_block_range IS 'Creates the partitions of block range number part (block / 2^24) of a network.';

-- Facts are split by network, then by a hash of the agent.
CREATE FUNCTION ensure_network_partitions(chain bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    bucket integer;
BEGIN
    FOREACH parent IN ARRAY ARRAY['block', 'raw_logs', 'undecoded_log', 'audit_event'] LOOP
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES IN (%s) PARTITION BY RANGE (%I)',
            format('%s_%s', parent, chain), parent, chain,
            CASE parent WHEN 'block' THEN 'number' WHEN 'raw_logs' THEN 'from_block' ELSE 'begin_block' END);
    END LOOP;
    FOREACH parent IN ARRAY ARRAY['change', 'operator_approval', 'validation', 'validation_response'] LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES IN (%s)',
            format('%s_%s', parent, chain), parent, chain);
    END LOOP;
    FOREACH parent IN ARRAY ARRAY['agent', 'agent_metadata', 'agent_total', 'agent_total_version',
                                  'registration_file', 'feedback', 'feedback_response'] LOOP
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES IN (%s) PARTITION BY HASH (agent_id)',
            format('%s_%s', parent, chain), parent, chain);
        FOR bucket IN 0..7 LOOP
            EXECUTE format(
                'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES WITH (MODULUS 8, REMAINDER %s)',
                format('%s_%s_%s', parent, chain, bucket), format('%s_%s', parent, chain), bucket);
        END LOOP;
    END LOOP;
END $$;
COMMENT ON FUNCTION ensure_network_partitions IS 'Creates the partitions of a network; may be called again.';
