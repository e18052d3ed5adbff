-- Indexes that only questions need. A backfill of a new network writes several times as fast without them, and builds them
-- once it is near the head; so they belong to a network's own tables, where each can be made by itself.

CREATE TABLE reader_index (
    name       text PRIMARY KEY,
    table_name text NOT NULL,
    definition text NOT NULL
);
COMMENT ON TABLE reader_index IS 'Indexes that only questions need, no statement of the writer: each network''s table has its own, called as here with _ and the chain id behind.';
COMMENT ON COLUMN reader_index.table_name IS 'The partitioned table.';
COMMENT ON COLUMN reader_index.definition IS 'What follows ON and the table''s name in CREATE INDEX.';

ALTER TABLE network ADD COLUMN has_reader_indexes boolean NOT NULL DEFAULT TRUE;
COMMENT ON COLUMN network.has_reader_indexes IS 'FALSE while a backfill writes without reader_index; some may be there already.';

INSERT INTO reader_index (name, table_name, definition)
SELECT i.relname, t.relname, substring(pg_get_indexdef(i.oid) FROM ' (USING .*)$')
FROM pg_class i JOIN pg_index x ON x.indexrelid = i.oid JOIN pg_class t ON t.oid = x.indrelid
WHERE i.relnamespace = 'public'::regnamespace AND i.relkind = 'I' AND i.relname IN (
    'agent_approved', 'agent_owner', 'agent_wallet',
    'agent_total_active', 'agent_total_activity', 'agent_total_begin', 'agent_total_updated',
    'feedback_agent_order', 'feedback_client', 'feedback_fallen', 'feedback_stands',
    'feedback_response_agent', 'feedback_response_responder',
    'manifest_flip_count', 'manifest_flip_suspicious',
    'ranking_version_score',
    'standing_active', 'standing_average', 'standing_begin', 'standing_clients', 'standing_last', 'standing_score',
    'standing_voices', 'standing_version_hour');
DROP INDEX agent_approved, agent_owner, agent_wallet,
    agent_total_active, agent_total_activity, agent_total_begin, agent_total_updated,
    feedback_agent_order, feedback_client, feedback_fallen, feedback_stands,
    feedback_response_agent, feedback_response_responder,
    manifest_flip_count, manifest_flip_suspicious,
    ranking_version_score,
    standing_active, standing_average, standing_begin, standing_clients, standing_last, standing_score,
    standing_voices, standing_version_hour;

CREATE FUNCTION build_reader_index(chain bigint, index_name text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    index reader_index;
BEGIN
    SELECT * INTO STRICT index FROM reader_index WHERE name = index_name;
    IF to_regclass(format('%I', index.name || '_' || chain)) IS NULL THEN
        EXECUTE format('CREATE INDEX %I ON %I %s',
            index.name || '_' || chain, index.table_name || '_' || chain, index.definition);
    END IF;
END $$;
COMMENT ON FUNCTION build_reader_index IS 'Makes a network''s index, if it is not there.';

CREATE FUNCTION drop_reader_indexes(chain bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    index_name text;
BEGIN
    FOR index_name IN SELECT name FROM reader_index ORDER BY name LOOP
        EXECUTE format('DROP INDEX IF EXISTS %I', index_name || '_' || chain);
    END LOOP;
END $$;
COMMENT ON FUNCTION drop_reader_indexes IS 'Takes a network''s away: for a backfill of empty tables.';

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
    IF (SELECT has_reader_indexes FROM network WHERE chain_id = chain) THEN
        PERFORM build_reader_index(chain, name) FROM reader_index;
    END IF;
END $$;
SELECT ensure_network_partitions(chain_id) FROM network;
