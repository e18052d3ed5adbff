//! Agent cards: each one takes the place of the one before.

use super::{Acceptance, Done, Handed};
use crate::document::{AgentCard, Cid};
use crate::store::sql;

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
