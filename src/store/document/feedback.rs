//! Feedback by documents: given, revised, revoked.
//!
//! The rules are the reputation registry's: an agent that is there, and a client who neither owns it nor acts for it.

use alloy::primitives::{Address, B256, keccak256};

use super::agent::Agent;
use super::{Acceptance, Done, Handed};
use crate::document::{Cid, Content, FeedbackRevision, FeedbackRevocation, Reason, Refusal};
use crate::store::error::StoreError;
use crate::store::sql::{self, signed};

/// The newest version of feedback.
struct Current {
    version: i32,
    client: Address,
    deployment: i16,
    agent_id: String,
    is_revoked: bool,
}

impl Acceptance<'_> {
    /// Feedback that is given.
    pub(super) async fn give(&self, handed: &Handed, content: &Content) -> Done {
        match self.reviewed(handed, content).await? {
            Ok(agent) => self.add_version(handed, handed.digest, 1, &agent, content).await.map(Ok),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// A new version of feedback.
    pub(super) async fn revise(&self, handed: &Handed, revision: &FeedbackRevision) -> Done {
        let current = match self.own(handed, revision.revises, "revises").await? {
            Ok(current) => current,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let agent = match self.reviewed(handed, &revision.feedback).await? {
            Ok(agent) => agent,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if (agent.deployment, &agent.id) != (current.deployment, &current.agent_id) {
            return Ok(
                Err(Reason::Conflict.because("`feedback.agentId` must be the agent that the feedback is about")),
            );
        }
        let update =
            "UPDATE offchain_feedback SET is_current = FALSE WHERE chain_id = $1 AND original = $2 AND is_current";
        self.sql.execute(update, &[&revision.revises.as_slice()]).await?;
        let version = current.version + 1;
        self.add_version(handed, revision.revises, version, &agent, &revision.feedback).await.map(Ok)
    }

    /// The end of feedback.
    pub(super) async fn revoke(&self, handed: &Handed, revocation: &FeedbackRevocation) -> Done {
        if let Err(refusal) = self.own(handed, revocation.revokes, "revokes").await? {
            return Ok(Err(refusal));
        }
        self.sql
            .execute(
                "UPDATE offchain_feedback SET revoked_at = extract(epoch FROM now())::bigint, revocation = $3 \
                 WHERE chain_id = $1 AND original = $2 AND is_current",
                &[&revocation.revokes.as_slice(), &handed.digest.as_slice()],
            )
            .await?;
        Ok(Ok(()))
    }

    /// The agent that somebody may give feedback about.
    async fn reviewed(&self, handed: &Handed, content: &Content) -> Result<Result<Agent, Refusal>, StoreError> {
        if content.client_address.address != handed.signer {
            return Ok(Err(Reason::Forbidden.because("`feedback.clientAddress` must be the signer")));
        }
        let agent = self.agent(&content.agent_registry, &content.agent_id, handed.signer).await?;
        Ok(agent.and_then(|agent| {
            if agent.owner == handed.signer || agent.is_operator {
                let message = "whoever owns an agent, or acts for its owner, cannot give feedback about it";
                return Err(Reason::Forbidden.because(message));
            }
            Ok(agent)
        }))
    }

    /// The signer's own feedback that stands, which a member of the document names.
    async fn own(&self, handed: &Handed, original: B256, member: &str) -> Result<Result<Current, Refusal>, StoreError> {
        let select = "SELECT version, client, deployment, agent_id::text AS agent_id, revoked_at IS NOT NULL AS is_revoked \
                      FROM offchain_feedback WHERE chain_id = $1 AND original = $2 AND is_current";
        let rows = self.sql.query(select, &[&original.as_slice()]).await?;
        let Some(row) = rows.first() else {
            let message = format!("`{member}` must be the digest of feedback that was handed in; {original} is none");
            return Ok(Err(Reason::NotFound.because(message)));
        };
        let current = Current {
            version: sql::column(row, "version")?,
            client: sql::address(row, "client")?,
            deployment: sql::column(row, "deployment")?,
            agent_id: sql::column(row, "agent_id")?,
            is_revoked: sql::column(row, "is_revoked")?,
        };
        Ok(if current.client != handed.signer {
            Err(Reason::Forbidden.because(format!("`{member}` is the feedback of another client")))
        } else if current.is_revoked {
            Err(Reason::Conflict.because(format!("`{member}` is feedback that was revoked, which is final")))
        } else {
            Ok(current)
        })
    }

    async fn add_version(
        &self,
        handed: &Handed,
        original: B256,
        version: i32,
        agent: &Agent,
        content: &Content,
    ) -> Result<(), StoreError> {
        let file = content.file().map_err(|_| sql::corrupt("a document has no file"))?;
        let cid = Cid::of(file.as_bytes());
        self.keep_file(&cid, &file).await?;
        self.sql
            .execute(
                "INSERT INTO offchain_feedback (chain_id, original, version, digest, is_current, deployment, agent_id, \
                     client, value, value_raw, value_decimals, tag1, tag2, endpoint, content, file_hash, file_sha256, cid, \
                     created_at, received_at) \
                 VALUES ($1, $2, $3, $4, TRUE, $5, $6::text::numeric, $7, \
                     ($8 || 'E-' || $9::smallint)::numeric, $8::text::numeric, $9, $10, $11, $12, \
                     $13::text::jsonb, $14, $15, $16, $17, extract(epoch FROM now())::bigint)",
                &[
                    &original.as_slice(),
                    &version,
                    &handed.digest.as_slice(),
                    &agent.deployment,
                    &agent.id,
                    &handed.signer.as_slice(),
                    &content.value.to_string(),
                    &i16::from(content.value_decimals),
                    &content.tag1,
                    &content.tag2,
                    &content.endpoint,
                    &file,
                    &keccak256(&file).as_slice(),
                    &cid.0.as_slice(),
                    &cid.to_string(),
                    &signed(u64::try_from(content.created_at_seconds()).unwrap_or_default()),
                ],
            )
            .await?;
        Ok(())
    }
}
