//! Registration files that agents' URIs hold themselves: one row for each event that set such a URI.

use alloy::primitives::hex;
use tokio_postgres::types::Type;

use super::At;
use super::change::{ChangeEntity, ChangeOp, Changes};
use super::timeline::Place;
use crate::event::IdentityEvent;
use crate::file::{RegistrationFile, registration_of};
use crate::id::AgentKey;
use crate::store::error::StoreError;
use crate::store::network::small;
use crate::store::numeric::Numeric;
use crate::store::sql::{Sql, index, signed};

/// What `registration_file.cid` says of a file that is not kept elsewhere under a CID.
const DATA_URI: &str = "datauri";

struct Registration {
    place: Place,
    agent: AgentKey,
    file: RegistrationFile,
}

/// The registration files of a batch.
#[derive(Default)]
pub(super) struct Files {
    registrations: Vec<Registration>,
}

impl Files {
    pub(super) fn fold(&mut self, at: &At<'_>, event: &IdentityEvent, changes: &mut Changes) {
        let (IdentityEvent::Registered { agent_id, agent_uri: uri, .. }
        | IdentityEvent::URIUpdated { agent_id, new_uri: uri, .. }) = event
        else {
            return;
        };
        let Some(mut file) = registration_of(uri) else { return };
        clean(&mut file);
        let place = at.place;
        changes.note(ChangeOp::Insert, ChangeEntity::RegistrationFile, || {
            format!("{}:{DATA_URI}:{}", hex::encode_prefixed(place.transaction), place.log_index)
        });
        let agent = AgentKey { deployment: at.contract.deployment, agent_id: *agent_id };
        self.registrations.push(Registration { place, agent, file });
    }

    pub(super) async fn write(&self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        if self.registrations.is_empty() {
            return Ok(0);
        }
        let mut insert = sql.insert("registration_file", COLUMNS).await?;
        for Registration { place, agent, file } in &self.registrations {
            insert
                .row(&[
                    &small(agent.deployment),
                    &Numeric::from(agent.agent_id),
                    &signed(place.block),
                    &index(place.log_index),
                    &place.transaction.as_slice(),
                    &signed(place.time),
                    &DATA_URI,
                    &file.name,
                    &file.description,
                    &file.image,
                    &file.active,
                    &file.x402_support,
                    &file.supported_trusts,
                    &file.endpoints_raw_json,
                    &file.mcp_endpoint,
                    &file.mcp_version,
                    &file.a2a_endpoint,
                    &file.a2a_version,
                    &file.web_endpoint,
                    &file.oasf_endpoint,
                    &file.oasf_version,
                    &file.oasf_skills,
                    &file.oasf_domains,
                    &file.email_endpoint,
                    &file.ens,
                    &file.did,
                    &file.mcp_tools,
                    &file.mcp_prompts,
                    &file.mcp_resources,
                    &file.a2a_skills,
                ])
                .await?;
        }
        insert.finish().await
    }
}

const COLUMNS: &[(&str, Type)] = &[
    ("deployment", Type::INT2),
    ("agent_id", Type::NUMERIC),
    ("begin_block", Type::INT8),
    ("log_index", Type::INT4),
    ("transaction_hash", Type::BYTEA),
    ("created_at", Type::INT8),
    ("cid", Type::TEXT),
    ("name", Type::TEXT),
    ("description", Type::TEXT),
    ("image", Type::TEXT),
    ("active", Type::BOOL),
    ("x402_support", Type::BOOL),
    ("supported_trusts", Type::TEXT_ARRAY),
    ("endpoints_raw_json", Type::TEXT),
    ("mcp_endpoint", Type::TEXT),
    ("mcp_version", Type::TEXT),
    ("a2a_endpoint", Type::TEXT),
    ("a2a_version", Type::TEXT),
    ("web_endpoint", Type::TEXT),
    ("oasf_endpoint", Type::TEXT),
    ("oasf_version", Type::TEXT),
    ("oasf_skills", Type::TEXT_ARRAY),
    ("oasf_domains", Type::TEXT_ARRAY),
    ("email_endpoint", Type::TEXT),
    ("ens", Type::TEXT),
    ("did", Type::TEXT),
    ("mcp_tools", Type::TEXT_ARRAY),
    ("mcp_prompts", Type::TEXT_ARRAY),
    ("mcp_resources", Type::TEXT_ARRAY),
    ("a2a_skills", Type::TEXT_ARRAY),
];

/// JSON may hold NUL as `\u0000`, which Postgres refuses in text (F45).
fn clean(file: &mut RegistrationFile) {
    let texts = [
        &mut file.name,
        &mut file.description,
        &mut file.image,
        &mut file.endpoints_raw_json,
        &mut file.mcp_endpoint,
        &mut file.mcp_version,
        &mut file.a2a_endpoint,
        &mut file.a2a_version,
        &mut file.web_endpoint,
        &mut file.oasf_endpoint,
        &mut file.oasf_version,
        &mut file.email_endpoint,
        &mut file.ens,
        &mut file.did,
    ];
    let lists = [
        &mut file.supported_trusts,
        &mut file.oasf_skills,
        &mut file.oasf_domains,
        &mut file.mcp_tools,
        &mut file.mcp_prompts,
        &mut file.mcp_resources,
        &mut file.a2a_skills,
    ];
    let all = texts.into_iter().flatten().chain(lists.into_iter().flatten());
    for text in all.filter(|text| text.contains('\0')) {
        *text = text.replace('\0', "\u{fffd}");
    }
}

/// Undoes what happened above a block.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    sql.execute("DELETE FROM registration_file WHERE chain_id = $1 AND begin_block > $2", &[&signed(to)]).await?;
    Ok(())
}
