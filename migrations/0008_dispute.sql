-- Disputes between endpoints about logs: observations, which survive rewinds.

CREATE TABLE dispute (
    chain_id    bigint      NOT NULL REFERENCES network,
    dispute_id  bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    identity    bytea       NOT NULL CHECK (length(identity) = 32),
    from_block  bigint      NOT NULL,
    to_block    bigint      NOT NULL,
    endpoints   text[]      NOT NULL,
    log_counts  bigint[]    NOT NULL CHECK (cardinality(log_counts) = cardinality(endpoints)),
    wrong       text[]      NOT NULL,
    difference  text        NOT NULL,
    settlement  text        NOT NULL CHECK (settlement IN ('RECEIPTS', 'BLOOM', 'MAJORITY', 'UNSETTLED')),
    times       bigint      NOT NULL DEFAULT 1,
    first_at    timestamptz NOT NULL DEFAULT now(),
    last_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chain_id, dispute_id),
    UNIQUE (chain_id, identity)
);
COMMENT ON TABLE dispute IS 'What endpoints of a network told differently about the same blocks, and how it was settled. The same dispute again only raises times; of each network the newest 10,000 are kept.';
COMMENT ON COLUMN dispute.identity IS 'keccak256 of all that makes two disputes the same.';
COMMENT ON COLUMN dispute.wrong IS 'The endpoints whose word was not taken; none while nothing is settled.';
