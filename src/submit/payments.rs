//! What the chain says of the payments that are linked: once when a link is handed in, and again until it is final.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::endpoints::Endpoints;
use crate::block::Transaction;
use crate::chain::ChainError;
use crate::document::{PaymentLink, Reason, Refusal};
use crate::store::{Store, StoreError};

/// The transaction that a link names, for the store to find the payment in.
pub(super) async fn transaction(endpoints: &Endpoints, link: &PaymentLink) -> Result<Transaction, Refusal> {
    let tokens = &endpoints.network.payment_tokens;
    if !link.token.is_zero() && !tokens.contains(&link.token) {
        let known: Vec<_> = tokens.iter().map(ToString::to_string).collect();
        let known = if known.is_empty() { "no other".to_owned() } else { known.join(", ") };
        let message = format!(
            "`token` must be one that is known here: zeros for the chain's own coin, or of tokens {known}; it is {}",
            link.token
        );
        return Err(Reason::BadInput.because(message));
    }
    let told = async { endpoints.chain().await?.transaction(link.tx_hash).await };
    let told = told.await.map_err(|error: ChainError| {
        tracing::warn!(network = endpoints.network.name, %error, "a payment's transaction could not be asked for");
        Reason::Unavailable
            .because("the chain's endpoints do not tell the transaction now; hand the link in again later")
    })?;
    told.ok_or_else(|| {
        let message = format!("no block has the transaction {}; hand the link in again once one has", link.tx_hash);
        Reason::NotFound.because(message)
    })
}

/// Looks again and again at the payments that are not final.
pub(super) async fn keep_looking(store: Arc<Store>, endpoints: Arc<Endpoints>, every: Duration) {
    loop {
        sleep(every).await;
        if let Err(error) = look(&store, &endpoints).await {
            tracing::warn!(network = endpoints.network.name, %error, "payments cannot be looked at; it is tried again");
        }
    }
}

async fn look(store: &Store, endpoints: &Endpoints) -> Result<(), StoreError> {
    let chain_id = endpoints.network.chain_id;
    let mut looked_at = Vec::new();
    for payment in store.open_payments(chain_id).await? {
        let told = async { endpoints.chain().await?.transaction(payment.tx_hash).await };
        match told.await {
            Ok(transaction) => looked_at.push((payment, transaction)),
            Err(error) => {
                // What is known of the others is kept; the rest waits for a better moment.
                tracing::warn!(network = endpoints.network.name, %error, "a payment's transaction is not told");
                break;
            }
        }
    }
    if looked_at.is_empty() { Ok(()) } else { store.look_at_payments(chain_id, &looked_at).await }
}
