-- What happened in each hour, by deployment: what hourly and daily statistics are added up from.

CREATE TABLE protocol_hour (
    chain_id             bigint   NOT NULL,
    deployment           smallint NOT NULL,
    hour                 bigint   NOT NULL,
    first_block          bigint   NOT NULL,
    begin_block          bigint   NOT NULL,
    registrations        bigint   NOT NULL,
    feedback_given       bigint   NOT NULL,
    feedback_revoked     bigint   NOT NULL,
    value_given          numeric  NOT NULL,
    value_revoked        numeric  NOT NULL,
    validation_requests  bigint   NOT NULL,
    validation_responses bigint   NOT NULL,
    response_sum         bigint   NOT NULL,
    flips                bigint   NOT NULL,
    suspicious_flips     bigint   NOT NULL,
    endpoint_changes     bigint   NOT NULL,
    flip_seconds         numeric  NOT NULL,
    PRIMARY KEY (chain_id, deployment, hour)
) PARTITION BY LIST (chain_id);
CREATE INDEX protocol_hour_begin ON protocol_hour (chain_id, begin_block);
COMMENT ON TABLE protocol_hour IS 'What each hour added, by deployment; counted from the facts in the transaction that writes them. Hours in which nothing of it happened have no row.';
COMMENT ON COLUMN protocol_hour.hour IS 'Seconds since 1970 divided by 3,600.';
COMMENT ON COLUMN protocol_hour.first_block IS 'The first block of the hour that added something; begin_block is the last one.';
COMMENT ON COLUMN protocol_hour.registrations IS 'Agents that were registered for the first time.';
COMMENT ON COLUMN protocol_hour.feedback_revoked IS 'Feedback that was revoked in this hour, whenever it was given; value_revoked adds its values.';
COMMENT ON COLUMN protocol_hour.validation_responses IS 'Answers to requests that are known by the end of their block; response_sum adds them.';
COMMENT ON COLUMN protocol_hour.flip_seconds IS 'Seconds between the manifests that flipped and those before them, added.';

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
                                  'wallet_agent', 'policy', 'relayer', 'halt', 'intent_counter', 'intent', 'finding',
                                  'protocol_hour'] LOOP
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

CREATE VIEW analytics.protocol_hours AS
SELECT
    h.chain_id AS chain_id,
    n.name AS network,
    h.deployment AS deployment,
    to_timestamp(h.hour * 3600) AS hour,
    h.first_block AS first_block,
    h.begin_block AS last_block,
    h.registrations AS registrations,
    h.feedback_given AS feedback_given,
    h.feedback_revoked AS feedback_revoked,
    h.value_given AS value_given,
    h.value_revoked AS value_revoked,
    h.validation_requests AS validation_requests,
    h.validation_responses AS validation_responses,
    h.response_sum AS response_sum,
    h.flips AS flips,
    h.suspicious_flips AS suspicious_flips,
    h.endpoint_changes AS endpoint_changes,
    CASE WHEN h.flips > 0 THEN h.flip_seconds / h.flips * interval '1 second' END AS mean_flip_interval,
    coalesce(h.begin_block <= c.finalized_number, FALSE) AS is_final
FROM protocol_hour h JOIN network n USING (chain_id) JOIN cursor c USING (chain_id);
COMMENT ON VIEW analytics.protocol_hours IS 'What each hour added, by set of registries; hours in which nothing of this happened have no row.';
COMMENT ON COLUMN analytics.protocol_hours.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.protocol_hours.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.protocol_hours.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.protocol_hours.hour IS 'The beginning of the hour.';
COMMENT ON COLUMN analytics.protocol_hours.first_block IS 'The first block of the hour in which something of this happened.';
COMMENT ON COLUMN analytics.protocol_hours.last_block IS 'The last one so far.';
COMMENT ON COLUMN analytics.protocol_hours.registrations IS 'Agents that were registered for the first time.';
COMMENT ON COLUMN analytics.protocol_hours.feedback_given IS 'Feedback that was given.';
COMMENT ON COLUMN analytics.protocol_hours.feedback_revoked IS 'Feedback that was revoked, whenever it was given.';
COMMENT ON COLUMN analytics.protocol_hours.value_given IS 'The values of the feedback that was given, added over all tags: of different scales.';
COMMENT ON COLUMN analytics.protocol_hours.value_revoked IS 'The values of the feedback that was revoked, added.';
COMMENT ON COLUMN analytics.protocol_hours.validation_requests IS 'Validations that were asked for.';
COMMENT ON COLUMN analytics.protocol_hours.validation_responses IS 'Answers to known requests.';
COMMENT ON COLUMN analytics.protocol_hours.response_sum IS 'These answers, 0 to 100 each, added.';
COMMENT ON COLUMN analytics.protocol_hours.flips IS 'Changes of agents'' manifests.';
COMMENT ON COLUMN analytics.protocol_hours.suspicious_flips IS 'Those with a suspicion score of at least 70.';
COMMENT ON COLUMN analytics.protocol_hours.endpoint_changes IS 'Those that changed the endpoint.';
COMMENT ON COLUMN analytics.protocol_hours.mean_flip_interval IS 'Mean time between a manifest that changed and the one before it; NULL where none changed.';
COMMENT ON COLUMN analytics.protocol_hours.is_final IS 'Whether the last block so far is final: nothing takes it back.';

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'meikan_reader') THEN
        GRANT SELECT ON analytics.protocol_hours TO meikan_reader;
    END IF;
END $$;
