-- The audit trail as states: wallets' agents, their policies, the intents they state, who may relay, what is halted; and
-- what the watchdog finds. All of it derives from the events in audit_event, block by block.
--
-- Ids of wallets' agents and of intents are hashes that name chain and contract, so they are keys of a network.
-- Versions hold from begin_block until end_block; log_index, transaction_hash and updated_at are of the last event of
-- begin_block that changed them.

CREATE TABLE wallet_agent (
    chain_id          bigint   NOT NULL,
    wallet_agent      bytea    NOT NULL,
    begin_block       bigint   NOT NULL,
    end_block         bigint,
    log_index         integer  NOT NULL,
    transaction_hash  bytea    NOT NULL,
    updated_at        bigint   NOT NULL,
    contract_id       smallint,
    owner             bytea,
    wallet            bytea,
    metadata_cid      text,
    metadata_cid_raw  bytea,
    is_active         boolean  NOT NULL,
    active_block      bigint,
    active_log_index  integer,
    is_paused         boolean  NOT NULL,
    paused_block      bigint,
    paused_log_index  integer,
    created_block     bigint   NOT NULL,
    created_log_index integer  NOT NULL,
    created_at        bigint   NOT NULL,
    PRIMARY KEY (chain_id, wallet_agent, begin_block)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX wallet_agent_current ON wallet_agent (chain_id, wallet_agent) WHERE end_block IS NULL;
CREATE INDEX wallet_agent_wallet ON wallet_agent (chain_id, wallet) WHERE wallet IS NOT NULL;
CREATE INDEX wallet_agent_owner ON wallet_agent (chain_id, owner) WHERE owner IS NOT NULL;
CREATE INDEX wallet_agent_begin ON wallet_agent (chain_id, begin_block);
CREATE INDEX wallet_agent_end ON wallet_agent (chain_id, end_block) WHERE end_block IS NOT NULL;
COMMENT ON TABLE wallet_agent IS 'Versions of wallets'' agents: who owns one, which wallet acts for it, whether it is switched on and not paused.';
COMMENT ON COLUMN wallet_agent.contract_id IS 'The registry that registered it; NULL, as owner, wallet and metadata_cid are, while only others named it.';
COMMENT ON COLUMN wallet_agent.is_active IS 'False from AgentDeactivated to AgentReactivated; active_block and active_log_index are the last event that said either.';
COMMENT ON COLUMN wallet_agent.is_paused IS 'True from AgentPaused to AgentUnpaused of a policy engine; paused_block and paused_log_index are the last event that said either.';

CREATE TABLE policy (
    chain_id          bigint    NOT NULL,
    wallet_agent      bytea     NOT NULL,
    begin_block       bigint    NOT NULL,
    end_block         bigint,
    log_index         integer   NOT NULL,
    transaction_hash  bytea     NOT NULL,
    updated_at        bigint    NOT NULL,
    max_spend_per_day numeric   NOT NULL,
    max_tx_per_day    numeric   NOT NULL,
    max_tx_per_hour   numeric   NOT NULL,
    max_value_per_tx  numeric   NOT NULL,
    allowed_chains    numeric[] NOT NULL,
    whitelist         bytea[]   NOT NULL,
    risk_level        smallint  NOT NULL,
    PRIMARY KEY (chain_id, wallet_agent, begin_block)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX policy_current ON policy (chain_id, wallet_agent) WHERE end_block IS NULL;
CREATE INDEX policy_begin ON policy (chain_id, begin_block);
CREATE INDEX policy_end ON policy (chain_id, end_block) WHERE end_block IS NOT NULL;
COMMENT ON TABLE policy IS 'Versions of policies: what a wallet''s agent may do, replaced as a whole by each PolicyUpdated. Amounts are in the chain''s smallest unit.';
COMMENT ON COLUMN policy.allowed_chains IS 'The chains it may act on; empty: all.';
COMMENT ON COLUMN policy.whitelist IS 'The addresses it may deal with; empty: all.';

CREATE TABLE relayer (
    chain_id         bigint   NOT NULL,
    contract_id      smallint NOT NULL,
    relayer          bytea    NOT NULL,
    begin_block      bigint   NOT NULL,
    end_block        bigint,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    updated_at       bigint   NOT NULL,
    is_authorised    boolean  NOT NULL,
    PRIMARY KEY (chain_id, contract_id, relayer, begin_block)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX relayer_current ON relayer (chain_id, contract_id, relayer) WHERE end_block IS NULL;
CREATE INDEX relayer_begin ON relayer (chain_id, begin_block);
CREATE INDEX relayer_end ON relayer (chain_id, end_block) WHERE end_block IS NOT NULL;
COMMENT ON TABLE relayer IS 'Versions of what executors said of an address: that it may relay, or no longer. Whom none named may not.';

CREATE TABLE halt (
    chain_id         bigint   NOT NULL,
    contract_id      smallint NOT NULL,
    kind             text     NOT NULL CHECK (kind IN ('BREAKER', 'EMERGENCY', 'EXECUTOR')),
    begin_block      bigint   NOT NULL,
    end_block        bigint,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    updated_at       bigint   NOT NULL,
    is_on            boolean  NOT NULL,
    PRIMARY KEY (chain_id, contract_id, kind, begin_block)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX halt_current ON halt (chain_id, contract_id, kind) WHERE end_block IS NULL;
CREATE INDEX halt_begin ON halt (chain_id, begin_block);
CREATE INDEX halt_end ON halt (chain_id, end_block) WHERE end_block IS NOT NULL;
COMMENT ON TABLE halt IS 'Versions of what stops all agents: a policy engine''s breaker (BREAKER) or pause (EMERGENCY), an executor''s pause (EXECUTOR).';

CREATE TABLE intent_counter (
    chain_id         bigint   NOT NULL,
    wallet_agent     bytea    NOT NULL,
    contract_id      smallint NOT NULL,
    begin_block      bigint   NOT NULL,
    end_block        bigint,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    updated_at       bigint   NOT NULL,
    next_nonce       numeric  NOT NULL,
    nonce_block      bigint,
    nonce_log_index  integer,
    day              bigint   NOT NULL,
    day_count        bigint   NOT NULL,
    day_spend        numeric  NOT NULL,
    hour             bigint   NOT NULL,
    hour_count       bigint   NOT NULL,
    PRIMARY KEY (chain_id, wallet_agent, contract_id, begin_block)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX intent_counter_current ON intent_counter (chain_id, wallet_agent, contract_id) WHERE end_block IS NULL;
CREATE INDEX intent_counter_begin ON intent_counter (chain_id, begin_block);
CREATE INDEX intent_counter_end ON intent_counter (chain_id, end_block) WHERE end_block IS NOT NULL;
COMMENT ON TABLE intent_counter IS 'Versions of what an agent stated at one executor: what the next intent is held against.';
COMMENT ON COLUMN intent_counter.next_nonce IS 'One more than the highest nonce so far; nonce_block and nonce_log_index are the intent that set it.';
COMMENT ON COLUMN intent_counter.day IS 'Days since 1970 of the block that counted last; day_count intents were stated on that day.';
COMMENT ON COLUMN intent_counter.day_spend IS 'What the intents told on that day add up to, in the chain''s smallest unit; 2^256 - 1 where it is more.';
COMMENT ON COLUMN intent_counter.hour IS 'Hours since 1970, as day.';

CREATE TABLE intent (
    chain_id            bigint   NOT NULL,
    intent_id           bytea    NOT NULL,
    begin_block         bigint   NOT NULL,
    end_block           bigint,
    log_index           integer  NOT NULL,
    transaction_hash    bytea    NOT NULL,
    updated_at          bigint   NOT NULL,
    contract_id         smallint NOT NULL,
    status              text     NOT NULL CHECK (status IN ('CREATED', 'SUBMITTED', 'EXECUTED', 'DISPUTED', 'EXPIRED')),
    wallet_agent        bytea,
    dest_chain_id       numeric,
    action_hash         bytea,
    nonce               numeric,
    expiry              numeric,
    created_block       bigint,
    created_log_index   integer,
    created_at          bigint,
    day_count           bigint,
    hour_count          bigint,
    src_chain_id        numeric,
    value               numeric,
    recipient           bytea,
    action              text,
    action_raw          bytea,
    day_spend           numeric,
    submitted_block     bigint,
    submitted_log_index integer,
    submitted_at        bigint,
    submitted_by        bytea,
    executed_block      bigint,
    executed_log_index  integer,
    executed_at         bigint,
    executed_by         bytea,
    execution_count     integer  NOT NULL,
    disputed_block      bigint,
    disputed_log_index  integer,
    disputed_at         bigint,
    disputed_by         bytea,
    dispute_reason      text,
    dispute_reason_raw  bytea,
    expired_block       bigint,
    expired_at          bigint,
    PRIMARY KEY (chain_id, intent_id, begin_block)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX intent_current ON intent (chain_id, intent_id) WHERE end_block IS NULL;
CREATE INDEX intent_open ON intent (chain_id, expiry) WHERE end_block IS NULL AND status IN ('CREATED', 'SUBMITTED');
CREATE INDEX intent_agent ON intent (chain_id, wallet_agent, created_block, created_log_index) WHERE wallet_agent IS NOT NULL;
CREATE INDEX intent_created ON intent (chain_id, created_block);
CREATE INDEX intent_begin ON intent (chain_id, begin_block);
CREATE INDEX intent_end ON intent (chain_id, end_block) WHERE end_block IS NOT NULL;
COMMENT ON TABLE intent IS 'Versions of cross-chain intents, from their statement to their end. What no event told is NULL: of an intent whose statement was not seen, all but its acts.';
COMMENT ON COLUMN intent.status IS 'EXECUTED once an execution was told, else DISPUTED once a dispute was, else EXPIRED once the time of a block with logs was beyond expiry while it was open, else SUBMITTED or CREATED.';
COMMENT ON COLUMN intent.contract_id IS 'The executor that stated it, or that told of it first.';
COMMENT ON COLUMN intent.day_count IS 'The agent''s intents on that day up to and with this one; hour_count those in that hour. Over all executors.';
COMMENT ON COLUMN intent.day_spend IS 'What the agent''s intents told on that day add up to, with this one.';
COMMENT ON COLUMN intent.submitted_block IS 'The first submission, as of executed_ and disputed_ the first: block, place, time, and who.';
COMMENT ON COLUMN intent.expired_block IS 'The first block with logs whose time was beyond expiry while the intent was open.';

CREATE TABLE finding (
    chain_id          bigint   NOT NULL,
    begin_block       bigint   NOT NULL,
    log_index         integer  NOT NULL,
    rule              text     NOT NULL,
    subject           bytea    NOT NULL,
    transaction_hash  bytea    NOT NULL,
    created_at        bigint   NOT NULL,
    contract_id       smallint NOT NULL,
    wallet_agent      bytea,
    intent_id         bytea,
    related_block     bigint,
    related_log_index integer,
    details           jsonb    NOT NULL,
    PRIMARY KEY (chain_id, begin_block, log_index, rule, subject)
) PARTITION BY LIST (chain_id);
CREATE INDEX finding_agent ON finding (chain_id, wallet_agent, begin_block, log_index) WHERE wallet_agent IS NOT NULL;
CREATE INDEX finding_intent ON finding (chain_id, intent_id, begin_block, log_index) WHERE intent_id IS NOT NULL;
CREATE INDEX finding_rule ON finding (chain_id, rule, begin_block, log_index);
COMMENT ON TABLE finding IS 'What the watchdog found when it held an event against the state before it: facts, which nobody enters and nothing but a rewind takes back.';
COMMENT ON COLUMN finding.log_index IS 'With begin_block the event that was judged; of OPEN_BEYOND_EXPIRY the first log of the block whose time passed the expiry.';
COMMENT ON COLUMN finding.rule IS 'Which rule was broken; docs/data-model.md lists them.';
COMMENT ON COLUMN finding.subject IS 'What broke it: the intent''s id, or the commitment''s hash.';
COMMENT ON COLUMN finding.related_block IS 'With related_log_index the other event that makes it one: the submission, the first execution, the policy. NULL where there is none.';
COMMENT ON COLUMN finding.details IS 'The figures that were compared, as texts.';

-- A commitment that was made before is found by its hash.
CREATE INDEX audit_event_commitment ON audit_event (chain_id, commitment_hash, begin_block, log_index)
    WHERE commitment_hash IS NOT NULL;

-- Wallets join agents to wallets' agents as of any block, so their past is indexed as well.
DROP INDEX agent_wallet;
CREATE INDEX agent_wallet ON agent (chain_id, agent_wallet) WHERE agent_wallet IS NOT NULL;

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
                                  'wallet_agent', 'policy', 'relayer', 'halt', 'intent_counter', 'intent', 'finding'] LOOP
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
