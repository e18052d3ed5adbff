-- Payments that are linked to agents, circles that are reported, pins of files, and flips of documents for
-- analysts.

CREATE TABLE payment_link (
    chain_id      bigint   NOT NULL,
    digest        bytea    NOT NULL,
    deployment    smallint NOT NULL,
    agent_id      numeric  NOT NULL,
    tx_hash       bytea    NOT NULL,
    token         bytea    NOT NULL,
    recipient     bytea    NOT NULL,
    amount        numeric  NOT NULL CHECK (amount > 0),
    ordinal       smallint NOT NULL,
    payer         bytea    NOT NULL,
    means         text     NOT NULL CHECK (means IN ('COIN', 'TRANSFER', 'AUTHORIZATION')),
    authorization_nonce bytea,
    endpoint      text     NOT NULL,
    status        text     NOT NULL CHECK (status IN ('CONFIRMED', 'FAILED', 'DROPPED')),
    begin_block   bigint   NOT NULL,
    block_hash    bytea    NOT NULL,
    paid_at       bigint   NOT NULL,
    log_index     integer,
    signer        bytea    NOT NULL,
    received_at   bigint   NOT NULL,
    is_settled    boolean  NOT NULL DEFAULT FALSE,
    looked_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain_id, digest)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX payment_link_payment ON payment_link (chain_id, tx_hash, token, recipient, amount, ordinal);
CREATE INDEX payment_link_agent ON payment_link (chain_id, deployment, agent_id, digest);
CREATE INDEX payment_link_payer ON payment_link (chain_id, payer, digest);
CREATE INDEX payment_link_open ON payment_link (chain_id, looked_at) WHERE NOT is_settled;
COMMENT ON TABLE payment_link IS 'Payments that were linked to agents by documents, as the chain had them when it was last asked. None is ever deleted.';
COMMENT ON COLUMN payment_link.token IS 'The token (ERC-20) that was paid with; zeros: the chain''s own coin. amount is in its smallest unit.';
COMMENT ON COLUMN payment_link.recipient IS 'Who was paid: the agent''s wallet as of the payment''s block.';
COMMENT ON COLUMN payment_link.ordinal IS 'Which of the transaction''s payments of the same amount to the same account it is, from 0.';
COMMENT ON COLUMN payment_link.payer IS 'Who paid; of a failed payment, who sent the transaction.';
COMMENT ON COLUMN payment_link.status IS 'CONFIRMED, FAILED (the transaction was undone), or DROPPED (the chain has it no more, or without the payment).';
COMMENT ON COLUMN payment_link.begin_block IS 'The block of the payment, block_hash its hash, paid_at its time; log_index the place of its log in that block.';
COMMENT ON COLUMN payment_link.is_settled IS 'Whether the chain is asked no more: the block is final, or the transaction was missing for a day.';
COMMENT ON COLUMN payment_link.looked_at IS 'When the chain was asked last.';

CREATE TABLE cycle_report (
    chain_id     bigint   NOT NULL,
    digest       bytea    NOT NULL,
    root_tx_hash bytea    NOT NULL,
    deployment   smallint NOT NULL,
    hop          smallint NOT NULL CHECK (hop BETWEEN 0 AND 10),
    agents       numeric[] NOT NULL,
    receipt_signer bytea  NOT NULL,
    signer       bytea    NOT NULL,
    begin_block  bigint   NOT NULL,
    received_at  bigint   NOT NULL,
    PRIMARY KEY (chain_id, digest)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX cycle_report_circle ON cycle_report (chain_id, root_tx_hash, deployment, hop, agents);
COMMENT ON TABLE cycle_report IS 'Circles that requests went in, each shown by the receipt that closes it. None is ever deleted.';
COMMENT ON COLUMN cycle_report.agents IS 'The agents of the circle, in the order of the path, beginning with the one that it leads back to.';
COMMENT ON COLUMN cycle_report.hop IS 'The hop of the receipt that closes the circle, signed by receipt_signer; the receipt stands in the report''s document.';
COMMENT ON COLUMN cycle_report.begin_block IS 'The newest indexed block when it was handed in.';

CREATE TABLE cycle_agent (
    chain_id    bigint   NOT NULL,
    deployment  smallint NOT NULL,
    agent_id    numeric  NOT NULL,
    digest      bytea    NOT NULL,
    begin_block bigint   NOT NULL,
    PRIMARY KEY (chain_id, deployment, agent_id, digest)
) PARTITION BY LIST (chain_id);
COMMENT ON TABLE cycle_agent IS 'The agents of each circle that was reported; digest and begin_block are the report''s.';

ALTER TABLE served_file
    ADD COLUMN pin_request    text,
    ADD COLUMN pin_claims     integer NOT NULL DEFAULT 0,
    ADD COLUMN pin_claimed_at timestamptz,
    ADD COLUMN pinned_at      timestamptz;
CREATE INDEX served_file_unpinned ON served_file (pin_claimed_at NULLS FIRST) WHERE pinned_at IS NULL;
COMMENT ON COLUMN served_file.pin_request IS 'The pinning service''s name of the request to pin the file; NULL while there is none.';
COMMENT ON COLUMN served_file.pin_claims IS 'How often a node set about it since then, pin_claimed_at when it did last.';
COMMENT ON COLUMN served_file.pinned_at IS 'When the pinning service said that it holds the file; NULL until then.';

-- Flips of documents stand beside those of the chain.
CREATE OR REPLACE VIEW analytics.manifest_flips AS
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
    f.pubkey AS wallet,
    f.previous_pubkey AS previous_wallet,
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
    coalesce(f.begin_block <= c.finalized_number, FALSE) AS is_final,
    f.source AS source,
    analytics.hex(f.digest) AS digest
FROM (
    SELECT m.chain_id, m.deployment, m.agent_id, m.begin_block, m.log_index, m.transaction_hash, m.end_block, m.created_at,
        m.time_delta, m.endpoint, m.previous_endpoint, analytics.hex(m.pubkey) AS pubkey,
        analytics.hex(m.previous_pubkey) AS previous_pubkey, m.owner, m.previous_owner, m.endpoint_changed,
        m.pubkey_changed, m.owner_changed, m.score, m.flips, m.suspicious, m.score_sum, 'ONCHAIN' AS source,
        NULL::bytea AS digest
    FROM manifest_flip m
    UNION ALL
    SELECT s.chain_id, s.deployment, s.agent_id, s.begin_block, NULL, NULL, s.end_block, s.created_at,
        s.time_delta, s.endpoint, s.previous_endpoint, s.pubkey, s.previous_pubkey, s.owner, s.previous_owner,
        s.endpoint_changed, s.pubkey_changed, s.owner_changed, s.score, s.flips, s.suspicious, s.score_sum, 'SIGNED',
        s.digest
    FROM signed_flip s
) f JOIN network n USING (chain_id) JOIN cursor c USING (chain_id);
COMMENT ON VIEW analytics.manifest_flips IS 'Changes of agents'' manifests: one row for each transaction that told an agent''s URI, wallet or owner again, and for each signed manifest that took the place of one. An agent''s first manifest is none. Do not add up the two sources.';
COMMENT ON COLUMN analytics.manifest_flips.begin_block IS 'The block of the event that began the row; of documents the newest block when it came.';
COMMENT ON COLUMN analytics.manifest_flips.log_index IS 'That event''s place in the block: the last of the transaction that told the manifest; NULL of documents.';
COMMENT ON COLUMN analytics.manifest_flips.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it, NULL of documents.';
COMMENT ON COLUMN analytics.manifest_flips.changed_at IS 'The time of the block; of documents when they came.';
COMMENT ON COLUMN analytics.manifest_flips.endpoint IS 'The endpoint since then: on the chain the agentURI, in its readable form.';
COMMENT ON COLUMN analytics.manifest_flips.previous_endpoint IS 'The endpoint before, where it changed; NULL where it is the same.';
COMMENT ON COLUMN analytics.manifest_flips.wallet IS 'The key since then: on the chain the agentWallet, NULL when unset; of documents their pubkey.';
COMMENT ON COLUMN analytics.manifest_flips.previous_wallet IS 'The key before; NULL when there was none.';
COMMENT ON COLUMN analytics.manifest_flips.endpoint_changed IS 'Whether the endpoint is another one.';
COMMENT ON COLUMN analytics.manifest_flips.wallet_changed IS 'Whether the key is another one, or gone.';
COMMENT ON COLUMN analytics.manifest_flips.flips IS 'The agent''s flips of the same source up to and with this one.';
COMMENT ON COLUMN analytics.manifest_flips.source IS 'Where the manifests come from: ONCHAIN, the identity registry, or SIGNED, documents of the agent''s owner or wallet.';
COMMENT ON COLUMN analytics.manifest_flips.digest IS 'The document''s digest; NULL of what is on the chain.';

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
                                  'endpoint_manifest', 'signed_flip', 'forward_receipt', 'payment_link',
                                  'cycle_report', 'cycle_agent'] LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES IN (%s)',
            format('%s_%s', parent, chain), parent, chain);
    END LOOP;
END $$;
SELECT ensure_network_partitions(chain_id) FROM network;
