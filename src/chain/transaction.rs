//! One transaction and what came of it, as the endpoints tell it: of every endpoint that answers, because nobody can say of
//! a transaction that is not told whether there is none or an endpoint lags (F2), and because payments are held by it (F12).

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy::primitives::B256;
use futures_util::future::join_all;

use super::classify::Kind;
use super::endpoint::{Call, Endpoint};
use super::error::{ChainError, Failure};
use super::wire::{self, WireOutcome, WireTransaction};
use super::{Chain, check};
use crate::block::{BlockRef, Transaction};

impl Chain {
    /// A transaction that a block holds, as most of the endpoints tell it, and as many as the quorum wants. Nothing: none of
    /// them knows it, or it is still to come.
    ///
    /// # Errors
    /// [`ChainError`] when no endpoint answers, or too few of them tell the same.
    pub async fn transaction(&self, hash: B256) -> Result<Option<Transaction>, ChainError> {
        let ask = |endpoint: Arc<Endpoint>| async move { endpoint.transaction(hash).await };
        let ranked = self.pool.by_rank();
        let asked = join_all(ranked.iter().map(|endpoint| self.pool.ask_one(endpoint, &ask))).await;
        let mut failure = None;
        let mut told: Vec<Option<Transaction>> = Vec::with_capacity(asked.len());
        for answer in asked {
            match answer {
                Ok(answer) => told.push(answer),
                Err(failed) => failure = Some(failed),
            }
        }
        if told.is_empty() {
            // Once more, with the patience that a single endpoint is due.
            told.push(self.pool.ask(ask).await?);
        }
        // Whoever has a transaction knows more than whoever has none. Among equals the better endpoint comes first.
        let alike = |one: &Option<Transaction>| told.iter().filter(|other| *other == one).count();
        let most = told.iter().rev().max_by_key(|answer| (answer.is_some(), alike(answer))).cloned().flatten();
        let at = most.as_ref().map_or(0, |transaction| transaction.block.number);
        self.check_quorum(alike(&most), (at, at), failure)?;
        Ok(most)
    }
}

impl Endpoint {
    /// The transaction and its receipt; nothing where either is missing.
    async fn transaction(&self, hash: B256) -> Result<Option<Transaction>, Failure> {
        let call = wire::outcome(hash);
        let Some(outcome) = self.request::<Option<WireOutcome>>(&call).await? else { return Ok(None) };
        let told = self.request::<Option<WireTransaction>>(&wire::transaction(hash)).await?;
        let Some(told) = told.filter(|told| told.block_hash.is_some()) else { return Ok(None) };
        let number = outcome.block_number.to();
        let Some(header) = self.header(number).await? else { return Ok(None) };
        let block = BlockRef { number, hash: outcome.block_hash };
        if header.hash != block.hash || told.block_hash != Some(block.hash) {
            // The chain changed between the answers.
            return Err(self.failure(
                Kind::Inconsistent,
                &call,
                "the receipt is of another block than the transaction",
            ));
        }
        let logs = self.logs_of(&call, hash, block, outcome.logs)?;
        if told.hash != hash || outcome.transaction_hash != hash {
            return Err(self.failure(Kind::Inconsistent, &call, "the answer is about another transaction"));
        }
        Ok(Some(Transaction {
            hash,
            block,
            timestamp: header.timestamp,
            from: told.from,
            to: told.to,
            value: told.value,
            input: told.input,
            succeeded: outcome.status.to::<u64>() == 1,
            logs,
        }))
    }

    /// The receipt's logs, each of which must be the transaction's.
    fn logs_of(
        &self,
        call: &Call,
        hash: B256,
        block: BlockRef,
        logs: Vec<wire::WireLog>,
    ) -> Result<Vec<crate::block::Log>, Failure> {
        let inconsistent = |reason: &str| self.failure(Kind::Inconsistent, call, reason);
        let logs: Vec<_> =
            logs.into_iter().map(check::sealed).collect::<Result<_, _>>().map_err(|e| inconsistent(&e))?;
        let by_place: BTreeMap<_, _> = logs.into_iter().map(|log| (log.log_index, log)).collect();
        let logs: Vec<_> = by_place.into_values().collect();
        if logs.iter().any(|log| log.transaction_hash != hash || log.block != block) {
            return Err(inconsistent("a log of the receipt is of another transaction"));
        }
        Ok(logs)
    }
}
