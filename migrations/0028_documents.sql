-- Signed documents: kept for ever, whatever becomes of the chain, and joined to it when they are read.

CREATE TABLE document (
    chain_id      bigint      NOT NULL,
    digest        bytea       NOT NULL CHECK (length(digest) = 32),
    kind          text        NOT NULL,
    signer        bytea       NOT NULL CHECK (length(signer) = 20),
    nonce         numeric     NOT NULL,
    body          text        NOT NULL,
    signature     bytea       NOT NULL,
    checked_block bigint      NOT NULL,
    received_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain_id, digest)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX document_nonce ON document (chain_id, signer, kind, nonce);
COMMENT ON TABLE document IS 'Signed documents of every kind as they were handed in. A row is never changed and never deleted.';
COMMENT ON COLUMN document.digest IS 'What the document is called: of typed data the hash that is signed (EIP-712), of a text its SHA-256.';
COMMENT ON COLUMN document.nonce IS 'Used once by the signer for documents of the kind.';
COMMENT ON COLUMN document.checked_block IS 'The newest indexed block as of which the signer''s right was checked.';

CREATE TABLE served_file (
    sha256     bytea       PRIMARY KEY CHECK (length(sha256) = 32),
    content    text        NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE served_file IS 'Files made of documents, as they are served by the name of their content (CIDv1, raw, SHA-256).';

CREATE TABLE offchain_feedback (
    chain_id       bigint   NOT NULL,
    original       bytea    NOT NULL,
    version        integer  NOT NULL CHECK (version > 0),
    digest         bytea    NOT NULL,
    is_current     boolean  NOT NULL,
    deployment     smallint NOT NULL,
    agent_id       numeric  NOT NULL,
    client         bytea    NOT NULL,
    value          numeric  NOT NULL,
    value_raw      numeric  NOT NULL,
    value_decimals smallint NOT NULL,
    tag1           text     NOT NULL,
    tag2           text     NOT NULL,
    endpoint       text     NOT NULL,
    content        jsonb    NOT NULL,
    file_hash      bytea    NOT NULL,
    file_sha256    bytea    NOT NULL,
    cid            text     NOT NULL,
    created_at     bigint   NOT NULL,
    received_at    bigint   NOT NULL,
    revoked_at     bigint,
    revocation     bytea,
    PRIMARY KEY (chain_id, original, version)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX offchain_feedback_current ON offchain_feedback (chain_id, original) WHERE is_current;
CREATE INDEX offchain_feedback_agent ON offchain_feedback (chain_id, deployment, agent_id, original) WHERE is_current;
CREATE INDEX offchain_feedback_client ON offchain_feedback (chain_id, client, original) WHERE is_current;
CREATE INDEX offchain_feedback_received ON offchain_feedback (chain_id, received_at) WHERE is_current;
COMMENT ON TABLE offchain_feedback IS 'Feedback that was handed in with a signature: one row for each version, none of which is ever deleted.';
COMMENT ON COLUMN offchain_feedback.original IS 'The digest of the document that gave it first; digest is that of this version.';
COMMENT ON COLUMN offchain_feedback.content IS 'The standard''s feedback file, without what is empty.';
COMMENT ON COLUMN offchain_feedback.file_hash IS 'Keccak-256 of the file: on the chain the feedbackHash of the same feedback.';
COMMENT ON COLUMN offchain_feedback.created_at IS 'When it was given, in seconds since 1970, as the client says; received_at is by this node''s clock.';
COMMENT ON COLUMN offchain_feedback.revoked_at IS 'When the client revoked it, by this node''s clock; revocation is that document''s digest.';

CREATE TABLE write_audit (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         timestamptz NOT NULL DEFAULT now(),
    kind       text        NOT NULL,
    chain_id   bigint,
    signer     text        NOT NULL,
    digest     bytea,
    outcome    text        NOT NULL,
    reason     text        NOT NULL,
    request_id text        NOT NULL,
    sender     text        NOT NULL
);
CREATE INDEX write_audit_at ON write_audit (at);
CREATE INDEX write_audit_signer ON write_audit (signer, at);
COMMENT ON TABLE write_audit IS 'Every document that was handed in: who wanted to write what, and why it was refused. It holds no signature and no key.';
COMMENT ON COLUMN write_audit.signer IS 'As it was named; nobody has proved it where the outcome is a refusal.';
COMMENT ON COLUMN write_audit.digest IS 'The document''s digest; NULL where it could not be read.';
COMMENT ON COLUMN write_audit.outcome IS 'ACCEPTED, REPEATED (the same document came before), or the code of the refusal.';
COMMENT ON COLUMN write_audit.sender IS 'The address that the request came from; empty where it is not known.';

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
                                  'ranking_version', 'manifest_flip', 'document', 'offchain_feedback'] LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES IN (%s)',
            format('%s_%s', parent, chain), parent, chain);
    END LOOP;
END $$;
SELECT ensure_network_partitions(chain_id) FROM network;
