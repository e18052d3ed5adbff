//! Payments that are looked at again: where the chain has moved them, and once they are final.

use alloy::primitives::{Address, B256, U256};

use super::Told;
use crate::block::{Transaction, payments};
use crate::id::ChainId;
use crate::store::Store;
use crate::store::document::{Acceptance, lock};
use crate::store::error::StoreError;
use crate::store::sql::{self, Sql, signed};

/// Most payments that are looked at again in one go.
const MOST: i64 = 100;

/// A payment whose transaction may have moved to another block, or be final by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenPayment {
    digest: B256,
    /// The transaction.
    pub tx_hash: B256,
    token: Address,
    recipient: Address,
    amount: U256,
    ordinal: i16,
}

impl Store {
    /// The payments that the chain is to be asked about again: whose block was displaced, or is final by now, and which were
    /// missing when they were looked at: those soon at first, and later once a minute.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open_payments(&self, chain_id: ChainId) -> Result<Vec<OpenPayment>, StoreError> {
        let failed = || StoreError::database("find open payments");
        let connection = self.write().await?;
        let select = "SELECT p.digest, p.tx_hash, p.token, p.recipient, p.amount::text AS amount, p.ordinal \
                      FROM payment_link p JOIN cursor c ON c.chain_id = p.chain_id \
                      WHERE p.chain_id = $1 AND NOT p.is_settled AND CASE p.status \
                          WHEN 'DROPPED' THEN p.looked_at < now() - least(interval '1 minute', \
                              (p.looked_at - to_timestamp(p.received_at)) / 8) \
                          ELSE p.begin_block <= c.finalized_number OR p.begin_block > c.tip_number \
                              OR EXISTS (SELECT FROM block b WHERE b.chain_id = p.chain_id AND b.number = p.begin_block \
                                  AND b.hash <> p.block_hash) END \
                      ORDER BY p.looked_at LIMIT $2";
        let statement = connection.prepare_cached(select).await.map_err(failed())?;
        let rows = connection.query(&statement, &[&signed(chain_id), &MOST]).await.map_err(failed())?;
        rows.iter()
            .map(|row| {
                let amount: &str = sql::column(row, "amount")?;
                Ok(OpenPayment {
                    digest: sql::hash(row, "digest")?,
                    tx_hash: sql::hash(row, "tx_hash")?,
                    token: sql::address(row, "token")?,
                    recipient: sql::address(row, "recipient")?,
                    amount: amount.parse().map_err(|_| sql::corrupt("payment_link.amount"))?,
                    ordinal: sql::column(row, "ordinal")?,
                })
            })
            .collect()
    }

    /// Writes down what the chain says of payments now.
    ///
    /// # Errors
    /// What the database says; then nothing is written.
    pub async fn look_at_payments(
        &self,
        chain_id: ChainId,
        looked_at: &[(OpenPayment, Option<Transaction>)],
    ) -> Result<(), StoreError> {
        const OPERATION: &str = "look at payments";
        let mut connection = self.write().await?;
        let transaction = connection.transaction().await.map_err(StoreError::database(OPERATION))?;
        let sql = Sql::new(transaction, OPERATION, chain_id);
        let Ok((seq, block)) = lock(&sql).await? else { return Ok(()) };
        let acceptance = Acceptance::new(sql, block);
        let mut changed = 0;
        for (payment, transaction) in looked_at {
            changed += acceptance.look_at_payment(payment, transaction.as_ref()).await?;
        }
        if changed > 0 {
            acceptance.tell(seq + 1).await?;
        }
        acceptance.sql.commit().await
    }
}

impl Acceptance<'_> {
    /// Writes down what the chain says of a payment now; returns whether that is something else than before.
    async fn look_at_payment(&self, open: &OpenPayment, now: Option<&Transaction>) -> Result<u64, StoreError> {
        let now = match now {
            Some(transaction) if self.check_block(transaction).await?.is_ok() => Some(transaction),
            _ => None,
        };
        let found = now.and_then(|transaction| {
            let found = payments(transaction, open.token, open.recipient, open.amount);
            let payment = found.get(usize::try_from(open.ordinal).ok()?)?;
            Some((payment.payer, Told::of(transaction, payment)))
        });
        let digest = open.digest.as_slice();
        let Some((payer, told)) = found else {
            // A day is longer than any transaction waits for another block.
            let update = "WITH p AS (SELECT chain_id, digest, status FROM payment_link WHERE chain_id = $1 AND digest = $2) \
                          UPDATE payment_link n SET status = 'DROPPED', looked_at = now(), \
                              is_settled = n.received_at < extract(epoch FROM now()) - 86400 \
                          FROM p WHERE n.chain_id = p.chain_id AND n.digest = p.digest \
                          RETURNING p.status <> 'DROPPED' AS is_other";
            return self.is_other(update, &[&digest]).await;
        };
        let update = "WITH p AS (SELECT chain_id, digest, status, block_hash FROM payment_link \
                          WHERE chain_id = $1 AND digest = $2) \
                      UPDATE payment_link n SET status = $3, begin_block = $4, block_hash = $5, paid_at = $6, log_index = $7, \
                          payer = $8, authorization_nonce = $9, looked_at = now(), \
                          is_settled = $4 <= (SELECT finalized_number FROM cursor c WHERE c.chain_id = $1) IS TRUE \
                      FROM p WHERE n.chain_id = p.chain_id AND n.digest = p.digest \
                      RETURNING (p.status, p.block_hash) <> (n.status, n.block_hash) AS is_other";
        let Told { authorization_nonce, status, block, block_hash, paid_at, log_index } = told;
        let payer = payer.as_slice();
        self.is_other(
            update,
            &[&digest, &status, &block, &block_hash, &paid_at, &log_index, &payer, &authorization_nonce],
        )
        .await
    }

    async fn is_other(&self, update: &str, parameters: &[sql::Parameter<'_>]) -> Result<u64, StoreError> {
        let rows = self.sql.query(update, parameters).await?;
        Ok(u64::from(rows.first().map(|row| sql::column(row, "is_other")).transpose()?.unwrap_or(false)))
    }
}
