-- What feedback says of an agent in each aspect, kept so that nobody adds up a million rows to answer a question.

ALTER TABLE feedback ADD COLUMN aspect bytea NOT NULL DEFAULT '\x';
COMMENT ON COLUMN feedback.aspect IS 'The first 16 bytes of keccak256 of the first tag: short and fixed, where a tag can be 100 kB long.';
CREATE INDEX feedback_stands ON feedback (chain_id, deployment, agent_id, aspect, value)
    WHERE end_block IS NULL AND revoked_block IS NULL;

CREATE TABLE tag (
    chain_id    bigint NOT NULL,
    aspect      bytea  NOT NULL,
    begin_block bigint NOT NULL,
    tag1        text   NOT NULL,
    tag1_raw    bytea,
    PRIMARY KEY (chain_id, aspect)
) PARTITION BY LIST (chain_id);
CREATE INDEX tag_begin ON tag (chain_id, begin_block);
COMMENT ON TABLE tag IS 'The first tags of a network''s feedback, from the block that told each first. One of which only the hash was told is not here.';

CREATE TABLE standing (
    chain_id      bigint   NOT NULL,
    deployment    smallint NOT NULL,
    agent_id      numeric  NOT NULL,
    aspect        bytea    NOT NULL,
    begin_block   bigint   NOT NULL,
    created_block bigint   NOT NULL,
    given         bigint   NOT NULL,
    revoked       bigint   NOT NULL,
    responses     bigint   NOT NULL,
    total         numeric(1000, 60) NOT NULL,
    counts        bigint[] NOT NULL,
    clients       bigint   NOT NULL,
    voices        numeric(1000, 60) NOT NULL,
    positive      bigint   NOT NULL,
    negative      bigint   NOT NULL,
    last_at       bigint   NOT NULL,
    active        bigint   NOT NULL GENERATED ALWAYS AS (given - revoked) STORED,
    average       numeric  GENERATED ALWAYS AS (CASE WHEN given > revoked
                      THEN div(total * 1e60, given - revoked) * 1e-60 END) STORED,
    voice_average numeric  GENERATED ALWAYS AS (CASE WHEN clients > 0 THEN div(voices * 1e60, clients) * 1e-60 END) STORED,
    score         numeric  GENERATED ALWAYS AS (CASE
                      WHEN aspect = '\x01' AND given - revoked < 10 THEN total * 0.1 + 5 * (10 - (given - revoked))
                      WHEN given > revoked THEN div(total * 1e60, given - revoked) * 1e-60 END) STORED,
    PRIMARY KEY (chain_id, deployment, agent_id, aspect)
) PARTITION BY LIST (chain_id);
CREATE INDEX standing_begin ON standing (chain_id, begin_block);
-- Leaderboards: of one aspect, from the best down, whoever has feedback that stands.
CREATE INDEX standing_score ON standing (chain_id, aspect, score, deployment, agent_id)
    WHERE aspect <> '' AND given > revoked;
CREATE INDEX standing_active ON standing (chain_id, aspect, active, deployment, agent_id)
    WHERE aspect <> '' AND given > revoked;
CREATE INDEX standing_clients ON standing (chain_id, aspect, clients, deployment, agent_id)
    WHERE aspect <> '' AND given > revoked;
CREATE INDEX standing_average ON standing (chain_id, aspect, average, deployment, agent_id)
    WHERE aspect = '\x01' AND given > revoked;
CREATE INDEX standing_voices ON standing (chain_id, aspect, voice_average, deployment, agent_id)
    WHERE aspect <> '' AND given > revoked;
CREATE INDEX standing_last ON standing (chain_id, aspect, last_at, deployment, agent_id)
    WHERE aspect <> '' AND given > revoked;
COMMENT ON TABLE standing IS 'What the feedback about an agent sums up to in each aspect: all of it, its ratings, each first tag. Kept in the ingest transaction; begin_block is the block of the last change.';
COMMENT ON COLUMN standing.aspect IS 'Empty: all feedback; \x01: ratings (first tag empty or starred, value from 0 to 100); else feedback.aspect of one tag.';
COMMENT ON COLUMN standing.created_block IS 'The block in which the aspect was first spoken of.';
COMMENT ON COLUMN standing.given IS 'Feedback that holds, revoked or not.';
COMMENT ON COLUMN standing.responses IS 'Responses, in the aspects of the feedback that each found; one that found none counts among all only.';
COMMENT ON COLUMN standing.total IS 'The sum of the values that stand (given and not revoked), each cut toward zero at 60 decimal places.';
COMMENT ON COLUMN standing.counts IS 'How many of those have 0, 1, 2 … decimal places; getSummary answers in the most frequent.';
COMMENT ON COLUMN standing.clients IS 'Clients with feedback that stands.';
COMMENT ON COLUMN standing.voices IS 'The sum of those clients'' averages, each cut toward zero at 60 decimal places: one voice each.';
COMMENT ON COLUMN standing.positive IS 'Ratings that stand of at least 80.';
COMMENT ON COLUMN standing.negative IS 'Ratings that stand below 50.';
COMMENT ON COLUMN standing.last_at IS 'When feedback was last given, in seconds since 1970; 0 while there are only responses.';
COMMENT ON COLUMN standing.score IS 'The average; of ratings drawn toward 50 while there are fewer than ten.';

CREATE TABLE standing_version (
    chain_id      bigint   NOT NULL,
    deployment    smallint NOT NULL,
    agent_id      numeric  NOT NULL,
    aspect        bytea    NOT NULL,
    begin_block   bigint   NOT NULL,
    end_block     bigint   NOT NULL,
    created_block bigint   NOT NULL,
    given         bigint   NOT NULL,
    revoked       bigint   NOT NULL,
    responses     bigint   NOT NULL,
    total         numeric(1000, 60) NOT NULL,
    counts        bigint[] NOT NULL,
    clients       bigint   NOT NULL,
    voices        numeric(1000, 60) NOT NULL,
    positive      bigint   NOT NULL,
    negative      bigint   NOT NULL,
    last_at       bigint   NOT NULL,
    PRIMARY KEY (chain_id, deployment, agent_id, aspect, begin_block)
) PARTITION BY LIST (chain_id);
CREATE INDEX standing_version_end ON standing_version (chain_id, end_block);
COMMENT ON TABLE standing_version IS 'Superseded standings above finality, so that a rewind restores them without counting again; pruned as finality rises.';

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
    FOREACH parent IN ARRAY ARRAY['change', 'operator_approval', 'validation', 'validation_response', 'tag'] LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES IN (%s)',
            format('%s_%s', parent, chain), parent, chain);
    END LOOP;
    FOREACH parent IN ARRAY ARRAY['agent', 'agent_metadata', 'agent_total', 'agent_total_version',
                                  'registration_file', 'feedback', 'feedback_response',
                                  'standing', 'standing_version'] LOOP
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

CREATE VIEW analytics.reputation AS
SELECT
    a.chain_id AS chain_id,
    n.name AS network,
    a.deployment AS deployment,
    a.agent_id AS agent_id,
    coalesce(s.given, 0) AS given,
    coalesce(s.revoked, 0) AS revoked,
    coalesce(s.active, 0) AS active,
    coalesce(s.responses, 0) AS responses,
    coalesce(s.clients, 0) AS clients,
    to_timestamp(nullif(s.last_at, 0)) AS last_at,
    coalesce(r.active, 0) AS ratings,
    coalesce(r.clients, 0) AS raters,
    trim_scale(r.average) AS mean,
    trim_scale(r.voice_average) AS mean_per_client,
    coalesce(r.positive, 0) AS positive,
    coalesce(r.negative, 0) AS negative,
    coalesce(trim_scale(r.score), 50) AS confidence_score
FROM agent a JOIN network n USING (chain_id)
LEFT JOIN standing s ON s.chain_id = a.chain_id AND s.deployment = a.deployment AND s.agent_id = a.agent_id
    AND s.aspect = ''
LEFT JOIN standing r ON r.chain_id = a.chain_id AND r.deployment = a.deployment AND r.agent_id = a.agent_id
    AND r.aspect = '\x01'
WHERE a.end_block IS NULL;
COMMENT ON VIEW analytics.reputation IS 'What the feedback about each agent sums up to; grades are of its ratings only: first tag empty or starred, value from 0 to 100.';
COMMENT ON COLUMN analytics.reputation.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.reputation.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.reputation.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.reputation.agent_id IS 'The agent''s number in its identity registry.';
COMMENT ON COLUMN analytics.reputation.given IS 'Feedback of any kind, revoked or not.';
COMMENT ON COLUMN analytics.reputation.revoked IS 'How much of it was revoked.';
COMMENT ON COLUMN analytics.reputation.active IS 'How much of it stands.';
COMMENT ON COLUMN analytics.reputation.responses IS 'Responses to it.';
COMMENT ON COLUMN analytics.reputation.clients IS 'Distinct clients whose feedback of any kind stands.';
COMMENT ON COLUMN analytics.reputation.last_at IS 'When feedback was last given; NULL when there never was any.';
COMMENT ON COLUMN analytics.reputation.ratings IS 'Ratings that stand.';
COMMENT ON COLUMN analytics.reputation.raters IS 'Distinct clients who gave them.';
COMMENT ON COLUMN analytics.reputation.mean IS 'Mean of the ratings, 0 to 100; NULL while there are none.';
COMMENT ON COLUMN analytics.reputation.mean_per_client IS 'Mean of the clients'' means, one voice each; NULL while there are none.';
COMMENT ON COLUMN analytics.reputation.positive IS 'Ratings of at least 80.';
COMMENT ON COLUMN analytics.reputation.negative IS 'Ratings below 50.';
COMMENT ON COLUMN analytics.reputation.confidence_score IS 'The mean, drawn toward 50 while there are fewer than ten ratings; 50 while there are none.';

CREATE VIEW analytics.tag_reputation AS
SELECT
    s.chain_id AS chain_id,
    n.name AS network,
    s.deployment AS deployment,
    s.agent_id AS agent_id,
    t.tag1 AS tag1,
    analytics.hex(s.aspect) AS tag1_hash,
    s.given AS given,
    s.revoked AS revoked,
    s.active AS active,
    s.responses AS responses,
    s.clients AS clients,
    to_timestamp(s.last_at) AS last_at,
    trim_scale(s.average) AS mean,
    trim_scale(s.voice_average) AS mean_per_client
FROM standing s JOIN network n USING (chain_id) LEFT JOIN tag t USING (chain_id, aspect)
WHERE length(s.aspect) = 16;
COMMENT ON VIEW analytics.tag_reputation IS 'What the feedback about each agent sums up to under each first tag. Values of different tags are of different scales.';
COMMENT ON COLUMN analytics.tag_reputation.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.tag_reputation.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.tag_reputation.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.tag_reputation.agent_id IS 'The agent''s number in its identity registry.';
COMMENT ON COLUMN analytics.tag_reputation.tag1 IS 'The first tag, in its readable form; NULL while only its hash was told.';
COMMENT ON COLUMN analytics.tag_reputation.tag1_hash IS 'The first 16 bytes of keccak256 of the first tag.';
COMMENT ON COLUMN analytics.tag_reputation.given IS 'Feedback with the tag, revoked or not.';
COMMENT ON COLUMN analytics.tag_reputation.revoked IS 'How much of it was revoked.';
COMMENT ON COLUMN analytics.tag_reputation.active IS 'How much of it stands.';
COMMENT ON COLUMN analytics.tag_reputation.responses IS 'Responses to it.';
COMMENT ON COLUMN analytics.tag_reputation.clients IS 'Distinct clients whose feedback with the tag stands.';
COMMENT ON COLUMN analytics.tag_reputation.last_at IS 'When feedback with the tag was last given.';
COMMENT ON COLUMN analytics.tag_reputation.mean IS 'Mean of the values that stand; NULL where none does.';
COMMENT ON COLUMN analytics.tag_reputation.mean_per_client IS 'Mean of the clients'' means, one voice each; NULL where none stands.';

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'meikan_reader') THEN
        GRANT SELECT ON analytics.reputation, analytics.tag_reputation TO meikan_reader;
    END IF;
END $$;
