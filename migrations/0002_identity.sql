-- Agents as the identity registry tells: owner, URI, wallet, approvals, metadata, registration files.

CREATE TABLE agent (
    chain_id         bigint   NOT NULL,
    deployment       smallint NOT NULL,
    agent_id         numeric  NOT NULL,
    begin_block      bigint   NOT NULL,
    end_block        bigint,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    updated_at       bigint   NOT NULL,
    registered       boolean  NOT NULL,
    owner            bytea    NOT NULL,
    approved         bytea,
    agent_wallet     bytea,
    agent_uri        text     NOT NULL,
    agent_uri_raw    bytea,
    uri_block        bigint,
    uri_log_index    integer,
    created_block    bigint   NOT NULL,
    created_at       bigint   NOT NULL,
    created_log_index        integer NOT NULL,
    created_transaction_hash bytea   NOT NULL,
    PRIMARY KEY (chain_id, deployment, agent_id, begin_block)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX agent_current ON agent (chain_id, deployment, agent_id) WHERE end_block IS NULL;
CREATE INDEX agent_owner ON agent (chain_id, owner) WHERE end_block IS NULL;
CREATE INDEX agent_wallet ON agent (chain_id, agent_wallet) WHERE end_block IS NULL;
CREATE INDEX agent_approved ON agent (chain_id, approved) WHERE end_block IS NULL AND approved IS NOT NULL;
CREATE INDEX agent_created ON agent (chain_id, created_block, created_log_index) WHERE end_block IS NULL;
CREATE INDEX agent_begin ON agent (chain_id, begin_block);
CREATE INDEX agent_end ON agent (chain_id, end_block) WHERE end_block IS NOT NULL;
COMMENT ON TABLE agent IS 'Versions of agents: one row for each block in which an agent changed, as it was at the end of that block.';
COMMENT ON COLUMN agent.log_index IS 'The last event of begin_block that changed the agent; transaction_hash is that event''s.';
COMMENT ON COLUMN agent.registered IS 'Whether Registered was seen: a mint calls its receiver first, so other events can precede it within the transaction.';
COMMENT ON COLUMN agent.owner IS 'By Transfer, not by Registered. Twenty zero bytes once burned.';
COMMENT ON COLUMN agent.approved IS 'ERC-721 approval for this agent; a transfer withdraws it.';
COMMENT ON COLUMN agent.agent_wallet IS 'The value of the metadata key agentWallet where it is 20 bytes; NULL when unset.';
COMMENT ON COLUMN agent.uri_block IS 'With uri_log_index the event that set the URI; a registration file is keyed by it. NULL until one did.';
COMMENT ON COLUMN agent.created_block IS 'The block of the agent''s first event.';

CREATE TABLE operator_approval (
    chain_id         bigint   NOT NULL,
    deployment       smallint NOT NULL,
    owner            bytea    NOT NULL,
    operator         bytea    NOT NULL,
    begin_block      bigint   NOT NULL,
    end_block        bigint,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    PRIMARY KEY (chain_id, deployment, owner, operator, begin_block)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX operator_approval_current ON operator_approval (chain_id, deployment, owner, operator)
    WHERE end_block IS NULL;
CREATE INDEX operator_approval_operator ON operator_approval (chain_id, operator) WHERE end_block IS NULL;
CREATE INDEX operator_approval_begin ON operator_approval (chain_id, begin_block);
CREATE INDEX operator_approval_end ON operator_approval (chain_id, end_block) WHERE end_block IS NOT NULL;
COMMENT ON TABLE operator_approval IS 'While a row holds, operator may act for all agents of owner (ERC-721 ApprovalForAll). A withdrawal ends the row and begins none.';

CREATE TABLE agent_metadata (
    chain_id         bigint   NOT NULL,
    deployment       smallint NOT NULL,
    agent_id         numeric  NOT NULL,
    key_hash         bytea    NOT NULL,
    begin_block      bigint   NOT NULL,
    end_block        bigint,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    updated_at       bigint   NOT NULL,
    key              text     NOT NULL,
    key_raw          bytea,
    value            bytea    NOT NULL,
    PRIMARY KEY (chain_id, deployment, agent_id, key_hash, begin_block)
) PARTITION BY LIST (chain_id);
CREATE UNIQUE INDEX agent_metadata_current ON agent_metadata (chain_id, deployment, agent_id, key_hash)
    WHERE end_block IS NULL;
CREATE INDEX agent_metadata_key ON agent_metadata (chain_id, key_hash) WHERE end_block IS NULL;
CREATE INDEX agent_metadata_begin ON agent_metadata (chain_id, begin_block);
CREATE INDEX agent_metadata_end ON agent_metadata (chain_id, end_block) WHERE end_block IS NOT NULL;
COMMENT ON TABLE agent_metadata IS 'Versions of metadata entries. key_hash is keccak256 of the key: two keys that read alike stay two, and a long key fits an index. An empty value is a cleared entry.';

CREATE TABLE registration_file (
    chain_id         bigint   NOT NULL,
    deployment       smallint NOT NULL,
    agent_id         numeric  NOT NULL,
    begin_block      bigint   NOT NULL,
    log_index        integer  NOT NULL,
    transaction_hash bytea    NOT NULL,
    created_at       bigint   NOT NULL,
    cid              text     NOT NULL,
    name             text,
    description      text,
    image            text,
    active           boolean,
    x402_support     boolean,
    supported_trusts text[]   NOT NULL,
    endpoints_raw_json text,
    mcp_endpoint     text,
    mcp_version      text,
    a2a_endpoint     text,
    a2a_version      text,
    web_endpoint     text,
    oasf_endpoint    text,
    oasf_version     text,
    oasf_skills      text[]   NOT NULL,
    oasf_domains     text[]   NOT NULL,
    email_endpoint   text,
    ens              text,
    did              text,
    mcp_tools        text[]   NOT NULL,
    mcp_prompts      text[]   NOT NULL,
    mcp_resources    text[]   NOT NULL,
    a2a_skills       text[]   NOT NULL,
    PRIMARY KEY (chain_id, deployment, agent_id, begin_block, log_index)
) PARTITION BY LIST (chain_id);
CREATE INDEX registration_file_id ON registration_file (chain_id, transaction_hash, log_index);
CREATE INDEX registration_file_begin ON registration_file USING brin (begin_block);
COMMENT ON TABLE registration_file IS 'What the file behind an agent''s URI says, keyed by the event that set the URI. An agent whose current URI gives no valid file has no row for it.';
