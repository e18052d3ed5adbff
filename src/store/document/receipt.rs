//! Receipts of requests that are passed on, the paths that they make, and the circles among these.

use alloy::primitives::B256;

use super::agent::Agent;
use super::{Acceptance, Done, Handed};
use crate::document::{CycleReport, ForwardReceipt, Reason, Refusal};
use crate::store::error::StoreError;
use crate::store::sql::{self, signed};

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

    /// The destination must not have had the request before.
    async fn check_path(
        &self,
        receipt: &ForwardReceipt,
        previous: Option<B256>,
        agent: &Agent,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let circle = self.circle(receipt, previous).await?;
        if circle.is_empty() {
            return Ok(Ok(()));
        }
        let prefix = match agent.deployment {
            0 => format!("{}:", self.sql.chain_id),
            _ => format!("{}:{:#x}:", self.sql.chain_id, receipt.agent_registry.address),
        };
        let agents: Vec<String> = circle.iter().map(|agent| format!("{prefix}{agent}")).collect();
        let message = format!(
            "agent {} had the request before: {} would go in a circle",
            receipt.destination_agent_id,
            agents.join(" → ")
        );
        Ok(Err(Reason::CircularDependency { agents }.because(message)))
    }

    /// The agents of the circle that a receipt closes, in the order of the path; none where it closes none. The circle begins
    /// where the destination had the request first; who comes before that is not of it.
    async fn circle(&self, receipt: &ForwardReceipt, previous: Option<B256>) -> Result<Vec<String>, StoreError> {
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
        let first = path.iter().position(|had| *had == destination);
        Ok(first.map(|first| path.split_off(first)).unwrap_or_default())
    }

    /// A report of a circle, by the receipt that closes it. Its signature was checked; here is whether its signer speaks for the
    /// agent that took the request again, and whether the receipts that are held lead back to that agent.
    pub(super) async fn report_cycle(&self, handed: &Handed, report: &CycleReport) -> Done {
        let (receipt, by) = (&report.receipt, report.receipt_signer.address);
        let agent = match self.agent(&receipt.agent_registry, &receipt.destination_agent_id, by).await? {
            Ok(agent) => agent,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if !agent.is_spoken_for_by(by) {
            let message = format!(
                "`receiptSigner` is neither the owner of agent {} nor its agentWallet, as of block {}",
                agent.id, self.block
            );
            return Ok(Err(Reason::Forbidden.because(message)));
        }
        let previous = match self.previous(&agent, receipt).await? {
            Ok(previous) => previous,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (circle, said) = (self.circle(receipt, previous).await?, &report.agent_ids);
        if circle.is_empty() {
            let message =
                "the receipts that are held do not lead back to the receipt's destination: there is no circle";
            return Ok(Err(Reason::NotFound.because(message)));
        }
        let said: Vec<String> = said.iter().map(ToString::to_string).collect();
        if circle != said {
            let message =
                format!("`agentIds` must be the circle {}, as the receipts that are held tell it", circle.join(" → "));
            return Ok(Err(Reason::Conflict.because(message)));
        }
        let inserted = self
            .sql
            .execute(
                "WITH report AS (INSERT INTO cycle_report (chain_id, digest, root_tx_hash, deployment, hop, agents, \
                     receipt_signer, signer, begin_block, received_at) \
                     VALUES ($1, $2, $3, $4, $5, $6::text[]::numeric[], $7, $8, $9, extract(epoch FROM now())::bigint) \
                     ON CONFLICT DO NOTHING RETURNING *) \
                 INSERT INTO cycle_agent (chain_id, deployment, agent_id, digest, begin_block) \
                 SELECT chain_id, deployment, unnest(agents), digest, begin_block FROM report",
                &[
                    &handed.digest.as_slice(),
                    &receipt.root_tx_hash.as_slice(),
                    &agent.deployment,
                    &i16::from(receipt.hop),
                    &said,
                    &by.as_slice(),
                    &handed.signer.as_slice(),
                    &signed(self.block),
                ],
            )
            .await?;
        if inserted == 0 {
            return Ok(Err(Reason::Conflict.because("the circle that this receipt closes was reported before")));
        }
        Ok(Ok(()))
    }
}
