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

-- For analysts: the conventions are those of the views that were there before.

CREATE VIEW analytics.wallet_agents AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    analytics.hex(t.wallet_agent) AS wallet_agent,
    t.begin_block AS begin_block,
    t.end_block AS end_block,
    to_timestamp(t.updated_at) AS changed_at,
    analytics.hex(k.address) AS registry,
    analytics.hex(t.owner) AS owner,
    analytics.hex(t.wallet) AS wallet,
    t.metadata_cid AS metadata_cid,
    t.is_active AS is_active,
    t.is_paused AS is_paused,
    t.created_block AS created_block,
    to_timestamp(t.created_at) AS created_at,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM wallet_agent t LEFT JOIN contract k ON k.chain_id = t.chain_id AND k.contract_id = t.contract_id JOIN
network n ON n.chain_id = t.chain_id JOIN cursor c ON c.chain_id = t.chain_id;
COMMENT ON VIEW analytics.wallet_agents IS 'Versions of wallets'' agents, with begin_block and end_block: who owns one, which wallet acts for it, whether it is on.';
COMMENT ON COLUMN analytics.wallet_agents.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.wallet_agents.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.wallet_agents.wallet_agent IS 'The wallet''s agent (bytes32).';
COMMENT ON COLUMN analytics.wallet_agents.begin_block IS 'The block that made it so.';
COMMENT ON COLUMN analytics.wallet_agents.end_block IS 'The block that made it otherwise; NULL while it holds.';
COMMENT ON COLUMN analytics.wallet_agents.changed_at IS 'The time of begin_block.';
COMMENT ON COLUMN analytics.wallet_agents.registry IS 'The registry that it is registered in; NULL while no registration was seen.';
COMMENT ON COLUMN analytics.wallet_agents.owner IS 'Who owns it; NULL while no registration was seen.';
COMMENT ON COLUMN analytics.wallet_agents.wallet IS 'The wallet that acts for it: agents.wallet joins the agents that share it. NULL while no registration was seen.';
COMMENT ON COLUMN analytics.wallet_agents.metadata_cid IS 'Where its metadata is.';
COMMENT ON COLUMN analytics.wallet_agents.is_active IS 'Whether the registry has it switched on.';
COMMENT ON COLUMN analytics.wallet_agents.is_paused IS 'Whether a policy engine has it paused.';
COMMENT ON COLUMN analytics.wallet_agents.created_block IS 'The block that first changed it.';
COMMENT ON COLUMN analytics.wallet_agents.created_at IS 'The time of that block.';
COMMENT ON COLUMN analytics.wallet_agents.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.policies AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    analytics.hex(t.wallet_agent) AS wallet_agent,
    t.begin_block AS begin_block,
    t.end_block AS end_block,
    t.log_index AS log_index,
    analytics.hex(t.transaction_hash) AS transaction_hash,
    to_timestamp(t.updated_at) AS set_at,
    t.max_spend_per_day AS max_spend_per_day,
    t.max_tx_per_day AS max_tx_per_day,
    t.max_tx_per_hour AS max_tx_per_hour,
    t.max_value_per_tx AS max_value_per_tx,
    t.allowed_chains AS allowed_chains,
    ARRAY(SELECT analytics.hex(one) FROM unnest(t.whitelist) WITH ORDINALITY AS w (one, place) ORDER BY place) AS whitelist,
    t.risk_level AS risk_level,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM policy t JOIN network n USING (chain_id) JOIN cursor c USING (chain_id);
COMMENT ON VIEW analytics.policies IS 'Policies of wallets'' agents, in force and past, with begin_block and end_block. Amounts are in the chain''s smallest unit.';
COMMENT ON COLUMN analytics.policies.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.policies.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.policies.wallet_agent IS 'The wallet''s agent that it binds.';
COMMENT ON COLUMN analytics.policies.begin_block IS 'The block that set it.';
COMMENT ON COLUMN analytics.policies.end_block IS 'The block that replaced it; NULL while it is in force.';
COMMENT ON COLUMN analytics.policies.log_index IS 'The event''s place in begin_block.';
COMMENT ON COLUMN analytics.policies.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it.';
COMMENT ON COLUMN analytics.policies.set_at IS 'The time of begin_block.';
COMMENT ON COLUMN analytics.policies.max_spend_per_day IS 'Most that the agent may spend in a day.';
COMMENT ON COLUMN analytics.policies.max_tx_per_day IS 'Most transactions in a day.';
COMMENT ON COLUMN analytics.policies.max_tx_per_hour IS 'Most transactions in an hour.';
COMMENT ON COLUMN analytics.policies.max_value_per_tx IS 'Most that it may spend at once.';
COMMENT ON COLUMN analytics.policies.allowed_chains IS 'The chains that it may act on; empty: all.';
COMMENT ON COLUMN analytics.policies.whitelist IS 'The addresses that it may deal with; empty: all.';
COMMENT ON COLUMN analytics.policies.risk_level IS 'How risky it is held to be, 0 to 255.';
COMMENT ON COLUMN analytics.policies.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.intents AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    analytics.hex(k.address) AS executor,
    analytics.hex(t.intent_id) AS intent_id,
    analytics.hex(t.wallet_agent) AS wallet_agent,
    t.status AS status,
    t.created_block AS created_block,
    to_timestamp(t.created_at) AS created_at,
    t.dest_chain_id AS dest_chain_id,
    t.src_chain_id AS src_chain_id,
    t.value AS value,
    analytics.hex(t.recipient) AS recipient,
    t.action AS action,
    t.nonce AS nonce,
    t.expiry AS expiry,
    t.day_count AS day_count,
    t.hour_count AS hour_count,
    t.day_spend AS day_spend,
    to_timestamp(t.submitted_at) AS submitted_at,
    analytics.hex(t.submitted_by) AS submitted_by,
    to_timestamp(t.executed_at) AS executed_at,
    analytics.hex(t.executed_by) AS executed_by,
    t.execution_count AS execution_count,
    t.executed_at - t.created_at AS seconds_to_execution,
    to_timestamp(t.disputed_at) AS disputed_at,
    analytics.hex(t.disputed_by) AS disputed_by,
    t.dispute_reason AS dispute_reason,
    to_timestamp(t.expired_at) AS expired_at,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM intent t JOIN contract k ON k.chain_id = t.chain_id AND k.contract_id = t.contract_id JOIN
network n ON n.chain_id = t.chain_id JOIN cursor c ON c.chain_id = t.chain_id WHERE t.end_block IS NULL;
COMMENT ON VIEW analytics.intents IS 'Cross-chain intents as they are now. What no event told is NULL. Amounts are in the chain''s smallest unit.';
COMMENT ON COLUMN analytics.intents.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.intents.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.intents.executor IS 'The executor that it was stated at.';
COMMENT ON COLUMN analytics.intents.intent_id IS 'The intent (bytes32).';
COMMENT ON COLUMN analytics.intents.wallet_agent IS 'The wallet''s agent that stated it.';
COMMENT ON COLUMN analytics.intents.status IS 'CREATED, SUBMITTED, EXECUTED, DISPUTED or EXPIRED.';
COMMENT ON COLUMN analytics.intents.created_block IS 'The block that it was stated in.';
COMMENT ON COLUMN analytics.intents.created_at IS 'The time of that block.';
COMMENT ON COLUMN analytics.intents.dest_chain_id IS 'The chain to act on.';
COMMENT ON COLUMN analytics.intents.src_chain_id IS 'The chain that it was stated on.';
COMMENT ON COLUMN analytics.intents.value IS 'The amount.';
COMMENT ON COLUMN analytics.intents.recipient IS 'Who is to get it.';
COMMENT ON COLUMN analytics.intents.action IS 'What is to be done; free text.';
COMMENT ON COLUMN analytics.intents.nonce IS 'The agent''s counter at the executor, from 0.';
COMMENT ON COLUMN analytics.intents.expiry IS 'When it lapses, in seconds since 1970: strangers choose it, and not all of them are times.';
COMMENT ON COLUMN analytics.intents.day_count IS 'The agent''s intents on that day up to and with this one.';
COMMENT ON COLUMN analytics.intents.hour_count IS 'The agent''s intents in that hour up to and with this one.';
COMMENT ON COLUMN analytics.intents.day_spend IS 'What the agent''s intents of that day add up to, with this one.';
COMMENT ON COLUMN analytics.intents.submitted_at IS 'When a relayer first took it up.';
COMMENT ON COLUMN analytics.intents.submitted_by IS 'That relayer.';
COMMENT ON COLUMN analytics.intents.executed_at IS 'When it was first executed.';
COMMENT ON COLUMN analytics.intents.executed_by IS 'Who executed it.';
COMMENT ON COLUMN analytics.intents.execution_count IS 'How often it was reported executed; more than once is wrong.';
COMMENT ON COLUMN analytics.intents.seconds_to_execution IS 'Seconds from its statement to its first execution.';
COMMENT ON COLUMN analytics.intents.disputed_at IS 'When it was first disputed.';
COMMENT ON COLUMN analytics.intents.disputed_by IS 'Who disputed it.';
COMMENT ON COLUMN analytics.intents.dispute_reason IS 'Why; free text.';
COMMENT ON COLUMN analytics.intents.expired_at IS 'The time of the first block with events of the watched contracts that found it open beyond its expiry.';
COMMENT ON COLUMN analytics.intents.is_final IS 'Whether the block of its last change is final: nothing takes it back.';

CREATE VIEW analytics.findings AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.begin_block AS begin_block,
    t.log_index AS log_index,
    analytics.hex(t.transaction_hash) AS transaction_hash,
    to_timestamp(t.created_at) AS found_at,
    analytics.hex(k.address) AS contract,
    t.rule AS rule,
    analytics.hex(t.subject) AS subject,
    analytics.hex(t.wallet_agent) AS wallet_agent,
    analytics.hex(t.intent_id) AS intent_id,
    t.related_block AS related_block,
    t.related_log_index AS related_log_index,
    t.details AS details,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM finding t JOIN contract k ON k.chain_id = t.chain_id AND k.contract_id = t.contract_id JOIN
network n ON n.chain_id = t.chain_id JOIN cursor c ON c.chain_id = t.chain_id;
COMMENT ON VIEW analytics.findings IS 'What the watchdog found wrong when it held events against the state before them. Findings derive from the chain alone.';
COMMENT ON COLUMN analytics.findings.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.findings.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.findings.begin_block IS 'The block of the event that was judged.';
COMMENT ON COLUMN analytics.findings.log_index IS 'The event''s place in that block: audit_trail has it. Of OPEN_BEYOND_EXPIRY the block''s first log.';
COMMENT ON COLUMN analytics.findings.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it.';
COMMENT ON COLUMN analytics.findings.found_at IS 'The time of its block.';
COMMENT ON COLUMN analytics.findings.contract IS 'The contract that emitted it.';
COMMENT ON COLUMN analytics.findings.rule IS 'The rule that was broken; docs/data-model.md lists them.';
COMMENT ON COLUMN analytics.findings.subject IS 'What broke it: the intent''s id, or the commitment''s hash.';
COMMENT ON COLUMN analytics.findings.wallet_agent IS 'The wallet''s agent that it is about.';
COMMENT ON COLUMN analytics.findings.intent_id IS 'The intent that it is about; NULL where it is about none.';
COMMENT ON COLUMN analytics.findings.related_block IS 'The block of the other event that makes it wrong: the submission, the first execution, the policy. NULL where there is none.';
COMMENT ON COLUMN analytics.findings.related_log_index IS 'That event''s place in its block.';
COMMENT ON COLUMN analytics.findings.details IS 'The figures that were compared, as texts.';
COMMENT ON COLUMN analytics.findings.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'meikan_reader') THEN
        GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO meikan_reader;
    END IF;
END $$;
