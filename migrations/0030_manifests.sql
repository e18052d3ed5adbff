-- Manifests that agents sign, what changes between them, and receipts of requests that are passed on.

CREATE TABLE endpoint_manifest (
    chain_id    bigint   NOT NULL,
    deployment  smallint NOT NULL,
    agent_id    numeric  NOT NULL,
    nonce       numeric  NOT NULL,
    is_current  boolean  NOT NULL,
    digest      bytea    NOT NULL,
    signer      bytea    NOT NULL,
    owner       bytea    NOT NULL,
    endpoint    text     NOT NULL,
    pubkey      text     NOT NULL,
    valid_from  bigint   NOT NULL,
    valid_until bigint   NOT NULL CHECK (valid_until > valid_from),
    received_at bigint   NOT NULL,
    revoked_at  bigint,
    revocation  bytea,
    PRIMARY KEY (chain_id, deployment, agent_id, nonce)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX endpoint_manifest_current ON endpoint_manifest (chain_id, deployment, agent_id) WHERE is_current;
CREATE UNIQUE INDEX endpoint_manifest_digest ON endpoint_manifest (chain_id, digest);
COMMENT ON TABLE endpoint_manifest IS 'Manifests that were handed in: where an agent is for a while, and by which key. None is ever deleted.';
COMMENT ON COLUMN endpoint_manifest.is_current IS 'Whether no manifest of a higher nonce took its place; it may be over or revoked all the same.';
COMMENT ON COLUMN endpoint_manifest.owner IS 'The agent''s owner when it was handed in.';
COMMENT ON COLUMN endpoint_manifest.valid_until IS 'Until when it holds, in seconds since 1970, that second included; valid_from likewise.';
COMMENT ON COLUMN endpoint_manifest.revoked_at IS 'When it was revoked, by this node''s clock; revocation is that document''s digest.';

CREATE TABLE signed_flip (
    chain_id          bigint   NOT NULL,
    deployment        smallint NOT NULL,
    agent_id          numeric  NOT NULL,
    flips             bigint   NOT NULL,
    begin_block       bigint   NOT NULL,
    end_block         bigint,
    created_at        bigint   NOT NULL,
    time_delta        bigint   NOT NULL,
    endpoint          text     NOT NULL,
    previous_endpoint text,
    pubkey            text     NOT NULL,
    previous_pubkey   text     NOT NULL,
    owner             bytea    NOT NULL,
    previous_owner    bytea    NOT NULL,
    endpoint_changed  boolean  NOT NULL,
    pubkey_changed    boolean  NOT NULL,
    owner_changed     boolean  NOT NULL,
    score             smallint NOT NULL,
    rapid             bigint   NOT NULL,
    endpoint_changes  bigint   NOT NULL,
    suspicious        bigint   NOT NULL,
    score_sum         bigint   NOT NULL,
    digest            bytea    NOT NULL,
    PRIMARY KEY (chain_id, deployment, agent_id, flips)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX signed_flip_current ON signed_flip (chain_id, deployment, agent_id) WHERE end_block IS NULL;
COMMENT ON TABLE signed_flip IS 'Manifests that took the place of an earlier one, of those that were handed in: the same as manifest_flip, of documents.';
COMMENT ON COLUMN signed_flip.begin_block IS 'The newest indexed block when the manifest was handed in; end_block is that of the agent''s next flip.';
COMMENT ON COLUMN signed_flip.time_delta IS 'Seconds since the manifest before was handed in, by this node''s clock, as created_at is.';
COMMENT ON COLUMN signed_flip.digest IS 'The manifest''s digest.';

CREATE TABLE forward_receipt (
    chain_id      bigint   NOT NULL,
    digest        bytea    NOT NULL,
    root_tx_hash  bytea    NOT NULL,
    hop           smallint NOT NULL CHECK (hop BETWEEN 0 AND 10),
    deployment    smallint NOT NULL,
    source        numeric  NOT NULL,
    destination   numeric  NOT NULL,
    manifest      bytea    NOT NULL,
    next_hop_hash bytea    NOT NULL,
    previous      bytea,
    signer        bytea    NOT NULL,
    received_at   bigint   NOT NULL,
    PRIMARY KEY (chain_id, digest)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX forward_receipt_step
    ON forward_receipt (chain_id, root_tx_hash, deployment, hop, source, destination);
CREATE INDEX forward_receipt_destination ON forward_receipt (chain_id, deployment, destination, digest);
COMMENT ON TABLE forward_receipt IS 'That agents took over requests from others, signed by those who took over.';
COMMENT ON COLUMN forward_receipt.previous IS 'The receipt of the hop before, by which the source had the request; NULL at the first hop.';

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
                                  'agent_card', 'offchain_validation', 'offchain_validation_response',
                                  'endpoint_manifest', 'signed_flip', 'forward_receipt'] LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES IN (%s)',
            format('%s_%s', parent, chain), parent, chain);
    END LOOP;
END $$;
SELECT ensure_network_partitions(chain_id) FROM network;
