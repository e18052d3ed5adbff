//! Whether a signer signed: by their key, or, where an account has code, by what that says.

use std::sync::Arc;

use alloy::primitives::{Address, B256};

use super::endpoints::Endpoints;
use crate::block::BlockRef;
use crate::chain::{ChainError, State};
use crate::document::{Reason, Refusal};
use crate::sign;
use crate::store::Store;

/// How it is known that somebody signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The account's own key made the signature.
    Key,
    /// The account's code takes it as its own (ERC-1271), as of this block; code that was yet to be deployed (ERC-6492)
    /// among it.
    Code {
        /// The block.
        block: u64,
    },
}

/// The wallets of a network.
pub(super) struct Wallets {
    endpoints: Arc<Endpoints>,
}

impl Wallets {
    pub(super) fn new(endpoints: Arc<Endpoints>) -> Self {
        Self { endpoints }
    }

    /// Makes sure that an account signed a hash.
    pub(super) async fn check(
        &self,
        store: &Store,
        signer: Address,
        hash: B256,
        signature: &[u8],
    ) -> Result<Method, Refusal> {
        let by_key = sign::recover(&hash, signature);
        if by_key == Ok(signer) {
            return Ok(Method::Key);
        }
        let block = self.newest(store).await?;
        if self.ask(signer, hash, signature, block).await? {
            return Ok(Method::Code { block: block.number });
        }
        let why = match by_key {
            Ok(other) => format!("it is of {other}, and not of `signer`, whose code does not take it either"),
            Err(reason) if sign::is_wrapped(signature) => format!("no wallet takes it, deployed or not ({reason})"),
            Err(reason) => reason.to_string(),
        };
        Err(Reason::InvalidSignature.because(format!("`signature` is not the signer's: {why}")))
    }

    /// The newest block that is indexed: what the document is held against is of one state.
    async fn newest(&self, store: &Store) -> Result<BlockRef, Refusal> {
        let held =
            store.newest_held(self.endpoints.network.chain_id, u64::MAX).await.map_err(|error| super::away(&error))?;
        let held = held.ok_or_else(|| Reason::Unavailable.because("no block of the network is indexed yet"))?;
        Ok(BlockRef { number: held.number, hash: held.hash })
    }

    async fn ask(&self, signer: Address, hash: B256, signature: &[u8], block: BlockRef) -> Result<bool, Refusal> {
        let away = |error: ChainError| {
            tracing::warn!(network = self.endpoints.network.name, %error, "a wallet could not be asked about a signature");
            let message =
                "no endpoint of the chain answers whether the signer's wallet takes the signature; try again later";
            Reason::Unavailable.because(message)
        };
        let chain = self.endpoints.chain().await.map_err(away)?;
        let answer = chain.run(sign::question(signer, hash, signature), sign::GAS, State::After(block)).await;
        Ok(sign::says_yes(&answer.map_err(away)?))
    }
}
