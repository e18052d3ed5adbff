//! What the chain says of an agent that a document is about, as of the newest block.

use alloy::primitives::Address;

use super::Acceptance;
use crate::document::{Reason, Refusal, Uint};
use crate::id::AccountId;
use crate::store::error::StoreError;
use crate::store::sql;

/// An agent as it is on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agent {
    pub(super) deployment: i16,
    /// Its number, in decimal digits.
    pub(super) id: String,
    pub(super) owner: Address,
    pub(super) wallet: Option<Address>,
    /// Whether the account that was asked about is approved for the agent, or an operator of its owner.
    pub(super) is_operator: bool,
}

impl Agent {
    /// Whether an account may speak for the agent: its owner, or its wallet.
    pub(super) fn is_spoken_for_by(&self, account: Address) -> bool {
        account == self.owner || Some(account) == self.wallet
    }
}

impl Acceptance<'_> {
    /// The agent of a registry, for whom the signer may speak.
    pub(super) async fn spoken_for(
        &self,
        registry: &AccountId,
        agent_id: &Uint,
        signer: Address,
    ) -> Result<Result<Agent, Refusal>, StoreError> {
        let agent = self.agent(registry, agent_id, signer).await?;
        Ok(agent.and_then(|agent| {
            if agent.is_spoken_for_by(signer) {
                return Ok(agent);
            }
            let message = format!(
                "`signer` is neither the owner of agent {} nor its agentWallet, as of block {}",
                agent.id, self.block
            );
            Err(Reason::Forbidden.because(message))
        }))
    }

    /// The agent of a registry, and whether an account acts for it.
    pub(super) async fn agent(
        &self,
        registry: &AccountId,
        agent_id: &Uint,
        account: Address,
    ) -> Result<Result<Agent, Refusal>, StoreError> {
        let select = "SELECT k.deployment, a.owner, a.agent_wallet, a.approved IS NOT DISTINCT FROM $4 OR EXISTS ( \
                          SELECT FROM operator_approval p WHERE p.chain_id = $1 AND p.deployment = k.deployment \
                          AND p.owner = a.owner AND p.operator = $4 AND p.end_block IS NULL) AS is_operator \
                      FROM contract k LEFT JOIN agent a ON a.chain_id = $1 AND a.deployment = k.deployment \
                          AND a.agent_id = $3::text::numeric AND a.end_block IS NULL \
                      WHERE k.chain_id = $1 AND k.role = 'identity' AND k.address = $2";
        let id = agent_id.to_string();
        let rows = self.sql.query(select, &[&registry.address.as_slice(), &id, &account.as_slice()]).await?;
        let Some(row) = rows.first() else {
            let message = format!("no identity registry {registry} is indexed here");
            return Ok(Err(Reason::NotFound.because(message)));
        };
        let owner = sql::optional_address(row, "owner")?.filter(|owner| !owner.is_zero());
        let Some(owner) = owner else {
            let message = format!("agent {id} of registry {registry} is not there as of block {}", self.block);
            return Ok(Err(Reason::NotFound.because(message)));
        };
        Ok(Ok(Agent {
            deployment: sql::column(row, "deployment")?,
            id,
            owner,
            wallet: sql::optional_address(row, "agent_wallet")?,
            is_operator: sql::column(row, "is_operator")?,
        }))
    }
}
