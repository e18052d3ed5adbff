-- One partition a network for what agents have, in the place of eight by the hash of the agent. Planning a statement takes
-- longer than running it, and takes as much longer as there are partitions to plan for: an agent with ten rows of feedback
-- was answered 750 times a second, and the server spent nine tenths of that on plans.

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
                                  'manifest_flip'] LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES IN (%s)',
            format('%s_%s', parent, chain), parent, chain);
    END LOOP;
END $$;

-- What is there moves into its network's partition, table by table.
DO $$
DECLARE
    chain bigint;
    parent text;
    held text;
    columns text;
BEGIN
    FOR chain IN SELECT chain_id FROM network LOOP
        FOREACH parent IN ARRAY ARRAY['agent', 'agent_metadata', 'agent_total', 'agent_total_version',
                                      'registration_file', 'feedback', 'feedback_response', 'standing',
                                      'standing_version', 'manifest_flip'] LOOP
            held := format('%s_%s', parent, chain);
            CONTINUE WHEN (SELECT relkind FROM pg_class WHERE oid = held::regclass) <> 'p';
            SELECT string_agg(quote_ident(attname), ', ') INTO columns FROM pg_attribute
                WHERE attrelid = parent::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
            EXECUTE format('ALTER TABLE %I DETACH PARTITION %I', parent, held);
            EXECUTE format('ALTER TABLE %I RENAME TO moved', held);
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES IN (%s)', held, parent, chain);
            EXECUTE format('INSERT INTO %I (%s) SELECT %s FROM moved', held, columns, columns);
            DROP TABLE moved;
        END LOOP;
    END LOOP;
END $$;
