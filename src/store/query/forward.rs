//! `verifyForward`: whether a request may be passed on to an agent, by its manifest and the path so far.

use serde_json::json;

use super::error::{QueryError, bad_input};
use super::snapshot::Snapshot;
use super::sql::{Datum, SqlType, Statement};
use super::value;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct ForwardQuestion {
    /// The network.
    pub chain_id: i64,
    /// The manifest's hash.
    pub manifest_hash: String,
    /// The transaction that the path begins with; nothing: there is none yet.
    pub root_tx_hash: Option<String>,
    /// The id of the agent that would pass the request on; nothing: whoever begins.
    pub source: Option<String>,
    /// When, in seconds since 1970; nothing: now.
    pub at: Option<String>,
}

/// What comes out: the first that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardOutcome {
    /// No manifest of that hash is held.
    ManifestNotFound,
    /// The agent is not there, or the path does not lead to the source.
    AgentNotFound,
    /// Whoever signed the manifest does not own the agent, nor is its wallet.
    InvalidSignature,
    /// The manifest is over, to come, or revoked.
    ManifestExpired,
    /// The agent had the request before.
    CycleDetected {
        /// The agents of the circle, in the order of the path.
        agents: Vec<String>,
    },
    /// The request may be passed on.
    Ok,
}

impl ForwardOutcome {
    /// Its name in the API.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ManifestNotFound => "MANIFEST_NOT_FOUND",
            Self::AgentNotFound => "AGENT_NOT_FOUND",
            Self::InvalidSignature => "INVALID_SIGNATURE",
            Self::ManifestExpired => "MANIFEST_EXPIRED",
            Self::CycleDetected { .. } => "CYCLE_DETECTED",
            Self::Ok => "OK",
        }
    }
}

/// The manifest `$2`: whose it is, whether that agent is there and its signer speaks for it, and whether it is in force.
const MANIFEST: &str = "SELECT m.deployment::bigint AS deployment, m.agent_id::text AS agent, a.owner IS NOT NULL AS is_there, \
         coalesce(m.signer IN (a.owner, a.agent_wallet), FALSE) AS is_authorized, \
         m.revoked_at IS NULL AND coalesce({at}, extract(epoch FROM now())::bigint) BETWEEN m.valid_from AND m.valid_until \
             AS is_in_force \
     FROM endpoint_manifest m LEFT JOIN agent a ON a.chain_id = m.chain_id AND a.deployment = m.deployment \
         AND a.agent_id = m.agent_id AND a.end_block IS NULL AND a.owner <> decode(repeat('00', 20), 'hex') \
     WHERE m.chain_id = {chain} AND m.digest = {hash}";

/// The agents that had a request by the time that a source has it: by the newest receipt that leads to that, back to the first.
const PATH: &str = "WITH RECURSIVE last AS (SELECT * FROM forward_receipt r WHERE r.chain_id = {chain} \
         AND r.root_tx_hash = {root} AND r.deployment = {deployment}::bigint AND r.destination = {source} \
         ORDER BY r.hop DESC, r.received_at DESC, r.digest LIMIT 1), \
     back AS (SELECT * FROM last UNION ALL SELECT r.* FROM back b JOIN forward_receipt r \
         ON r.chain_id = {chain} AND r.digest = b.previous) \
     SELECT source::text AS source, destination::text AS destination FROM back ORDER BY hop";

impl Snapshot {
    /// Whether a request may be passed on to a manifest's agent.
    ///
    /// # Errors
    /// [`QueryError::BadInput`] for a hash, an agent or a time that is none.
    pub async fn verify_forward(&self, question: &ForwardQuestion) -> Result<ForwardOutcome, QueryError> {
        let hash = fixed("manifestHash", &question.manifest_hash)?;
        let at = question.at.as_ref().map(|at| value::whole_number("at", SqlType::Integer, &json!(at))).transpose()?;
        let mut statement = Statement::by_key();
        let (chain, hash) = (statement.bind(question.chain_id), statement.bind(hash));
        let at = at.map_or_else(|| "NULL::bigint".to_owned(), |at| statement.bind_datum(&at));
        statement.push(&MANIFEST.replace("{chain}", &chain).replace("{hash}", &hash).replace("{at}", &at));
        let rows = self.query(&statement).await?;
        let Some(row) = rows.first() else { return Ok(ForwardOutcome::ManifestNotFound) };
        if !row.try_get::<_, bool>("is_there")? {
            return Ok(ForwardOutcome::AgentNotFound);
        }
        if !row.try_get::<_, bool>("is_authorized")? {
            return Ok(ForwardOutcome::InvalidSignature);
        }
        if !row.try_get::<_, bool>("is_in_force")? {
            return Ok(ForwardOutcome::ManifestExpired);
        }
        let (deployment, agent): (i64, String) = (row.try_get("deployment")?, row.try_get("agent")?);
        let path = self.path(question, deployment).await?;
        let Some(first) = path.iter().position(|had| *had == agent) else { return Ok(ForwardOutcome::Ok) };
        let registry = self.contracts().registry_of(question.chain_id, deployment);
        let prefix = match registry {
            None => format!("{}:", question.chain_id),
            Some(address) => format!("{}:{}:", question.chain_id, alloy::hex::encode_prefixed(address)),
        };
        Ok(ForwardOutcome::CycleDetected { agents: path[first..].iter().map(|had| format!("{prefix}{had}")).collect() })
    }

    /// The agents that have had the request, the source as the last one.
    async fn path(&self, question: &ForwardQuestion, deployment: i64) -> Result<Vec<String>, QueryError> {
        let Some(source) = &question.source else { return Ok(Vec::new()) };
        let parts = super::id::agent(source, self.contracts())
            .ok_or_else(|| bad_input("source", "an agent's id, such as \"167000:42\""))?;
        let Some(Some(Datum::Numeric(source))) = parts.get(2) else { return Ok(Vec::new()) };
        let mut path = Vec::new();
        if let Some(root) = &question.root_tx_hash {
            let root = fixed("rootTxHash", root)?;
            let mut statement = Statement::by_key();
            let (chain, root) = (statement.bind(question.chain_id), statement.bind(root));
            let (deployment, bound) =
                (statement.bind(deployment), statement.bind_datum(&Datum::Numeric(source.clone())));
            let text = PATH.replace("{chain}", &chain).replace("{root}", &root).replace("{deployment}", &deployment);
            statement.push(&text.replace("{source}", &bound));
            for row in self.query(&statement).await? {
                if path.is_empty() {
                    path.push(row.try_get("source")?);
                }
                path.push(row.try_get("destination")?);
            }
        }
        if path.is_empty() {
            path.push(source.clone());
        }
        Ok(path)
    }
}

/// Thirty-two bytes.
fn fixed(name: &str, text: &str) -> Result<Vec<u8>, QueryError> {
    let bytes = value::bytes(name, &json!(text))?;
    if bytes.len() == 32 { Ok(bytes) } else { Err(bad_input(name, "32 bytes in hex")) }
}
