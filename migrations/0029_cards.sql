-- Cards that agents publish, and validations that are asked for and answered without a transaction.

CREATE TABLE agent_card (
    chain_id    bigint   NOT NULL,
    deployment  smallint NOT NULL,
    agent_id    numeric  NOT NULL,
    version     integer  NOT NULL CHECK (version > 0),
    is_current  boolean  NOT NULL,
    digest      bytea    NOT NULL,
    signer      bytea    NOT NULL,
    name        text     NOT NULL,
    description text     NOT NULL,
    own_version text     NOT NULL,
    url         text     NOT NULL,
    card_hash   bytea    NOT NULL,
    file_sha256 bytea    NOT NULL,
    cid         text     NOT NULL,
    received_at bigint   NOT NULL,
    PRIMARY KEY (chain_id, deployment, agent_id, version)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX agent_card_current ON agent_card (chain_id, deployment, agent_id) WHERE is_current;
CREATE UNIQUE INDEX agent_card_digest ON agent_card (chain_id, digest);
COMMENT ON TABLE agent_card IS 'Agent cards (A2A) that were handed in: one row for each version, none of which is ever deleted.';
COMMENT ON COLUMN agent_card.own_version IS 'The version that the card names for the agent; version counts the cards.';
COMMENT ON COLUMN agent_card.url IS 'The first interface, which A2A prefers.';
COMMENT ON COLUMN agent_card.card_hash IS 'Keccak-256 of the card in its canonical form (RFC 8785): what was signed.';

CREATE TABLE offchain_validation (
    chain_id    bigint   NOT NULL,
    digest      bytea    NOT NULL,
    deployment  smallint NOT NULL,
    agent_id    numeric  NOT NULL,
    requester   bytea    NOT NULL,
    validator   bytea    NOT NULL,
    data_hash   bytea    NOT NULL,
    data_uri    text     NOT NULL,
    expires_at  bigint   NOT NULL,
    received_at bigint   NOT NULL,
    answers     integer  NOT NULL DEFAULT 0,
    PRIMARY KEY (chain_id, digest)
) PARTITION BY LIST (chain_id);
CREATE INDEX offchain_validation_agent ON offchain_validation (chain_id, deployment, agent_id, digest);
CREATE INDEX offchain_validation_validator ON offchain_validation (chain_id, validator, digest);
COMMENT ON TABLE offchain_validation IS 'Requests to validators that were handed in.';
COMMENT ON COLUMN offchain_validation.expires_at IS 'Until when it can be answered, in seconds since 1970, that second included.';
COMMENT ON COLUMN offchain_validation.answers IS 'How many answers the validator has given; the last one counts.';

CREATE TABLE offchain_validation_response (
    chain_id      bigint   NOT NULL,
    request       bytea    NOT NULL,
    ordinal       integer  NOT NULL CHECK (ordinal > 0),
    digest        bytea    NOT NULL,
    response      smallint NOT NULL CHECK (response BETWEEN 0 AND 100),
    response_uri  text     NOT NULL,
    response_hash bytea    NOT NULL,
    tag           text     NOT NULL,
    received_at   bigint   NOT NULL,
    PRIMARY KEY (chain_id, request, ordinal)
) PARTITION BY LIST (chain_id);
COMMENT ON TABLE offchain_validation_response IS 'Answers of validators to requests that were handed in, in their order.';

CREATE OR REPLACE FUNCTION ensure_network_partitions(chain bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['block', 'raw_logs', 'undecoded_log', 'audit_event'] LOOP
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES IN (%s) PARTITION BY RANGE (%I)',
            format('%s_%s', parent, chain), parent, chain,
            CASE parent WHEN 'block' THEN 'number' WHEN 'raw_logs' THEN 'from_block' ELSE 'begin_block' END);
    END LOOP;
    FOREACH parent IN ARRAY ARRAY['change', 'operator_approval', 'validation', 'validation_response', 'tag',
                                  'wallet_agent', 'policy', 'relayer', 'halt', 'intent_counter', 'intent', 'finding',
                                  'protocol_hour', 'agent', 'agent_metadata', 'agent_total', 'agent_total_version',
                                  'registration_file', 'feedback', 'feedback_response', 'standing', 'standing_version',
                                  'ranking_version', 'manifest_flip', 'document', 'offchain_feedback',
                                  'agent_card', 'offchain_validation', 'offchain_validation_response'] LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES IN (%s)',
            format('%s_%s', parent, chain), parent, chain);
    END LOOP;
END $$;
SELECT ensure_network_partitions(chain_id) FROM network;
