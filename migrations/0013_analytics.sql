-- What analysts read: documented views over the tables, and a role that can read them and nothing else.
--
-- Conventions of all views:
--   x_at         a time with its zone, where the tables have seconds since 1970
--   hashes and addresses are text: 0x and hexadecimal digits in lower case
--   begin_block, end_block: "as of block N" is  begin_block <= N AND (end_block IS NULL OR end_block > N)
-- The views read with the rights of their owner, so whoever may read them needs none on the tables.

CREATE SCHEMA analytics;
COMMENT ON SCHEMA analytics IS 'Documented views for analysts; the role meikan_reader can read them and nothing else.';

CREATE FUNCTION analytics.hex(bytes bytea) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN '0x' || encode(bytes, 'hex');
COMMENT ON FUNCTION analytics.hex IS 'Bytes as 0x and hexadecimal digits in lower case.';

CREATE VIEW analytics.networks AS
SELECT
    n.chain_id AS chain_id,
    n.name AS network,
    n.start_block AS start_block,
    c.tip_number AS indexed_block,
    to_timestamp(c.tip_at) AS indexed_at,
    c.safe_number AS safe_block,
    c.finalized_number AS finalized_block,
    h.number AS head_block,
    to_timestamp(h.block_at) AS head_at,
    h.seen_at AS seen_at,
    greatest(h.number - c.tip_number, 0) AS lag_blocks,
    v.verified_number AS verified_to,
    v.method AS verification_method,
    (SELECT count(*) FROM verification_finding f WHERE f.chain_id = n.chain_id AND f.repaired_at IS NULL) AS open_findings
FROM network n JOIN cursor c USING (chain_id) LEFT JOIN head h USING (chain_id) LEFT JOIN
verification v USING (chain_id);
COMMENT ON VIEW analytics.networks IS 'How far each network is indexed, how final that is, and how far it is verified.';
COMMENT ON COLUMN analytics.networks.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.networks.network IS 'Its configured name.';
COMMENT ON COLUMN analytics.networks.start_block IS 'The first block that is indexed.';
COMMENT ON COLUMN analytics.networks.indexed_block IS 'The newest block that is committed: all other views are as of it. NULL before the first.';
COMMENT ON COLUMN analytics.networks.indexed_at IS 'The time of that block.';
COMMENT ON COLUMN analytics.networks.safe_block IS 'The newest block that is proposed on L1; NULL where the network does not tell.';
COMMENT ON COLUMN analytics.networks.finalized_block IS 'The newest final block: nothing at or below it is taken back.';
COMMENT ON COLUMN analytics.networks.head_block IS 'The chain''s newest block when last seen.';
COMMENT ON COLUMN analytics.networks.head_at IS 'The time of that block.';
COMMENT ON COLUMN analytics.networks.seen_at IS 'When it was last seen.';
COMMENT ON COLUMN analytics.networks.lag_blocks IS 'Blocks between what is indexed and the chain''s newest.';
COMMENT ON COLUMN analytics.networks.verified_to IS 'The newest block up to which all was held against the chain by the audit.';
COMMENT ON COLUMN analytics.networks.verification_method IS 'The weakest method used for that: LOGS_AGAIN, BLOOM or RECEIPTS_ROOT.';
COMMENT ON COLUMN analytics.networks.open_findings IS 'What the audit found to differ and is not repaired.';

CREATE VIEW analytics.contracts AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.role AS role,
    analytics.hex(t.address) AS address,
    t.deployment AS deployment
FROM contract t JOIN network n USING (chain_id);
COMMENT ON VIEW analytics.contracts IS 'The watched contracts.';
COMMENT ON COLUMN analytics.contracts.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.contracts.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.contracts.role IS 'What the contract is: identity, reputation, validation, audit_log, agent_registry, policy_engine or executor.';
COMMENT ON COLUMN analytics.contracts.address IS 'Its address.';
COMMENT ON COLUMN analytics.contracts.deployment IS 'The set of registries: 0 is the network''s primary one.';

CREATE VIEW analytics.blocks AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.number AS number,
    analytics.hex(t.hash) AS hash,
    analytics.hex(t.parent_hash) AS parent_hash,
    to_timestamp(t.block_at) AS block_at,
    t.log_count AS log_count,
    coalesce(t.number <= c.finalized_number, FALSE) AS is_final
FROM block t JOIN network n USING (chain_id) JOIN cursor c USING (chain_id);
COMMENT ON VIEW analytics.blocks IS 'Headers: of every block above finality, below it of the blocks that carry events.';
COMMENT ON COLUMN analytics.blocks.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.blocks.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.blocks.number IS 'The height.';
COMMENT ON COLUMN analytics.blocks.hash IS 'The block''s hash.';
COMMENT ON COLUMN analytics.blocks.parent_hash IS 'The hash of the block below.';
COMMENT ON COLUMN analytics.blocks.block_at IS 'The block''s time; neighbours may share one.';
COMMENT ON COLUMN analytics.blocks.log_count IS 'Logs of watched contracts in it.';
COMMENT ON COLUMN analytics.blocks.is_final IS 'Whether nothing takes it back.';

CREATE VIEW analytics.agents AS
SELECT
    a.chain_id AS chain_id,
    n.name AS network,
    a.deployment AS deployment,
    a.agent_id AS agent_id,
    a.registered AS registered,
    analytics.hex(a.owner) AS owner,
    analytics.hex(a.approved) AS approved,
    analytics.hex(a.agent_wallet) AS wallet,
    a.agent_uri AS uri,
    a.created_block AS created_block,
    to_timestamp(a.created_at) AS created_at,
    to_timestamp(t.updated_at) AS updated_at,
    to_timestamp(t.last_activity) AS last_activity_at,
    t.total_feedback AS feedback_given,
    t.revoked AS feedback_revoked,
    t.total_feedback - t.revoked AS feedback_active,
    t.responses AS responses,
    f.name AS name,
    f.description AS description,
    f.active AS active,
    f.x402_support AS x402_support,
    f.mcp_endpoint AS mcp_endpoint,
    f.a2a_endpoint AS a2a_endpoint,
    f.web_endpoint AS web_endpoint,
    f.supported_trusts AS supported_trusts,
    coalesce(a.begin_block <= c.finalized_number, FALSE) AS is_final
FROM agent a JOIN agent_total t USING (chain_id, deployment, agent_id) JOIN network n USING
(chain_id) JOIN cursor c USING (chain_id) LEFT JOIN registration_file f ON f.chain_id = a.chain_id AND
f.deployment = a.deployment AND f.agent_id = a.agent_id AND f.begin_block = a.uri_block AND f.log_index =
a.uri_log_index WHERE a.end_block IS NULL;
COMMENT ON VIEW analytics.agents IS 'Agents as they are now, with their totals and what their registration file says.';
COMMENT ON COLUMN analytics.agents.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.agents.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.agents.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.agents.agent_id IS 'The agent''s number in its identity registry.';
COMMENT ON COLUMN analytics.agents.registered IS 'Whether Registered was seen; false for an agent that other events named first.';
COMMENT ON COLUMN analytics.agents.owner IS 'The owner, by Transfer; zeros once burned or while none is known.';
COMMENT ON COLUMN analytics.agents.approved IS 'Who is approved for this agent (ERC-721); NULL for nobody.';
COMMENT ON COLUMN analytics.agents.wallet IS 'The agentWallet; NULL when unset.';
COMMENT ON COLUMN analytics.agents.uri IS 'The agentURI, in its readable form.';
COMMENT ON COLUMN analytics.agents.created_block IS 'The block of the agent''s first event.';
COMMENT ON COLUMN analytics.agents.created_at IS 'The time of that block.';
COMMENT ON COLUMN analytics.agents.updated_at IS 'The time of the newest event that names the agent, responses to feedback left out.';
COMMENT ON COLUMN analytics.agents.last_activity_at IS 'The time of its registration, or of the newest feedback, validation request or answer if that is later.';
COMMENT ON COLUMN analytics.agents.feedback_given IS 'Feedback that was given, revoked ones included.';
COMMENT ON COLUMN analytics.agents.feedback_revoked IS 'Feedback that was revoked.';
COMMENT ON COLUMN analytics.agents.feedback_active IS 'Feedback that stands.';
COMMENT ON COLUMN analytics.agents.responses IS 'Responses to its feedback.';
COMMENT ON COLUMN analytics.agents.name IS 'The name in the registration file; NULL where the URI holds none that can be read.';
COMMENT ON COLUMN analytics.agents.description IS 'The description there.';
COMMENT ON COLUMN analytics.agents.active IS 'Whether the file says that the agent is active.';
COMMENT ON COLUMN analytics.agents.x402_support IS 'Whether the file says that it takes x402 payments.';
COMMENT ON COLUMN analytics.agents.mcp_endpoint IS 'The MCP endpoint there.';
COMMENT ON COLUMN analytics.agents.a2a_endpoint IS 'The A2A endpoint there.';
COMMENT ON COLUMN analytics.agents.web_endpoint IS 'The web endpoint there.';
COMMENT ON COLUMN analytics.agents.supported_trusts IS 'The kinds of trust there: reputation, crypto-economic, tee-attestation.';
COMMENT ON COLUMN analytics.agents.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.agent_history AS
SELECT
    a.chain_id AS chain_id,
    n.name AS network,
    a.deployment AS deployment,
    a.agent_id AS agent_id,
    a.begin_block AS begin_block,
    a.log_index AS log_index,
    analytics.hex(a.transaction_hash) AS transaction_hash,
    a.end_block AS end_block,
    to_timestamp(a.updated_at) AS changed_at,
    a.registered AS registered,
    analytics.hex(a.owner) AS owner,
    analytics.hex(a.approved) AS approved,
    analytics.hex(a.agent_wallet) AS wallet,
    a.agent_uri AS uri,
    coalesce(a.begin_block <= c.finalized_number, FALSE) AS is_final
FROM agent a JOIN network n USING (chain_id) JOIN cursor c USING (chain_id);
COMMENT ON VIEW analytics.agent_history IS 'Every version of every agent: one row for each block in which it changed, as that block left it.';
COMMENT ON COLUMN analytics.agent_history.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.agent_history.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.agent_history.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.agent_history.agent_id IS 'The agent''s number in its identity registry.';
COMMENT ON COLUMN analytics.agent_history.begin_block IS 'The block of the event that began the row.';
COMMENT ON COLUMN analytics.agent_history.log_index IS 'The event''s place in that block.';
COMMENT ON COLUMN analytics.agent_history.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it.';
COMMENT ON COLUMN analytics.agent_history.end_block IS 'The block that ended the row; NULL while it holds.';
COMMENT ON COLUMN analytics.agent_history.changed_at IS 'The time of the block that began the version.';
COMMENT ON COLUMN analytics.agent_history.registered IS 'Whether Registered was seen; false for an agent that other events named first.';
COMMENT ON COLUMN analytics.agent_history.owner IS 'The owner, by Transfer; zeros once burned or while none is known.';
COMMENT ON COLUMN analytics.agent_history.approved IS 'Who is approved for this agent (ERC-721); NULL for nobody.';
COMMENT ON COLUMN analytics.agent_history.wallet IS 'The agentWallet; NULL when unset.';
COMMENT ON COLUMN analytics.agent_history.uri IS 'The agentURI, in its readable form.';
COMMENT ON COLUMN analytics.agent_history.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.agent_metadata AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.deployment AS deployment,
    t.agent_id AS agent_id,
    t.begin_block AS begin_block,
    t.log_index AS log_index,
    analytics.hex(t.transaction_hash) AS transaction_hash,
    t.end_block AS end_block,
    to_timestamp(t.updated_at) AS changed_at,
    t.key AS key,
    analytics.hex(t.key_hash) AS key_hash,
    t.value AS value,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM agent_metadata t JOIN network n USING (chain_id) JOIN cursor c USING (chain_id);
COMMENT ON VIEW analytics.agent_metadata IS 'Every version of every metadata entry.';
COMMENT ON COLUMN analytics.agent_metadata.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.agent_metadata.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.agent_metadata.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.agent_metadata.agent_id IS 'The agent''s number in its identity registry.';
COMMENT ON COLUMN analytics.agent_metadata.begin_block IS 'The block of the event that began the row.';
COMMENT ON COLUMN analytics.agent_metadata.log_index IS 'The event''s place in that block.';
COMMENT ON COLUMN analytics.agent_metadata.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it.';
COMMENT ON COLUMN analytics.agent_metadata.end_block IS 'The block that ended the row; NULL while it holds.';
COMMENT ON COLUMN analytics.agent_metadata.changed_at IS 'The time of the block that set it.';
COMMENT ON COLUMN analytics.agent_metadata.key IS 'The key, in its readable form; entries whose keys only read alike differ in key_hash.';
COMMENT ON COLUMN analytics.agent_metadata.key_hash IS 'keccak256 of the key.';
COMMENT ON COLUMN analytics.agent_metadata.value IS 'The value''s bytes; empty for an entry that was cleared.';
COMMENT ON COLUMN analytics.agent_metadata.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.operator_approvals AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.deployment AS deployment,
    analytics.hex(t.owner) AS owner,
    analytics.hex(t.operator) AS operator,
    t.begin_block AS begin_block,
    t.log_index AS log_index,
    analytics.hex(t.transaction_hash) AS transaction_hash,
    t.end_block AS end_block,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM operator_approval t JOIN network n USING (chain_id) JOIN cursor c USING (chain_id);
COMMENT ON VIEW analytics.operator_approvals IS 'Who may act for all agents of an owner (ERC-721 ApprovalForAll), over time.';
COMMENT ON COLUMN analytics.operator_approvals.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.operator_approvals.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.operator_approvals.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.operator_approvals.owner IS 'Whose agents.';
COMMENT ON COLUMN analytics.operator_approvals.operator IS 'Who may act.';
COMMENT ON COLUMN analytics.operator_approvals.begin_block IS 'The block of the event that began the row.';
COMMENT ON COLUMN analytics.operator_approvals.log_index IS 'The event''s place in that block.';
COMMENT ON COLUMN analytics.operator_approvals.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it.';
COMMENT ON COLUMN analytics.operator_approvals.end_block IS 'The block that ended the row; NULL while it holds.';
COMMENT ON COLUMN analytics.operator_approvals.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.feedback AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.deployment AS deployment,
    t.agent_id AS agent_id,
    analytics.hex(t.client) AS client,
    t.feedback_index AS feedback_index,
    t.begin_block AS begin_block,
    t.log_index AS log_index,
    analytics.hex(t.transaction_hash) AS transaction_hash,
    t.end_block AS end_block,
    to_timestamp(t.created_at) AS given_at,
    t.value AS value,
    t.value_raw AS value_raw,
    t.value_decimals AS value_decimals,
    t.tag1 AS tag1,
    analytics.hex(t.tag1_hash) AS tag1_hash,
    t.tag2 AS tag2,
    t.endpoint AS endpoint,
    t.feedback_uri AS feedback_uri,
    analytics.hex(t.feedback_hash) AS feedback_hash,
    t.revoked_block IS NOT NULL AS is_revoked,
    t.revoked_block AS revoked_block,
    to_timestamp(t.revoked_at) AS revoked_at,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM feedback t JOIN network n USING (chain_id) JOIN cursor c USING (chain_id);
COMMENT ON VIEW analytics.feedback IS 'All feedback, revoked ones included.';
COMMENT ON COLUMN analytics.feedback.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.feedback.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.feedback.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.feedback.agent_id IS 'The agent''s number in its identity registry.';
COMMENT ON COLUMN analytics.feedback.client IS 'Who gave it.';
COMMENT ON COLUMN analytics.feedback.feedback_index IS 'Counts from 1 per agent and client.';
COMMENT ON COLUMN analytics.feedback.begin_block IS 'The block of the event that began the row.';
COMMENT ON COLUMN analytics.feedback.log_index IS 'The event''s place in that block.';
COMMENT ON COLUMN analytics.feedback.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it.';
COMMENT ON COLUMN analytics.feedback.end_block IS 'The block that ended the row; NULL while it holds.';
COMMENT ON COLUMN analytics.feedback.given_at IS 'The time of the block that it was given in.';
COMMENT ON COLUMN analytics.feedback.value IS 'What was given, exact: value_raw / 10^value_decimals. Values under different tags are not of one scale.';
COMMENT ON COLUMN analytics.feedback.value_raw IS 'The integer that the event tells.';
COMMENT ON COLUMN analytics.feedback.value_decimals IS 'Its decimals.';
COMMENT ON COLUMN analytics.feedback.tag1 IS 'What the value measures: starred (0 to 100), reachable (0 or 1), uptime (percent), responseTime (ms), … Empty for none.';
COMMENT ON COLUMN analytics.feedback.tag1_hash IS 'keccak256 of the first tag where an earlier registry told no more of it; tag1 is empty then.';
COMMENT ON COLUMN analytics.feedback.tag2 IS 'Refines tag1.';
COMMENT ON COLUMN analytics.feedback.endpoint IS 'The agent''s endpoint that was used.';
COMMENT ON COLUMN analytics.feedback.feedback_uri IS 'Where the feedback file is.';
COMMENT ON COLUMN analytics.feedback.feedback_hash IS 'keccak256 of that file, or zeros.';
COMMENT ON COLUMN analytics.feedback.is_revoked IS 'Whether the client revoked it.';
COMMENT ON COLUMN analytics.feedback.revoked_block IS 'The block of the revocation.';
COMMENT ON COLUMN analytics.feedback.revoked_at IS 'The time of that block.';
COMMENT ON COLUMN analytics.feedback.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.feedback_responses AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.deployment AS deployment,
    t.agent_id AS agent_id,
    analytics.hex(t.client) AS client,
    t.feedback_index AS feedback_index,
    t.begin_block AS begin_block,
    t.log_index AS log_index,
    analytics.hex(t.transaction_hash) AS transaction_hash,
    to_timestamp(t.created_at) AS responded_at,
    analytics.hex(t.responder) AS responder,
    t.response_uri AS response_uri,
    analytics.hex(t.response_hash) AS response_hash,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM feedback_response t JOIN network n USING (chain_id) JOIN cursor c USING (chain_id);
COMMENT ON VIEW analytics.feedback_responses IS 'Responses to feedback; anybody may append some.';
COMMENT ON COLUMN analytics.feedback_responses.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.feedback_responses.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.feedback_responses.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.feedback_responses.agent_id IS 'The agent''s number in its identity registry.';
COMMENT ON COLUMN analytics.feedback_responses.client IS 'Who gave it.';
COMMENT ON COLUMN analytics.feedback_responses.feedback_index IS 'Counts from 1 per agent and client.';
COMMENT ON COLUMN analytics.feedback_responses.begin_block IS 'The block of the event that began the row.';
COMMENT ON COLUMN analytics.feedback_responses.log_index IS 'The event''s place in that block.';
COMMENT ON COLUMN analytics.feedback_responses.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it.';
COMMENT ON COLUMN analytics.feedback_responses.responded_at IS 'The time of its block.';
COMMENT ON COLUMN analytics.feedback_responses.responder IS 'Who responds.';
COMMENT ON COLUMN analytics.feedback_responses.response_uri IS 'Where the response is.';
COMMENT ON COLUMN analytics.feedback_responses.response_hash IS 'keccak256 of it, or zeros.';
COMMENT ON COLUMN analytics.feedback_responses.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.feedback_daily AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.deployment AS deployment,
    t.agent_id AS agent_id,
    t.tag1 AS tag1,
    (to_timestamp(t.created_at) AT TIME ZONE 'UTC')::date AS day,
    count(*) AS given,
    count(t.revoked_block) AS revoked,
    count(DISTINCT t.client) AS clients,
    avg(t.value) FILTER (WHERE t.revoked_block IS NULL) AS mean,
    min(t.value) FILTER (WHERE t.revoked_block IS NULL) AS min,
    max(t.value) FILTER (WHERE t.revoked_block IS NULL) AS max
FROM feedback t JOIN network n USING (chain_id) WHERE t.end_block IS NULL GROUP BY 1, 2, 3, 4, 5, 6;
COMMENT ON VIEW analytics.feedback_daily IS 'Feedback by agent, first tag and day (UTC): a row for each day on which some was given.';
COMMENT ON COLUMN analytics.feedback_daily.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.feedback_daily.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.feedback_daily.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.feedback_daily.agent_id IS 'The agent''s number in its identity registry.';
COMMENT ON COLUMN analytics.feedback_daily.tag1 IS 'The first tag; empty for none.';
COMMENT ON COLUMN analytics.feedback_daily.day IS 'The day, in UTC.';
COMMENT ON COLUMN analytics.feedback_daily.given IS 'Feedback given on that day.';
COMMENT ON COLUMN analytics.feedback_daily.revoked IS 'How much of it was revoked since.';
COMMENT ON COLUMN analytics.feedback_daily.clients IS 'Distinct clients that gave it.';
COMMENT ON COLUMN analytics.feedback_daily.mean IS 'Mean of what stands; NULL where nothing does.';
COMMENT ON COLUMN analytics.feedback_daily.min IS 'The least of what stands.';
COMMENT ON COLUMN analytics.feedback_daily.max IS 'The greatest of what stands.';

CREATE VIEW analytics.clients AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    analytics.hex(t.client) AS client,
    count(*) AS given,
    count(t.revoked_block) AS revoked,
    count(DISTINCT (t.deployment, t.agent_id)) AS agents,
    to_timestamp(min(t.created_at)) AS first_at,
    to_timestamp(max(t.created_at)) AS last_at
FROM feedback t JOIN network n USING (chain_id) WHERE t.end_block IS NULL GROUP BY t.chain_id, n.name,
t.client;
COMMENT ON VIEW analytics.clients IS 'Who gives feedback: a row for each client of a network.';
COMMENT ON COLUMN analytics.clients.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.clients.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.clients.client IS 'The client''s address.';
COMMENT ON COLUMN analytics.clients.given IS 'Feedback that it gave.';
COMMENT ON COLUMN analytics.clients.revoked IS 'How much of it was revoked.';
COMMENT ON COLUMN analytics.clients.agents IS 'Distinct agents that it spoke about.';
COMMENT ON COLUMN analytics.clients.first_at IS 'The time of its first feedback.';
COMMENT ON COLUMN analytics.clients.last_at IS 'The time of its newest feedback.';

CREATE VIEW analytics.validations AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.deployment AS deployment,
    t.agent_id AS agent_id,
    analytics.hex(k.address) AS validation_registry,
    analytics.hex(t.request_hash) AS request_hash,
    analytics.hex(t.validator) AS validator,
    t.request_uri AS request_uri,
    t.created_block AS requested_block,
    to_timestamp(t.created_at) AS requested_at,
    to_timestamp(t.updated_at) AS updated_at,
    t.response_count AS response_count,
    t.response AS response,
    t.response_uri AS response_uri,
    analytics.hex(t.response_hash) AS response_hash,
    t.tag AS tag,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM validation t JOIN contract k ON k.chain_id = t.chain_id AND k.contract_id = t.contract_id JOIN
network n ON n.chain_id = t.chain_id JOIN cursor c ON c.chain_id = t.chain_id WHERE t.end_block IS NULL;
COMMENT ON VIEW analytics.validations IS 'Validations as they are now: the request with its newest answer.';
COMMENT ON COLUMN analytics.validations.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.validations.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.validations.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.validations.agent_id IS 'The agent''s number in its identity registry.';
COMMENT ON COLUMN analytics.validations.validation_registry IS 'The registry that the request was made to.';
COMMENT ON COLUMN analytics.validations.request_hash IS 'Names the request within its registry.';
COMMENT ON COLUMN analytics.validations.validator IS 'Who is to answer, or answers.';
COMMENT ON COLUMN analytics.validations.request_uri IS 'What is to be validated.';
COMMENT ON COLUMN analytics.validations.requested_block IS 'The block of the request.';
COMMENT ON COLUMN analytics.validations.requested_at IS 'The time of that block.';
COMMENT ON COLUMN analytics.validations.updated_at IS 'The time of the request, or of the newest answer.';
COMMENT ON COLUMN analytics.validations.response_count IS 'How often it was answered.';
COMMENT ON COLUMN analytics.validations.response IS 'The newest answer, 0 to 100; NULL while there is none. 0 is an answer.';
COMMENT ON COLUMN analytics.validations.response_uri IS 'Where the evidence is.';
COMMENT ON COLUMN analytics.validations.response_hash IS 'keccak256 of the evidence, or zeros.';
COMMENT ON COLUMN analytics.validations.tag IS 'What the answer is about.';
COMMENT ON COLUMN analytics.validations.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.validation_responses AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.deployment AS deployment,
    t.agent_id AS agent_id,
    analytics.hex(k.address) AS validation_registry,
    analytics.hex(t.request_hash) AS request_hash,
    t.begin_block AS begin_block,
    t.log_index AS log_index,
    analytics.hex(t.transaction_hash) AS transaction_hash,
    to_timestamp(t.created_at) AS responded_at,
    analytics.hex(t.validator) AS validator,
    t.response AS response,
    t.response_uri AS response_uri,
    analytics.hex(t.response_hash) AS response_hash,
    t.tag AS tag,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM validation_response t JOIN contract k ON k.chain_id = t.chain_id AND k.contract_id = t.contract_id
JOIN network n ON n.chain_id = t.chain_id JOIN cursor c ON c.chain_id = t.chain_id;
COMMENT ON VIEW analytics.validation_responses IS 'Every answer of a validator, in order.';
COMMENT ON COLUMN analytics.validation_responses.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.validation_responses.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.validation_responses.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.validation_responses.agent_id IS 'The agent''s number in its identity registry.';
COMMENT ON COLUMN analytics.validation_responses.validation_registry IS 'The registry that the request was made to.';
COMMENT ON COLUMN analytics.validation_responses.request_hash IS 'Names the request within its registry.';
COMMENT ON COLUMN analytics.validation_responses.begin_block IS 'The block of the event that began the row.';
COMMENT ON COLUMN analytics.validation_responses.log_index IS 'The event''s place in that block.';
COMMENT ON COLUMN analytics.validation_responses.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it.';
COMMENT ON COLUMN analytics.validation_responses.responded_at IS 'The time of its block.';
COMMENT ON COLUMN analytics.validation_responses.validator IS 'Who is to answer, or answers.';
COMMENT ON COLUMN analytics.validation_responses.response IS '0 to 100; 0 is an answer.';
COMMENT ON COLUMN analytics.validation_responses.response_uri IS 'Where the evidence is.';
COMMENT ON COLUMN analytics.validation_responses.response_hash IS 'keccak256 of the evidence, or zeros.';
COMMENT ON COLUMN analytics.validation_responses.tag IS 'What the answer is about.';
COMMENT ON COLUMN analytics.validation_responses.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.registration_files AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.deployment AS deployment,
    t.agent_id AS agent_id,
    t.begin_block AS begin_block,
    t.log_index AS log_index,
    analytics.hex(t.transaction_hash) AS transaction_hash,
    to_timestamp(t.created_at) AS set_at,
    t.name AS name,
    t.description AS description,
    t.image AS image,
    t.active AS active,
    t.x402_support AS x402_support,
    t.supported_trusts AS supported_trusts,
    t.mcp_endpoint AS mcp_endpoint,
    t.mcp_version AS mcp_version,
    t.mcp_tools AS mcp_tools,
    t.mcp_prompts AS mcp_prompts,
    t.mcp_resources AS mcp_resources,
    t.a2a_endpoint AS a2a_endpoint,
    t.a2a_version AS a2a_version,
    t.a2a_skills AS a2a_skills,
    t.oasf_endpoint AS oasf_endpoint,
    t.oasf_version AS oasf_version,
    t.oasf_skills AS oasf_skills,
    t.oasf_domains AS oasf_domains,
    t.web_endpoint AS web_endpoint,
    t.email_endpoint AS email_endpoint,
    t.ens AS ens,
    t.did AS did,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM registration_file t JOIN network n USING (chain_id) JOIN cursor c USING (chain_id);
COMMENT ON VIEW analytics.registration_files IS 'What the files inside agents'' URIs said, one row for each event that set such a URI.';
COMMENT ON COLUMN analytics.registration_files.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.registration_files.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.registration_files.deployment IS 'The set of registries: 0 is the network''s primary one.';
COMMENT ON COLUMN analytics.registration_files.agent_id IS 'The agent''s number in its identity registry.';
COMMENT ON COLUMN analytics.registration_files.begin_block IS 'The block of the event that began the row.';
COMMENT ON COLUMN analytics.registration_files.log_index IS 'The event''s place in that block.';
COMMENT ON COLUMN analytics.registration_files.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it.';
COMMENT ON COLUMN analytics.registration_files.set_at IS 'The time of the block that set the URI.';
COMMENT ON COLUMN analytics.registration_files.name IS 'The agent''s name.';
COMMENT ON COLUMN analytics.registration_files.description IS 'Its description.';
COMMENT ON COLUMN analytics.registration_files.image IS 'Its image''s URL.';
COMMENT ON COLUMN analytics.registration_files.active IS 'Whether it says to be active.';
COMMENT ON COLUMN analytics.registration_files.x402_support IS 'Whether it takes x402 payments.';
COMMENT ON COLUMN analytics.registration_files.supported_trusts IS 'Kinds of trust: reputation, crypto-economic, tee-attestation.';
COMMENT ON COLUMN analytics.registration_files.mcp_endpoint IS 'Its MCP endpoint.';
COMMENT ON COLUMN analytics.registration_files.mcp_version IS 'The version of MCP.';
COMMENT ON COLUMN analytics.registration_files.mcp_tools IS 'Tools of the MCP endpoint.';
COMMENT ON COLUMN analytics.registration_files.mcp_prompts IS 'Prompts of the MCP endpoint.';
COMMENT ON COLUMN analytics.registration_files.mcp_resources IS 'Resources of the MCP endpoint.';
COMMENT ON COLUMN analytics.registration_files.a2a_endpoint IS 'Its A2A endpoint.';
COMMENT ON COLUMN analytics.registration_files.a2a_version IS 'The version of A2A.';
COMMENT ON COLUMN analytics.registration_files.a2a_skills IS 'Skills of the A2A endpoint.';
COMMENT ON COLUMN analytics.registration_files.oasf_endpoint IS 'Its OASF endpoint.';
COMMENT ON COLUMN analytics.registration_files.oasf_version IS 'The version of OASF.';
COMMENT ON COLUMN analytics.registration_files.oasf_skills IS 'OASF skills.';
COMMENT ON COLUMN analytics.registration_files.oasf_domains IS 'OASF domains.';
COMMENT ON COLUMN analytics.registration_files.web_endpoint IS 'Its web page.';
COMMENT ON COLUMN analytics.registration_files.email_endpoint IS 'Its e-mail address.';
COMMENT ON COLUMN analytics.registration_files.ens IS 'Its ENS name.';
COMMENT ON COLUMN analytics.registration_files.did IS 'Its DID.';
COMMENT ON COLUMN analytics.registration_files.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.audit_trail AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    analytics.hex(k.address) AS contract,
    t.begin_block AS begin_block,
    t.log_index AS log_index,
    analytics.hex(t.transaction_hash) AS transaction_hash,
    to_timestamp(t.created_at) AS logged_at,
    t.kind AS kind,
    t.event AS event,
    analytics.hex(t.wallet_agent) AS wallet_agent,
    analytics.hex(t.intent_id) AS intent_id,
    analytics.hex(t.commitment_hash) AS commitment_hash,
    analytics.hex(t.actor) AS actor,
    t.fields AS fields,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM audit_event t JOIN contract k ON k.chain_id = t.chain_id AND k.contract_id = t.contract_id JOIN
network n ON n.chain_id = t.chain_id JOIN cursor c ON c.chain_id = t.chain_id;
COMMENT ON VIEW analytics.audit_trail IS 'What wallet agents committed to and did: all audit contracts in the order of the chain.';
COMMENT ON COLUMN analytics.audit_trail.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.audit_trail.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.audit_trail.contract IS 'The contract that emitted it.';
COMMENT ON COLUMN analytics.audit_trail.begin_block IS 'The block of the event that began the row.';
COMMENT ON COLUMN analytics.audit_trail.log_index IS 'The event''s place in that block.';
COMMENT ON COLUMN analytics.audit_trail.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it.';
COMMENT ON COLUMN analytics.audit_trail.logged_at IS 'The time of its block.';
COMMENT ON COLUMN analytics.audit_trail.kind IS 'COMMITMENT, INTENT_CREATED, INTENT_SUBMITTED, INTENT_EXECUTED, INTENT_DISPUTED, CIRCUIT_BREAKER_TRIGGERED, AGENT_STATUS_CHANGED, POLICY_UPDATED, POLICY_CHECKED, RELAYER_CHANGED, BRIDGE_MESSAGE or GOVERNANCE.';
COMMENT ON COLUMN analytics.audit_trail.event IS 'The event''s own name.';
COMMENT ON COLUMN analytics.audit_trail.wallet_agent IS 'The wallet agent (bytes32) that it is about; NULL where it names none.';
COMMENT ON COLUMN analytics.audit_trail.intent_id IS 'The intent that it is about; NULL where it names none.';
COMMENT ON COLUMN analytics.audit_trail.commitment_hash IS 'What was committed to; NULL for other kinds.';
COMMENT ON COLUMN analytics.audit_trail.actor IS 'Who acted; NULL where the event does not tell.';
COMMENT ON COLUMN analytics.audit_trail.fields IS 'All parameters by name: integers as decimal strings, bytes as 0x-hex.';
COMMENT ON COLUMN analytics.audit_trail.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.undecoded_logs AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    analytics.hex(k.address) AS contract,
    t.begin_block AS begin_block,
    t.log_index AS log_index,
    analytics.hex(t.transaction_hash) AS transaction_hash,
    analytics.hex(t.topic0) AS topic0,
    t.reason AS reason,
    coalesce(t.begin_block <= c.finalized_number, FALSE) AS is_final
FROM undecoded_log t JOIN contract k ON k.chain_id = t.chain_id AND k.contract_id = t.contract_id JOIN
network n ON n.chain_id = t.chain_id JOIN cursor c ON c.chain_id = t.chain_id;
COMMENT ON VIEW analytics.undecoded_logs IS 'Logs of watched contracts that are no known event, or malformed ones.';
COMMENT ON COLUMN analytics.undecoded_logs.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.undecoded_logs.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.undecoded_logs.contract IS 'The contract that emitted it.';
COMMENT ON COLUMN analytics.undecoded_logs.begin_block IS 'The block of the event that began the row.';
COMMENT ON COLUMN analytics.undecoded_logs.log_index IS 'The event''s place in that block.';
COMMENT ON COLUMN analytics.undecoded_logs.transaction_hash IS 'The transaction of that event; zeros where no endpoint tells it.';
COMMENT ON COLUMN analytics.undecoded_logs.topic0 IS 'The log''s first topic; NULL where it has none.';
COMMENT ON COLUMN analytics.undecoded_logs.reason IS 'Why it could not be read.';
COMMENT ON COLUMN analytics.undecoded_logs.is_final IS 'Whether the block that began the row is final: nothing takes it back.';

CREATE VIEW analytics.audit_findings AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.kind AS kind,
    t.from_block AS from_block,
    t.to_block AS to_block,
    t.description AS description,
    t.method AS method,
    t.found_at AS found_at,
    t.repaired_at AS repaired_at
FROM verification_finding t JOIN network n USING (chain_id);
COMMENT ON VIEW analytics.audit_findings IS 'What the audit of the tables found to differ from the chain, repaired or not.';
COMMENT ON COLUMN analytics.audit_findings.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.audit_findings.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.audit_findings.kind IS 'LOG_MISSING, LOG_EXTRA, LOG_DIFFERENT, HEADER, TIME, ROW, SEGMENT, AGENT_GAP, FEEDBACK_GAP or CALL.';
COMMENT ON COLUMN analytics.audit_findings.from_block IS 'The first block concerned.';
COMMENT ON COLUMN analytics.audit_findings.to_block IS 'The last block concerned.';
COMMENT ON COLUMN analytics.audit_findings.description IS 'What is stored, what the chain shows, and who says so.';
COMMENT ON COLUMN analytics.audit_findings.method IS 'How it was shown.';
COMMENT ON COLUMN analytics.audit_findings.found_at IS 'When.';
COMMENT ON COLUMN analytics.audit_findings.repaired_at IS 'When its blocks were found to agree again; NULL while it is open.';

CREATE VIEW analytics.disputes AS
SELECT
    t.chain_id AS chain_id,
    n.name AS network,
    t.from_block AS from_block,
    t.to_block AS to_block,
    t.endpoints AS endpoints,
    t.log_counts AS log_counts,
    t.wrong AS wrong,
    t.difference AS difference,
    t.settlement AS settlement,
    t.times AS times,
    t.first_at AS first_at,
    t.last_at AS last_at
FROM dispute t JOIN network n USING (chain_id);
COMMENT ON VIEW analytics.disputes IS 'What endpoints told differently about the same blocks, and how it was settled.';
COMMENT ON COLUMN analytics.disputes.chain_id IS 'The network, by its EIP-155 chain id.';
COMMENT ON COLUMN analytics.disputes.network IS 'The network, by its configured name.';
COMMENT ON COLUMN analytics.disputes.from_block IS 'The first block concerned.';
COMMENT ON COLUMN analytics.disputes.to_block IS 'The last block concerned.';
COMMENT ON COLUMN analytics.disputes.endpoints IS 'Who told something.';
COMMENT ON COLUMN analytics.disputes.log_counts IS 'How many logs each told, in the order of endpoints.';
COMMENT ON COLUMN analytics.disputes.wrong IS 'Whose word was not taken.';
COMMENT ON COLUMN analytics.disputes.difference IS 'What differed.';
COMMENT ON COLUMN analytics.disputes.settlement IS 'What settled it: RECEIPTS, BLOOM, MAJORITY or UNSETTLED.';
COMMENT ON COLUMN analytics.disputes.times IS 'How often it was seen.';
COMMENT ON COLUMN analytics.disputes.first_at IS 'When it was first seen.';
COMMENT ON COLUMN analytics.disputes.last_at IS 'When it was last seen.';

-- Roles belong to the server, not to a database: another database of this server may have made it, or makes it now. Where
-- the writer's own user may not make roles, an administrator does (docs/analytics.md).
DO $$
BEGIN
    CREATE ROLE meikan_reader LOGIN;
    ALTER ROLE meikan_reader SET statement_timeout = '60s';
    ALTER ROLE meikan_reader SET idle_in_transaction_session_timeout = '5min';
    ALTER ROLE meikan_reader SET default_transaction_read_only = on;
    ALTER ROLE meikan_reader SET search_path = analytics;
EXCEPTION
    WHEN duplicate_object OR unique_violation OR insufficient_privilege THEN NULL;
END $$;

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'meikan_reader') THEN
        GRANT USAGE ON SCHEMA analytics TO meikan_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA analytics TO meikan_reader;
    END IF;
END $$;
