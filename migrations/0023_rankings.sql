-- The places that agents had in leaderboards, so that a page as of an earlier block is read in its order, as the newest one is,
-- and nobody ranks all agents to find the first hundred.

CREATE TABLE ranking_version (
    chain_id    bigint   NOT NULL,
    deployment  smallint NOT NULL,
    agent_id    numeric  NOT NULL,
    aspect      bytea    NOT NULL,
    begin_block bigint   NOT NULL,
    end_block   bigint   NOT NULL,
    score       numeric  NOT NULL
) PARTITION BY LIST (chain_id);
CREATE INDEX ranking_version_score ON ranking_version (aspect, score, deployment, agent_id, begin_block, end_block);
CREATE INDEX ranking_version_end ON ranking_version (end_block);
COMMENT ON TABLE ranking_version IS 'The scores of superseded standings of ratings and of first tags, of all that had feedback that stood, from begin_block to before end_block. What holds now is in standing.';

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
                                  'ranking_version', 'manifest_flip'] LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES IN (%s)',
            format('%s_%s', parent, chain), parent, chain);
    END LOOP;
END $$;
SELECT ensure_network_partitions(chain_id) FROM network;
