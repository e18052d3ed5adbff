//! Payments that are linked to agents: each once, as the chain has it.

mod look;

use alloy::primitives::Address;

pub use self::look::OpenPayment;
use super::agent::Agent;
use super::{Acceptance, Done, Handed};
use crate::block::{Means, Payment, Transaction, payments};
use crate::document::{PaymentLink, Reason, Refusal};
use crate::store::error::StoreError;
use crate::store::sql::{self, index, signed};

/// Whose an agent was when it was paid.
struct Then {
    owner: Address,
    wallet: Option<Address>,
}

impl Acceptance<'_> {
    /// A payment to an agent, by a transaction that the chain has.
    pub(super) async fn link_payment(&self, handed: &Handed, link: &PaymentLink) -> Done {
        let agent = match self.agent(&link.agent_registry, &link.agent_id, handed.signer).await? {
            Ok(agent) => agent,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let transaction = match &handed.transaction {
            Some(Ok(transaction)) => transaction,
            Some(Err(refusal)) => return Ok(Err(refusal.clone())),
            None => return Ok(Err(Reason::Unavailable.because("the chain was not asked about the transaction"))),
        };
        if let Err(refusal) = self.check_block(transaction).await? {
            return Ok(Err(refusal));
        }
        let Some(then) = self.agent_then(&agent, transaction.block.number).await? else {
            let message = format!("agent {} was not there yet at block {}", agent.id, transaction.block.number);
            return Ok(Err(Reason::NotFound.because(message)));
        };
        let Some(recipient) = then.wallet else {
            let message = format!("agent {} had no agentWallet at block {}", agent.id, transaction.block.number);
            return Ok(Err(Reason::NotFound.because(message)));
        };
        let found = payments(transaction, link.token, recipient, link.amount.0);
        let taken = self.linked(link, recipient).await?;
        let (ordinal, payment) = match choose(handed.signer, &agent, &then, &found, &taken) {
            Ok(chosen) => chosen,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.insert_payment(handed, link, &agent, recipient, transaction, (ordinal, payment)).await?;
        Ok(Ok(()))
    }

    /// The transaction's block must be one that is indexed.
    async fn check_block(&self, transaction: &Transaction) -> Result<Result<(), Refusal>, StoreError> {
        let block = transaction.block;
        if block.number > self.block {
            let message = format!(
                "the transaction is in block {}, and blocks are indexed up to {} here; hand the link in again later",
                block.number, self.block
            );
            return Ok(Err(Reason::Unavailable.because(message)));
        }
        let select = "SELECT hash FROM block WHERE chain_id = $1 AND number = $2 AND hash <> $3";
        if self.sql.query(select, &[&signed(block.number), &block.hash.as_slice()]).await?.is_empty() {
            return Ok(Ok(()));
        }
        let message = "the transaction is in a block that an endpoint has and this node does not: the chain is being \
                       reorganised; hand the link in again later";
        Ok(Err(Reason::Unavailable.because(message)))
    }

    /// The agent's owner and wallet as of a block.
    async fn agent_then(&self, agent: &Agent, block: u64) -> Result<Option<Then>, StoreError> {
        let select = "SELECT owner, agent_wallet FROM agent WHERE chain_id = $1 AND deployment = $2 \
                      AND agent_id = $3::text::numeric AND begin_block <= $4 AND (end_block IS NULL OR end_block > $4)";
        let rows = self.sql.query(select, &[&agent.deployment, &agent.id, &signed(block)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let owner = sql::optional_address(row, "owner")?.unwrap_or_default();
        let wallet = sql::optional_address(row, "agent_wallet")?.filter(|wallet| !wallet.is_zero());
        Ok(Some(Then { owner, wallet }))
    }

    /// Which of the transaction's payments of the kind are linked.
    async fn linked(&self, link: &PaymentLink, recipient: Address) -> Result<Vec<i16>, StoreError> {
        let select = "SELECT ordinal FROM payment_link WHERE chain_id = $1 AND tx_hash = $2 AND token = $3 \
                      AND recipient = $4 AND amount = $5::text::numeric";
        let (tx_hash, token, recipient) = (link.tx_hash.as_slice(), link.token.as_slice(), recipient.as_slice());
        let rows = self.sql.query(select, &[&tx_hash, &token, &recipient, &link.amount.to_string()]).await?;
        rows.iter().map(|row| sql::column(row, "ordinal")).collect()
    }

    async fn insert_payment(
        &self,
        handed: &Handed,
        link: &PaymentLink,
        agent: &Agent,
        recipient: Address,
        transaction: &Transaction,
        (ordinal, payment): (i16, &Payment),
    ) -> Result<(), StoreError> {
        let told = Told::of(transaction, payment);
        self.sql
            .execute(
                "INSERT INTO payment_link (chain_id, digest, deployment, agent_id, tx_hash, token, recipient, amount, \
                     ordinal, payer, means, authorization_nonce, endpoint, status, begin_block, block_hash, paid_at, \
                     log_index, signer, received_at) \
                 VALUES ($1, $2, $3, $4::text::numeric, $5, $6, $7, $8::text::numeric, $9, $10, $11, $12, $13, $14, $15, \
                     $16, $17, $18, $19, extract(epoch FROM now())::bigint)",
                &[
                    &handed.digest.as_slice(),
                    &agent.deployment,
                    &agent.id,
                    &link.tx_hash.as_slice(),
                    &link.token.as_slice(),
                    &recipient.as_slice(),
                    &link.amount.to_string(),
                    &ordinal,
                    &payment.payer.as_slice(),
                    &payment.means.name(),
                    &told.authorization_nonce,
                    &link.endpoint,
                    &told.status,
                    &told.block,
                    &told.block_hash,
                    &told.paid_at,
                    &told.log_index,
                    &handed.signer.as_slice(),
                ],
            )
            .await?;
        Ok(())
    }
}

/// The payment that is linked, with its number: the first that is not yet, of the signer or of whom they speak for.
fn choose<'a>(
    signer: Address,
    agent: &Agent,
    then: &Then,
    found: &'a [Payment],
    taken: &[i16],
) -> Result<(i16, &'a Payment), Refusal> {
    if found.is_empty() {
        let message = "the transaction does not pay so much of `token` to the agentWallet that the agent had then";
        return Err(Reason::NotFound.because(message));
    }
    let may_say = |payment: &Payment| payment.payer == signer || agent.is_spoken_for_by(signer);
    let numbered = found.iter().enumerate().filter_map(|(place, one)| Some((i16::try_from(place).ok()?, one)));
    let sayable: Vec<_> = numbered.filter(|(_, payment)| may_say(payment)).collect();
    if sayable.is_empty() {
        let message = "`signer` neither paid nor speaks for the agent: only the payer, the agent's owner and its \
                       agentWallet can link a payment";
        return Err(Reason::Forbidden.because(message));
    }
    let Some((ordinal, payment)) = sayable.into_iter().find(|(ordinal, _)| !taken.contains(ordinal)) else {
        return Err(Reason::Conflict.because("the payment is linked already"));
    };
    let own = [Some(then.owner), then.wallet, Some(agent.owner), agent.wallet];
    if own.contains(&Some(payment.payer)) {
        let message = "the agent's own owner or wallet paid: that says nothing of the agent";
        return Err(Reason::Forbidden.because(message));
    }
    Ok((ordinal, payment))
}

/// What a row tells of a payment.
struct Told {
    authorization_nonce: Option<Vec<u8>>,
    status: &'static str,
    block: i64,
    block_hash: Vec<u8>,
    paid_at: i64,
    log_index: Option<i32>,
}

impl Told {
    fn of(transaction: &Transaction, payment: &Payment) -> Self {
        Self {
            authorization_nonce: match payment.means {
                Means::Authorization(nonce) => Some(nonce.to_vec()),
                Means::Coin | Means::Transfer => None,
            },
            status: if transaction.succeeded { "CONFIRMED" } else { "FAILED" },
            block: signed(transaction.block.number),
            block_hash: transaction.block.hash.to_vec(),
            paid_at: signed(transaction.timestamp),
            log_index: payment.log_index.map(index),
        }
    }
}
