//! Receipts of requests that are passed on, and the paths that they make.

use alloy::primitives::B256;

use super::agent::Agent;
use super::{Acceptance, Done, Handed};
use crate::document::{ForwardReceipt, Reason, Refusal};
use crate::store::error::StoreError;
use crate::store::sql;

/// The hops behind a receipt, from it back to the first, of the deployment `$2`: each agent that had the request.
const BACK: &str = "WITH RECURSIVE back AS ( \
         SELECT r.* FROM forward_receipt r WHERE r.chain_id = $1 AND r.digest = $2 \
         UNION ALL SELECT r.* FROM back b JOIN forward_receipt r ON r.chain_id = $1 AND r.digest = b.previous) \
     SELECT hop, source::text AS source, destination::text AS destination FROM back ORDER BY hop";

impl Acceptance<'_> {
    /// A receipt of an agent that took over.
    pub(super) async fn record_forward(&self, handed: &Handed, receipt: &ForwardReceipt) -> Done {
        let agent = match self.spoken_for(&receipt.agent_registry, &receipt.destination_agent_id, handed.signer).await?
        {
            Ok(agent) => agent,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Err(refusal) = self.agent(&receipt.agent_registry, &receipt.source_agent_id, handed.signer).await? {
            return Ok(Err(refusal));
        }
        if let Err(refusal) = self.check_manifest(&agent, receipt).await? {
            return Ok(Err(refusal));
        }
        let previous = match self.previous(&agent, receipt).await? {
            Ok(previous) => previous,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let Err(refusal) = self.check_path(receipt, previous, &agent).await? {
            return Ok(Err(refusal));
        }
        let previous = previous.map(|previous| previous.to_vec());
        let inserted = self
            .sql
            .execute(
                "INSERT INTO forward_receipt (chain_id, digest, root_tx_hash, hop, deployment, source, destination, manifest, \
                     next_hop_hash, previous, signer, received_at) \
                 VALUES ($1, $2, $3, $4, $5, $6::text::numeric, $7::text::numeric, $8, $9, $10, $11, \
                     extract(epoch FROM now())::bigint) ON CONFLICT DO NOTHING",
                &[
                    &handed.digest.as_slice(),
                    &receipt.root_tx_hash.as_slice(),
                    &i16::from(receipt.hop),
                    &agent.deployment,
                    &receipt.source_agent_id.to_string(),
                    &receipt.destination_agent_id.to_string(),
                    &receipt.manifest_hash.as_slice(),
                    &receipt.next_hop_hash.as_slice(),
                    &previous,
                    &handed.signer.as_slice(),
                ],
            )
            .await?;
        if inserted == 0 {
            return Ok(
                Err(Reason::Conflict.because("a receipt of this hop between these agents was handed in before")),
            );
        }
        Ok(Ok(()))
    }

    /// The manifest must be the destination's, and in force.
    async fn check_manifest(&self, agent: &Agent, receipt: &ForwardReceipt) -> Result<Result<(), Refusal>, StoreError> {
        let select = "SELECT revoked_at IS NOT NULL OR extract(epoch FROM now())::bigint NOT BETWEEN valid_from AND valid_until \
                          AS is_over \
                      FROM endpoint_manifest WHERE chain_id = $1 AND digest = $2 AND deployment = $3 \
                      AND agent_id = $4::text::numeric";
        let hash = receipt.manifest_hash;
        let rows = self.sql.query(select, &[&hash.as_slice(), &agent.deployment, &agent.id]).await?;
        let Some(row) = rows.first() else {
            let message = format!("`manifestHash` must be the digest of a manifest of the destination; {hash} is none");
            return Ok(Err(Reason::NotFound.because(message)));
        };
        if sql::column(row, "is_over")? {
            return Ok(Err(
                Reason::Expired.because("`manifestHash` is a manifest that is not in force: over, to come or revoked")
            ));
        }
        Ok(Ok(()))
    }

    /// The receipt by which the source had the request; there is none at the first hop.
    async fn previous(
        &self,
        agent: &Agent,
        receipt: &ForwardReceipt,
    ) -> Result<Result<Option<B256>, Refusal>, StoreError> {
        let Some(hop) = i16::from(receipt.hop).checked_sub(1).filter(|hop| *hop >= 0) else { return Ok(Ok(None)) };
        let select = "SELECT digest FROM forward_receipt WHERE chain_id = $1 AND root_tx_hash = $2 AND deployment = $3 \
                      AND hop = $4 AND destination = $5::text::numeric ORDER BY received_at DESC, digest LIMIT 1";
        let source = receipt.source_agent_id.to_string();
        let rows =
            self.sql.query(select, &[&receipt.root_tx_hash.as_slice(), &agent.deployment, &hop, &source]).await?;
        let Some(row) = rows.first() else {
            let message = format!(
                "agent {source} has no receipt of hop {hop} of this transaction, so it passed nothing on at hop {}",
                receipt.hop
            );
            return Ok(Err(Reason::NotFound.because(message)));
        };
        Ok(Ok(Some(sql::hash(row, "digest")?)))
    }

    /// The destination must not have had the request before. The circle begins where it had it first; who comes before
    /// that is not of it.
    async fn check_path(
        &self,
        receipt: &ForwardReceipt,
        previous: Option<B256>,
        agent: &Agent,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let mut path: Vec<String> = Vec::new();
        if let Some(previous) = previous {
            for row in self.sql.query(BACK, &[&previous.as_slice()]).await? {
                if path.is_empty() {
                    path.push(sql::column(&row, "source")?);
                }
                path.push(sql::column(&row, "destination")?);
            }
        } else {
            path.push(receipt.source_agent_id.to_string());
        }
        let destination = receipt.destination_agent_id.to_string();
        let Some(first) = path.iter().position(|had| *had == destination) else { return Ok(Ok(())) };
        let prefix = match agent.deployment {
            0 => format!("{}:", self.sql.chain_id),
            _ => format!("{}:{:#x}:", self.sql.chain_id, receipt.agent_registry.address),
        };
        let agents: Vec<String> = path[first..].iter().map(|agent| format!("{prefix}{agent}")).collect();
        let message =
            format!("agent {destination} had the request before: {} would go in a circle", agents.join(" → "));
        Ok(Err(Reason::CircularDependency { agents }.because(message)))
    }
}
