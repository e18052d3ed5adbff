-- Validations, and the audit trail over all contracts.

CREATE TABLE validation (
    chain_id         bigint   NOT NULL,
    contract_id      smallint NOT NULL,
    request_hash     bytea    NOT NULL,
    begin_block      bigint   NOT NULL,
    end_block        bigint,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    updated_at       bigint   NOT NULL,
    deployment       smallint NOT NULL,
    agent_id         numeric  NOT NULL,
    validator        bytea    NOT NULL,
    request_uri      text     NOT NULL,
    request_uri_raw  bytea,
    created_block    bigint   NOT NULL,
    created_at       bigint   NOT NULL,
    response_count   integer  NOT NULL,
    response         smallint,
    response_uri     text,
    response_uri_raw bytea,
    response_hash    bytea,
    tag              text,
    tag_raw          bytea,
    PRIMARY KEY (chain_id, contract_id, request_hash, begin_block)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX validation_current ON validation (chain_id, contract_id, request_hash) WHERE end_block IS NULL;
CREATE INDEX validation_agent ON validation (chain_id, deployment, agent_id) WHERE end_block IS NULL;
CREATE INDEX validation_validator ON validation (chain_id, validator) WHERE end_block IS NULL;
CREATE INDEX validation_begin ON validation (chain_id, begin_block);
CREATE INDEX validation_end ON validation (chain_id, end_block) WHERE end_block IS NOT NULL;
COMMENT ON TABLE validation IS 'Versions of validations: the request, with the newest answer to it. response is NULL until there is one; 0 is an answer.';

CREATE TABLE validation_response (
    chain_id         bigint   NOT NULL,
    contract_id      smallint NOT NULL,
    request_hash     bytea    NOT NULL,
    begin_block      bigint   NOT NULL,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    created_at       bigint   NOT NULL,
    deployment       smallint NOT NULL,
    agent_id         numeric  NOT NULL,
    validator        bytea    NOT NULL,
    response         smallint NOT NULL,
    response_uri     text     NOT NULL,
    response_uri_raw bytea,
    response_hash    bytea    NOT NULL,
    tag              text     NOT NULL,
    tag_raw          bytea,
    PRIMARY KEY (chain_id, contract_id, request_hash, begin_block, log_index)
) PARTITION BY LIST (chain_id);
CREATE INDEX validation_response_begin ON validation_response (chain_id, begin_block);
COMMENT ON TABLE validation_response IS 'Every answer of a validator, in order.';

CREATE TABLE audit_event (
    chain_id         bigint   NOT NULL,
    begin_block      bigint   NOT NULL,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    created_at       bigint   NOT NULL,
    contract_id      smallint NOT NULL,
    kind             text     NOT NULL,
    event            text     NOT NULL,
    wallet_agent     bytea,
    intent_id        bytea,
    commitment_hash  bytea,
    actor            bytea,
    fields           jsonb    NOT NULL,
    PRIMARY KEY (chain_id, begin_block, log_index)
) PARTITION BY LIST (chain_id);
CREATE INDEX audit_event_agent ON audit_event (chain_id, wallet_agent, begin_block, log_index) WHERE wallet_agent IS NOT NULL;
CREATE INDEX audit_event_intent ON audit_event (chain_id, intent_id, begin_block, log_index) WHERE intent_id IS NOT NULL;
CREATE INDEX audit_event_kind ON audit_event (chain_id, kind, begin_block, log_index);
COMMENT ON TABLE audit_event IS 'The audit trail: commitments, intents, policies, circuit breakers, relayers, governance, in the order of the chain.';
COMMENT ON COLUMN audit_event.kind IS 'COMMITMENT, INTENT_CREATED, INTENT_SUBMITTED, INTENT_EXECUTED, INTENT_DISPUTED, CIRCUIT_BREAKER_TRIGGERED, AGENT_STATUS_CHANGED, POLICY_UPDATED, POLICY_CHECKED, RELAYER_CHANGED, BRIDGE_MESSAGE or GOVERNANCE.';
COMMENT ON COLUMN audit_event.wallet_agent IS 'The bytes32 id of the wallet agent that the event names.';
COMMENT ON COLUMN audit_event.actor IS 'The address that acted: submitter, relayer, executor, disputer, owner, account.';
COMMENT ON COLUMN audit_event.fields IS 'All parameters by name: integers as decimal strings, bytes as 0x-hex, text in its readable form.';
