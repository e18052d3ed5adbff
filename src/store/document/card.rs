//! Agent cards: each one takes the place of the one before.

use alloy::primitives::Address;

use super::{Acceptance, Done, Handed};
use crate::document::{AgentCard, Cid};
use crate::id::AgentId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::sql;

/// A card that is in force, and which registry numbered its agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedCard {
    /// The card in its canonical form.
    pub content: String,
    /// The agent's identity registry.
    pub registry: Address,
}

impl Store {
    /// An agent's newest card, as long as whoever signed it speaks for the agent.
    ///
    /// # Errors
    /// What the database says.
    pub async fn served_card(&self, agent: &AgentId) -> Result<Option<ServedCard>, StoreError> {
        let failed = || StoreError::database("read a card");
        let connection = self.read().await?;
        let select = "SELECT f.content, k.address FROM contract k \
                      JOIN agent a ON a.chain_id = k.chain_id AND a.deployment = k.deployment \
                          AND a.agent_id = $3::text::numeric AND a.end_block IS NULL \
                      JOIN agent_card c ON c.chain_id = a.chain_id AND c.deployment = a.deployment \
                          AND c.agent_id = a.agent_id AND c.is_current AND c.signer IN (a.owner, a.agent_wallet) \
                      JOIN served_file f ON f.sha256 = c.file_sha256 \
                      WHERE k.chain_id = $1 AND k.role = 'identity' \
                      AND CASE WHEN $2::bytea IS NULL THEN k.deployment = 0 ELSE k.address = $2 END";
        let Ok(chain_id) = i64::try_from(agent.chain_id) else { return Ok(None) };
        let registry = agent.registry.map(|registry| registry.to_vec());
        let statement = connection.prepare_cached(select).await.map_err(failed())?;
        let rows = connection.query(&statement, &[&chain_id, &registry, &agent.agent_id.to_string()]).await;
        let rows = rows.map_err(failed())?;
        let served = rows.first().map(|row| {
            Ok(ServedCard { content: sql::column(row, "content")?, registry: sql::address(row, "address")? })
        });
        served.transpose()
    }
}

impl Acceptance<'_> {
    /// A card that is published.
    pub(super) async fn publish_card(&self, handed: &Handed, card: &AgentCard) -> Done {
        let agent = match self.spoken_for(&card.agent_registry, &card.agent_id, handed.signer).await? {
            Ok(agent) => agent,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let file = card.file().map_err(|_| sql::corrupt("a card has no canonical form"))?;
        let cid = Cid::of(file.as_bytes());
        self.keep_file(&cid, &file).await?;
        let update = "UPDATE agent_card SET is_current = FALSE \
                      WHERE chain_id = $1 AND deployment = $2 AND agent_id = $3::text::numeric AND is_current";
        self.sql.execute(update, &[&agent.deployment, &agent.id]).await?;
        self.sql
            .execute(
                "INSERT INTO agent_card (chain_id, deployment, agent_id, version, is_current, digest, signer, name, \
                     description, own_version, url, card_hash, file_sha256, cid, received_at) \
                 SELECT $1, $2, $3::text::numeric, coalesce(max(version), 0) + 1, TRUE, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
                     extract(epoch FROM now())::bigint \
                 FROM agent_card WHERE chain_id = $1 AND deployment = $2 AND agent_id = $3::text::numeric",
                &[
                    &agent.deployment,
                    &agent.id,
                    &handed.digest.as_slice(),
                    &handed.signer.as_slice(),
                    &card.text("name"),
                    &card.text("description"),
                    &card.text("version"),
                    &card.url(),
                    &card.card_hash().as_slice(),
                    &cid.0.as_slice(),
                    &cid.to_string(),
                ],
            )
            .await?;
        Ok(Ok(()))
    }
}
