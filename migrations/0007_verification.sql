-- What an audit has shown: up to where what is stored was held against the chain, how well, and what did not agree.

CREATE TABLE verification (
    chain_id        bigint PRIMARY KEY REFERENCES network,
    verified_number bigint,
    verified_hash   bytea,
    method          text CHECK (method IN ('LOGS_AGAIN', 'BLOOM', 'RECEIPTS_ROOT')),
    rewinds         bigint NOT NULL DEFAULT 0,
    audited_at      timestamptz,
    CHECK ((verified_number IS NULL) = (method IS NULL))
);
COMMENT ON TABLE verification IS 'How far each network was audited: an observation, no part of the data; a rewind below lowers it in the same transaction.';
COMMENT ON COLUMN verification.verified_number IS 'The newest final block up to which everything was verified; NULL before the first.';
COMMENT ON COLUMN verification.verified_hash IS 'Its hash as the chain showed it; NULL where that is not known.';
COMMENT ON COLUMN verification.method IS 'The weakest method used on the way: LOGS_AGAIN < BLOOM < RECEIPTS_ROOT.';
COMMENT ON COLUMN verification.rewinds IS 'Counts rewinds: what an audit saw before one is not recorded after it.';

CREATE TABLE verification_finding (
    chain_id    bigint NOT NULL REFERENCES network,
    finding_id  bigint GENERATED ALWAYS AS IDENTITY,
    kind        text   NOT NULL,
    from_block  bigint NOT NULL,
    to_block    bigint NOT NULL CHECK (to_block >= from_block),
    description text   NOT NULL,
    method      text   NOT NULL,
    found_at    timestamptz NOT NULL DEFAULT now(),
    repaired_at timestamptz,
    PRIMARY KEY (chain_id, finding_id)
);
CREATE UNIQUE INDEX verification_finding_open ON verification_finding (chain_id, kind, from_block, to_block, md5(description))
    WHERE repaired_at IS NULL;
CREATE INDEX verification_finding_block ON verification_finding (chain_id, from_block) WHERE repaired_at IS NULL;
COMMENT ON TABLE verification_finding IS 'What did not agree with the chain: open until the blocks were found to agree again. It survives rewinds.';
COMMENT ON COLUMN verification_finding.description IS 'What is stored, what the chain shows, and who says so.';
COMMENT ON COLUMN verification_finding.method IS 'How it was shown.';
