//! Manifests by documents: each one takes the place of the one before, and what that changes is a flip.

use std::sync::PoisonError;

use alloy::primitives::Address;

use super::agent::Agent;
use super::{Acceptance, Done, Handed};
use crate::document::{Manifest, ManifestRevocation, Reason};
use crate::id::AgentId;
use crate::manifest::Flip;
use crate::store::error::StoreError;
use crate::store::sql::{self, signed};

/// An agent's newest manifest.
struct Before {
    nonce: String,
    is_lower: bool,
    endpoint: String,
    pubkey: String,
    owner: Address,
    seconds: i64,
}

impl Acceptance<'_> {
    /// A manifest that is published.
    pub(super) async fn publish_manifest(&self, handed: &Handed, manifest: &Manifest) -> Done {
        let agent = match self.spoken_for(&manifest.agent_registry, &manifest.agent_id, handed.signer).await? {
            Ok(agent) => agent,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let before = self.newest_manifest(&agent, manifest).await?;
        if let Some(before) = before.as_ref().filter(|before| !before.is_lower) {
            let message = format!("`nonce` must be higher than {}, that of the agent's newest manifest", before.nonce);
            return Ok(Err(Reason::NonceTooLow.because(message)));
        }
        let update = "UPDATE endpoint_manifest SET is_current = FALSE \
                      WHERE chain_id = $1 AND deployment = $2 AND agent_id = $3::text::numeric AND is_current";
        self.sql.execute(update, &[&agent.deployment, &agent.id]).await?;
        self.sql
            .execute(
                "INSERT INTO endpoint_manifest (chain_id, deployment, agent_id, nonce, is_current, digest, signer, owner, \
                     endpoint, pubkey, valid_from, valid_until, received_at) \
                 VALUES ($1, $2, $3::text::numeric, $4::text::numeric, TRUE, $5, $6, $7, $8, $9, $10, $11, \
                     extract(epoch FROM now())::bigint)",
                &[
                    &agent.deployment,
                    &agent.id,
                    &manifest.nonce.to_string(),
                    &handed.digest.as_slice(),
                    &handed.signer.as_slice(),
                    &agent.owner.as_slice(),
                    &manifest.endpoint_uri,
                    &manifest.pubkey,
                    &signed(manifest.valid_from.as_u64()),
                    &signed(manifest.valid_until.as_u64()),
                ],
            )
            .await?;
        if let Some(before) = before {
            let flip = self.add_flip(handed, &agent, manifest, &before).await?;
            let registry = Some(manifest.agent_registry.address).filter(|_| agent.deployment != 0);
            let id = AgentId { chain_id: self.sql.chain_id, registry, agent_id: manifest.agent_id.0 };
            let mut flips = self.flips.lock().unwrap_or_else(PoisonError::into_inner);
            let count = flips.entry(id).or_default();
            count.flips += 1;
            count.suspicious += u64::from(flip.is_suspicious());
        }
        Ok(Ok(()))
    }

    /// The end of a manifest.
    pub(super) async fn revoke_manifest(&self, handed: &Handed, revocation: &ManifestRevocation) -> Done {
        let agent = match self.spoken_for(&revocation.agent_registry, &revocation.agent_id, handed.signer).await? {
            Ok(agent) => agent,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let select = "SELECT revoked_at IS NOT NULL AS is_revoked FROM endpoint_manifest WHERE chain_id = $1 AND digest = $2 \
                      AND deployment = $3 AND agent_id = $4::text::numeric";
        let hash = revocation.manifest_hash;
        let rows = self.sql.query(select, &[&hash.as_slice(), &agent.deployment, &agent.id]).await?;
        let Some(row) = rows.first() else {
            let message = format!("`manifestHash` must be the digest of a manifest of the agent; {hash} is none");
            return Ok(Err(Reason::NotFound.because(message)));
        };
        if sql::column(row, "is_revoked")? {
            return Ok(Err(Reason::Conflict.because("`manifestHash` is a manifest that was revoked already")));
        }
        let update = "UPDATE endpoint_manifest SET revoked_at = extract(epoch FROM now())::bigint, revocation = $3 \
                      WHERE chain_id = $1 AND digest = $2";
        self.sql.execute(update, &[&hash.as_slice(), &handed.digest.as_slice()]).await?;
        Ok(Ok(()))
    }

    async fn newest_manifest(&self, agent: &Agent, manifest: &Manifest) -> Result<Option<Before>, StoreError> {
        let select = "SELECT nonce::text AS nonce, nonce < $4::text::numeric AS is_lower, endpoint, pubkey, owner, \
                          extract(epoch FROM now())::bigint - received_at AS seconds \
                      FROM endpoint_manifest \
                      WHERE chain_id = $1 AND deployment = $2 AND agent_id = $3::text::numeric AND is_current";
        let nonce = manifest.nonce.to_string();
        let rows = self.sql.query(select, &[&agent.deployment, &agent.id, &nonce]).await?;
        let before = rows.first().map(|row| {
            Ok(Before {
                nonce: sql::column(row, "nonce")?,
                is_lower: sql::column(row, "is_lower")?,
                endpoint: sql::column(row, "endpoint")?,
                pubkey: sql::column(row, "pubkey")?,
                owner: sql::address(row, "owner")?,
                seconds: sql::column(row, "seconds")?,
            })
        });
        before.transpose()
    }

    /// Adds what a manifest changes, with what the agent's flips add up to by then.
    async fn add_flip(
        &self,
        handed: &Handed,
        agent: &Agent,
        manifest: &Manifest,
        before: &Before,
    ) -> Result<Flip, StoreError> {
        let flip = Flip {
            time_delta: u64::try_from(before.seconds).unwrap_or_default(),
            endpoint_changed: manifest.endpoint_uri != before.endpoint,
            pubkey_changed: manifest.pubkey != before.pubkey,
        };
        let block = signed(self.block);
        self.sql
            .execute(
                "WITH last AS (UPDATE signed_flip SET end_block = $4 WHERE chain_id = $1 AND deployment = $2 \
                     AND agent_id = $3::text::numeric AND end_block IS NULL RETURNING *), \
                 sums AS (SELECT max(flips) AS flips, max(rapid) AS rapid, max(endpoint_changes) AS endpoint_changes, \
                     max(suspicious) AS suspicious, max(score_sum) AS score_sum FROM last) \
                 INSERT INTO signed_flip (chain_id, deployment, agent_id, flips, begin_block, created_at, time_delta, \
                     endpoint, previous_endpoint, pubkey, previous_pubkey, owner, previous_owner, endpoint_changed, \
                     pubkey_changed, owner_changed, score, rapid, endpoint_changes, suspicious, score_sum, digest) \
                 SELECT $1::bigint, $2::smallint, $3::text::numeric, coalesce(flips, 0) + 1, $4::bigint, \
                     extract(epoch FROM now())::bigint, $5::bigint, $6::text, CASE WHEN $10::boolean THEN $7::text END, \
                     $8::text, $9::text, $12::bytea, $13::bytea, $10, $11::boolean, $12 <> $13, $14::smallint, \
                     coalesce(rapid, 0) + $15::bigint, coalesce(endpoint_changes, 0) + $10::integer, \
                     coalesce(suspicious, 0) + $16::bigint, coalesce(score_sum, 0) + $14, $17::bytea FROM sums",
                &[
                    &agent.deployment,
                    &agent.id,
                    &block,
                    &before.seconds.max(0),
                    &manifest.endpoint_uri,
                    &before.endpoint,
                    &manifest.pubkey,
                    &before.pubkey,
                    &flip.endpoint_changed,
                    &flip.pubkey_changed,
                    &agent.owner.as_slice(),
                    &before.owner.as_slice(),
                    &i16::from(flip.score()),
                    &i64::from(flip.is_rapid()),
                    &i64::from(flip.is_suspicious()),
                    &handed.digest.as_slice(),
                ],
            )
            .await?;
        Ok(flip)
    }
}
