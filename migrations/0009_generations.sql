-- Feedback of the registries' earlier generations: a first tag of which only the hash is known, and what the configuration
-- says of an address whose logs do not tell their generation.

ALTER TABLE feedback ADD COLUMN tag1_hash bytea CHECK (length(tag1_hash) = 32);
COMMENT ON COLUMN feedback.tag1_hash IS 'keccak256 of the first tag where the event tells no more of it and it is no known one; tag1 is empty then.';
CREATE INDEX feedback_tag1_hash ON feedback (chain_id, tag1_hash) WHERE tag1_hash IS NOT NULL;

ALTER TABLE contract ADD COLUMN generation text;
COMMENT ON COLUMN contract.generation IS 'The generation that the configuration names for the address; NULL where its logs tell.';
