//! Signed documents, joined to the chain where it speaks of the same.
//!
//! Documents are not of the chain: they stand in every answer, as of whatever block. What joins them to it is found out as
//! of the block that is read, so that a reorganisation moves the join and never the document.

mod card;
mod feedback;
mod manifest;
pub(super) mod payment;
mod validation;

pub(super) use self::card::{AGENT_CARD, AGENT_CARD_VERSION};
pub(super) use self::feedback::{OFFCHAIN_FEEDBACK, OFFCHAIN_FEEDBACK_VERSION};
pub(super) use self::manifest::{CYCLE_REPORT, ENDPOINT_MANIFEST, FORWARD_RECEIPT};
pub(super) use self::payment::{PAYMENT_LINK, PAYMENT_TOTAL};
pub(super) use self::validation::{OFFCHAIN_VALIDATION, OFFCHAIN_VALIDATION_RESPONSE};
use super::Field;

/// SQL of an account's id (CAIP-10).
macro_rules! account {
    ($column:literal) => {
        concat!("'eip155:' || {t}.chain_id || ':0x' || encode(", $column, ", 'hex')")
    };
}
use account;

/// SQL that an account owns the agent of `{t}`, or is its wallet.
macro_rules! speaks {
    ($account:literal) => {
        concat!(
            "EXISTS (SELECT FROM agent a WHERE a.chain_id = {t}.chain_id AND a.deployment = {t}.deployment \
             AND a.agent_id = {t}.agent_id AND {live a} AND ",
            $account,
            " IN (a.owner, a.agent_wallet))"
        )
    };
}
use speaks;

/// How a document came, of rows that are joined to it; `signer` is the SQL of its signer's account.
fn signed_fields(signer: &'static str) -> Vec<Field> {
    vec![
        Field::text("signer", signer, "Who signed the document (CAIP-10)."),
        Field::bytes("signature", "{t}.signature", "The signature."),
        Field::numeric("nonce", "{t}.nonce", "The document's nonce."),
        Field::integer("checkedBlock", "{t}.checked_block", "The block as of which the signer's right was checked."),
    ]
}
