-- Feedback, revocations, responses, and the totals per agent that lists are filtered and ordered by.

CREATE TABLE feedback (
    chain_id         bigint   NOT NULL,
    deployment       smallint NOT NULL,
    agent_id         numeric  NOT NULL,
    client           bytea    NOT NULL,
    feedback_index   numeric  NOT NULL,
    begin_block      bigint   NOT NULL,
    end_block        bigint,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    created_at       bigint   NOT NULL,
    value_raw        numeric  NOT NULL,
    value_decimals   smallint NOT NULL,
    value            numeric  NOT NULL,
    tag1             text     NOT NULL,
    tag1_raw         bytea,
    tag2             text     NOT NULL,
    tag2_raw         bytea,
    endpoint         text     NOT NULL,
    endpoint_raw     bytea,
    feedback_uri     text     NOT NULL,
    feedback_uri_raw bytea,
    feedback_hash    bytea    NOT NULL,
    revoked_block    bigint,
    revoked_log_index        integer,
    revoked_at               bigint,
    revoked_transaction_hash bytea,
    PRIMARY KEY (chain_id, deployment, agent_id, client, feedback_index, begin_block)
) PARTITION BY LIST (chain_id);
CREATE INDEX feedback_agent_order ON feedback (chain_id, deployment, agent_id, begin_block, log_index);
CREATE INDEX feedback_client ON feedback (chain_id, client, begin_block, log_index);
CREATE INDEX feedback_begin ON feedback (chain_id, begin_block);
CREATE INDEX feedback_revoked ON feedback (chain_id, revoked_block) WHERE revoked_block IS NOT NULL;
CREATE INDEX feedback_end ON feedback (chain_id, end_block) WHERE end_block IS NOT NULL;
COMMENT ON TABLE feedback IS 'Feedback: revoked as of block N when revoked_block <= N. end_block is set only if a later event repeats agent, client and index, which the registry''s own code rules out.';
COMMENT ON COLUMN feedback.value IS 'value_raw / 10^value_decimals, exact.';

CREATE TABLE feedback_response (
    chain_id         bigint   NOT NULL,
    deployment       smallint NOT NULL,
    agent_id         numeric  NOT NULL,
    client           bytea    NOT NULL,
    feedback_index   numeric  NOT NULL,
    begin_block      bigint   NOT NULL,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    created_at       bigint   NOT NULL,
    responder        bytea    NOT NULL,
    response_uri     text     NOT NULL,
    response_uri_raw bytea,
    response_hash    bytea    NOT NULL,
    PRIMARY KEY (chain_id, deployment, agent_id, client, feedback_index, begin_block, log_index)
) PARTITION BY LIST (chain_id);
CREATE INDEX feedback_response_responder ON feedback_response (chain_id, responder);
CREATE INDEX feedback_response_begin ON feedback_response USING brin (begin_block);

CREATE TABLE agent_total (
    chain_id       bigint   NOT NULL,
    deployment     smallint NOT NULL,
    agent_id       numeric  NOT NULL,
    begin_block    bigint   NOT NULL,
    total_feedback bigint   NOT NULL,
    revoked        bigint   NOT NULL,
    responses      bigint   NOT NULL,
    last_activity  bigint   NOT NULL,
    updated_at     bigint   NOT NULL,
    PRIMARY KEY (chain_id, deployment, agent_id)
) PARTITION BY LIST (chain_id);
-- Lists end in the id, because most agents have no feedback and many share a time.
CREATE INDEX agent_total_active ON agent_total (chain_id, (total_feedback - revoked), deployment, agent_id);
CREATE INDEX agent_total_activity ON agent_total (chain_id, last_activity, deployment, agent_id);
CREATE INDEX agent_total_updated ON agent_total (chain_id, updated_at, deployment, agent_id);
CREATE INDEX agent_total_begin ON agent_total (chain_id, begin_block);
COMMENT ON TABLE agent_total IS 'Current totals of each agent, kept in the ingest transaction; begin_block is the block of their last change.';
COMMENT ON COLUMN agent_total.total_feedback IS 'Feedback that holds, revoked ones included; the active ones are total_feedback - revoked.';
COMMENT ON COLUMN agent_total.last_activity IS 'Time of the agent''s registration, or of the newest feedback, validation request or validation answer if that is later.';
COMMENT ON COLUMN agent_total.updated_at IS 'Time of the newest event that names the agent, responses to feedback left out.';

CREATE TABLE agent_total_version (
    chain_id       bigint   NOT NULL,
    deployment     smallint NOT NULL,
    agent_id       numeric  NOT NULL,
    begin_block    bigint   NOT NULL,
    end_block      bigint   NOT NULL,
    total_feedback bigint   NOT NULL,
    revoked        bigint   NOT NULL,
    responses      bigint   NOT NULL,
    last_activity  bigint   NOT NULL,
    updated_at     bigint   NOT NULL,
    PRIMARY KEY (chain_id, deployment, agent_id, begin_block)
) PARTITION BY LIST (chain_id);
CREATE INDEX agent_total_version_end ON agent_total_version (chain_id, end_block);
COMMENT ON TABLE agent_total_version IS 'Superseded totals above finality, so that a rewind restores them without counting again; pruned as finality rises.';
