-- Manifest flips: what each transaction changed of an agent's endpoint, key and owner, and what that adds up to.

ALTER TABLE agent ADD COLUMN manifest_at bigint;
COMMENT ON COLUMN agent.manifest_at IS 'When an event of the identity registry last told the URI, the agentWallet or the owner; NULL until one did.';

CREATE TABLE manifest_flip (
    chain_id              bigint   NOT NULL,
    deployment            smallint NOT NULL,
    agent_id              numeric  NOT NULL,
    begin_block           bigint   NOT NULL,
    end_block             bigint,
    log_index             integer  NOT NULL,
    transaction_hash      bytea    NOT NULL,
    created_at            bigint   NOT NULL,
    time_delta            bigint   NOT NULL,
    endpoint              text     NOT NULL,
    endpoint_raw          bytea,
    previous_endpoint     text,
    previous_endpoint_raw bytea,
    pubkey                bytea,
    previous_pubkey       bytea,
    owner                 bytea    NOT NULL,
    previous_owner        bytea    NOT NULL,
    endpoint_changed      boolean  NOT NULL,
    pubkey_changed        boolean  NOT NULL,
    owner_changed         boolean  NOT NULL,
    score                 smallint NOT NULL,
    flips                 bigint   NOT NULL,
    rapid                 bigint   NOT NULL,
    endpoint_changes      bigint   NOT NULL,
    suspicious            bigint   NOT NULL,
    score_sum             bigint   NOT NULL,
    PRIMARY KEY (chain_id, deployment, agent_id, begin_block, log_index)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX manifest_flip_current ON manifest_flip (chain_id, deployment, agent_id) WHERE end_block IS NULL;
CREATE INDEX manifest_flip_count ON manifest_flip (chain_id, flips, deployment, agent_id) WHERE end_block IS NULL;
CREATE INDEX manifest_flip_suspicious ON manifest_flip (chain_id, begin_block) WHERE score >= 70;
CREATE INDEX manifest_flip_begin ON manifest_flip (chain_id, begin_block);
CREATE INDEX manifest_flip_end ON manifest_flip (chain_id, end_block) WHERE end_block IS NOT NULL;
COMMENT ON TABLE manifest_flip IS 'Changes of on-chain manifests: one row for each transaction that told an agent''s URI (the endpoint), agentWallet (the key) or owner again. A row is a fact, and with its sums also a version of what the agent''s flips add up to: that holds from begin_block until end_block.';
COMMENT ON COLUMN manifest_flip.end_block IS 'The block of the agent''s next flip; NULL in the newest one. Of two flips in one block the first ends where it begins: its sums were never those of a block.';
COMMENT ON COLUMN manifest_flip.log_index IS 'The last event of the transaction that told the manifest; transaction_hash is that event''s.';
COMMENT ON COLUMN manifest_flip.time_delta IS 'Seconds since the manifest before.';
COMMENT ON COLUMN manifest_flip.previous_endpoint IS 'The endpoint before, where it changed; NULL where it is the same.';
COMMENT ON COLUMN manifest_flip.score IS 'Suspicion: 50 for another endpoint, 30 for another key, 20 within 60 seconds. 70 and more is suspicious.';
COMMENT ON COLUMN manifest_flip.flips IS 'The agent''s flips up to and with this one; rapid, endpoint_changes and suspicious count among them, score_sum adds their scores.';

CREATE OR REPLACE FUNCTION ensure_network_partitions(chain bigint) RETURNS void
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
    FOREACH parent IN ARRAY ARRAY['change', 'operator_approval', 'validation', 'validation_response', 'tag',
                                  'wallet_agent', 'policy', 'relayer', 'halt', 'intent_counter', 'intent', 'finding'] LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES IN (%s)',
            format('%s_%s', parent, chain), parent, chain);
    END LOOP;
    FOREACH parent IN ARRAY ARRAY['agent', 'agent_metadata', 'agent_total', 'agent_total_version',
                                  'registration_file', 'feedback', 'feedback_response',
                                  'standing', 'standing_version', 'manifest_flip'] LOOP
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
SELECT ensure_network_partitions(chain_id) FROM network;

CREATE VIEW analytics.manifest_flips AS
SELECT
    f.chain_id AS chain_id,
    n.name AS network,
    f.deployment AS deployment,
    f.agent_id AS agent_id,
    f.begin_block AS begin_block,
    f.log_index AS log_index,
    analytics.hex(f.transaction_hash) AS transaction_hash,
    f.end_block AS end_block,
    to_timestamp(f.created_at) AS changed_at,
    f.time_delta AS seconds_since,
    f.endpoint AS endpoint,
    f.previous_endpoint AS previous_endpoint,
    analytics.hex(f.pubkey) AS wallet,
    analytics.hex(f.previous_pubkey) AS previous_wallet,
    analytics.hex(f.owner) AS owner,
    analytics.hex(f.previous_owner) AS previous_owner,
    f.endpoint_changed AS endpoint_changed,
    f.pubkey_changed AS wallet_changed,
    f.owner_changed AS owner_changed,
    f.score AS score,
    f.score >= 70 AS is_suspicious,
    f.time_delta < 60 AS is_rapid,
    f.flips AS flips,
    f.suspicious AS suspicious_flips,
    round(f.score_sum::numeric / f.flips, 2) AS mean_score,
    coalesce(f.begin_block <= c.finalized_number, FALSE) AS is_final
FROM manifest_flip f JOIN network n USING (chain_id) JOIN cursor c USING (chain_id);
COMMENT ON VIEW analytics.manifest_flips IS 'Changes of agents'' manifests: one row for each transaction that told an agent''s URI, wallet or owner again. An agent''s first manifest is none.';
COMMENT ON COLUMN analytics.manifest_flips.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.manifest_flips.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.manifest_flips.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.manifest_flips.agent_id IS 'The agent''s number in its identity registry.';
COMMENT ON COLUMN analytics.manifest_flips.begin_block IS 'The block of the event that began the row.';
COMMENT ON COLUMN analytics.manifest_flips.log_index IS 'That event''s place in the block: the last of the transaction that told the manifest.';
COMMENT ON COLUMN analytics.manifest_flips.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it.';
COMMENT ON COLUMN analytics.manifest_flips.end_block IS 'The block of the agent''s next flip, until which the sums below hold; NULL while they do.';
COMMENT ON COLUMN analytics.manifest_flips.changed_at IS 'The time of the block.';
COMMENT ON COLUMN analytics.manifest_flips.seconds_since IS 'Seconds since the manifest before.';
COMMENT ON COLUMN analytics.manifest_flips.endpoint IS 'The agentURI since then, in its readable form.';
COMMENT ON COLUMN analytics.manifest_flips.previous_endpoint IS 'The agentURI before, where it changed; NULL where it is the same.';
COMMENT ON COLUMN analytics.manifest_flips.wallet IS 'The agentWallet since then; NULL when unset.';
COMMENT ON COLUMN analytics.manifest_flips.previous_wallet IS 'The agentWallet before; NULL when it was unset.';
COMMENT ON COLUMN analytics.manifest_flips.owner IS 'The owner since then; zeros once burned.';
COMMENT ON COLUMN analytics.manifest_flips.previous_owner IS 'The owner before.';
COMMENT ON COLUMN analytics.manifest_flips.endpoint_changed IS 'Whether the agentURI is another one.';
COMMENT ON COLUMN analytics.manifest_flips.wallet_changed IS 'Whether the agentWallet is another one, or gone.';
COMMENT ON COLUMN analytics.manifest_flips.owner_changed IS 'Whether the owner is another one; it does not score.';
COMMENT ON COLUMN analytics.manifest_flips.score IS 'Suspicion, 0 to 100: 50 for another endpoint, 30 for another wallet, 20 within 60 seconds.';
COMMENT ON COLUMN analytics.manifest_flips.is_suspicious IS 'Whether the score is at least 70.';
COMMENT ON COLUMN analytics.manifest_flips.is_rapid IS 'Whether it came within less than 60 seconds.';
COMMENT ON COLUMN analytics.manifest_flips.flips IS 'The agent''s flips up to and with this one.';
COMMENT ON COLUMN analytics.manifest_flips.suspicious_flips IS 'How many of these are suspicious.';
COMMENT ON COLUMN analytics.manifest_flips.mean_score IS 'Their mean score, to two decimal places.';
COMMENT ON COLUMN analytics.manifest_flips.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'meikan_reader') THEN
        GRANT SELECT ON analytics.manifest_flips TO meikan_reader;
    END IF;
END $$;
