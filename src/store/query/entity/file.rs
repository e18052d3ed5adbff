//! Files behind URIs: registration files of agents, feedback files.

use std::sync::LazyLock;

use super::{AT_BEGIN, Entity, Field, KeyPart, Life, Template, agent_id_text, chain_fields};
use crate::store::query::id;
use crate::store::query::sql::SqlType;

/// What an agent's URI led to.
pub(super) static AGENT_REGISTRATION_FILE: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = registration_fields();
    fields.extend(chain_fields("The place in the block of the event that set the URI.", AT_BEGIN));
    Entity {
        name: "AgentRegistrationFile",
        doc: "What the file behind an agent's URI says (ERC-8004 registration file); one for each time a URI was set.",
        singular: "agentRegistrationFile",
        plurals: &["agentRegistrationFiles"],
        fields,
        relations: Vec::new(),
        derivation: 0,
        table: Some("registration_file"),
        life: Life::Fact,
        only: None,
        key: vec![
            KeyPart { sql: "{t}.chain_id", ty: SqlType::Integer },
            KeyPart { sql: "{t}.transaction_hash", ty: SqlType::Bytes },
            KeyPart { sql: "{t}.log_index", ty: SqlType::Integer },
        ],
        parse_id: id::file,
        changed: AT_BEGIN,
        changing: &[],
    }
});

fn registration_fields() -> Vec<Field> {
    vec![
        Field::id(
            "'0x' || encode({t}.transaction_hash, 'hex') || ':datauri:' || {t}.log_index",
            "`transactionHash:datauri:logIndex`.",
        ),
        Field::text("cid", "{t}.cid", "What names the file's content."),
        Field::text("agentId", agent_id_text!(), "The id of the agent whose URI it is."),
        Field::text("name", "{t}.name", "The agent's name.").nullable(),
        Field::text("description", "{t}.description", "What the agent does.").nullable(),
        Field::text("image", "{t}.image", "The URL of a picture.").nullable(),
        Field::boolean("active", "{t}.active", "Whether the agent says that it is in service.").nullable(),
        Field::boolean("x402Support", "{t}.x402_support", "Whether it takes payments by x402.").nullable(),
        Field::texts("supportedTrusts", "{t}.supported_trusts", "The trust models it supports, such as reputation."),
        Field::text("endpointsRawJson", "{t}.endpoints_raw_json", "All its services as JSON, as the file has them.")
            .nullable(),
        Field::text("mcpEndpoint", "{t}.mcp_endpoint", "Where it speaks MCP.").nullable(),
        Field::text("mcpVersion", "{t}.mcp_version", "The version of MCP.").nullable(),
        Field::text("a2aEndpoint", "{t}.a2a_endpoint", "Where its A2A agent card is.").nullable(),
        Field::text("a2aVersion", "{t}.a2a_version", "The version of A2A.").nullable(),
        Field::text("webEndpoint", "{t}.web_endpoint", "Its web site.").nullable(),
        Field::text("oasfEndpoint", "{t}.oasf_endpoint", "Where its OASF record is.").nullable(),
        Field::text("oasfVersion", "{t}.oasf_version", "The version of OASF.").nullable(),
        Field::texts("oasfSkills", "{t}.oasf_skills", "Its skills by OASF."),
        Field::texts("oasfDomains", "{t}.oasf_domains", "Its domains by OASF."),
        Field::boolean(
            "hasOASF",
            "(cardinality({t}.oasf_skills) > 0 OR cardinality({t}.oasf_domains) > 0)",
            "Whether it names any skill or domain by OASF.",
        ),
        Field::text("emailEndpoint", "{t}.email_endpoint", "Its mail address.").nullable(),
        Field::text("ens", "{t}.ens", "Its ENS name.").nullable(),
        Field::text("did", "{t}.did", "Its decentralized identifier (DID).").nullable(),
        Field::texts("mcpTools", "{t}.mcp_tools", "The MCP tools it names."),
        Field::texts("mcpPrompts", "{t}.mcp_prompts", "The MCP prompts it names."),
        Field::texts("mcpResources", "{t}.mcp_resources", "The MCP resources it names."),
        Field::texts("a2aSkills", "{t}.a2a_skills", "The A2A skills it names."),
        Field::integer("createdAt", "{t}.created_at", "When the URI was set, in seconds since 1970.")
            .sorted_by_block("{t}.begin_block"),
    ]
}

/// What a feedback's URI led to. No row yet: reading it needs a fetch.
pub(super) static FEEDBACK_FILE: LazyLock<Entity> = LazyLock::new(|| Entity {
    name: "FeedbackFile",
    doc: "What the file behind a feedback's URI says (ERC-8004 feedback file).",
    singular: "feedbackFile",
    plurals: &["feedbackFiles"],
    fields: feedback_file_fields(),
    relations: Vec::new(),
    derivation: 0,
    table: None,
    life: Life::Always,
    only: None,
    key: Vec::new(),
    parse_id: |_, _| None,
    changed: Template::plain("0"),
    changing: &[],
});

fn feedback_file_fields() -> Vec<Field> {
    let text = |name, doc| Field::text(name, "NULL", doc).nullable();
    vec![
        Field::id("NULL", "`transactionHash:cid`."),
        Field::text("cid", "NULL", "What names the file's content."),
        Field::text("feedbackId", "NULL", "The id of the feedback whose URI it is."),
        text("agentRegistry", "The registry it names, as `eip155:chainId:address`."),
        Field::numeric("agentId", "NULL", "The agent it names.").nullable(),
        text("clientAddress", "The client it names."),
        text("createdAtIso", "When it says that it was written."),
        Field::numeric("valueRaw", "NULL", "The value it names, in units of 10^-valueDecimals.").nullable(),
        Field::int("valueDecimals", "NULL", "The decimal places of that value.").nullable(),
        text("text", "What the client wrote."),
        text("mcpTool", "The MCP tool that was used."),
        text("mcpPrompt", "The MCP prompt that was used."),
        text("mcpResource", "The MCP resource that was used."),
        Field::texts("a2aSkills", "NULL", "The A2A skills that were used."),
        text("a2aContextId", "The A2A context."),
        text("a2aTaskId", "The A2A task."),
        Field::texts("oasfSkills", "NULL", "The OASF skills that were used."),
        Field::texts("oasfDomains", "NULL", "The OASF domains that were touched."),
        text("proofOfPaymentFromAddress", "Who paid."),
        text("proofOfPaymentToAddress", "Who was paid."),
        text("proofOfPaymentChainId", "Where it was paid."),
        text("proofOfPaymentTxHash", "The payment's transaction."),
        text("tag1", "The first tag it names."),
        text("tag2", "The second tag it names."),
        Field::integer("createdAt", "NULL", "When the feedback was given, in seconds since 1970."),
    ]
}
