//! Wallets' agents and their policies: what was said of them last.

use std::sync::Arc;

use alloy::primitives::{B256, U256};
use alloy_dyn_abi::DynSolValue;

use super::super::traffic::Fact;
use super::history::{At, Span};
use super::rows::{Cell, Row, bytea, number, spanned, text};

/// An event, and where it was.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) at: At,
    pub(crate) fact: Arc<Fact>,
}

/// What is said of a wallet's agent.
#[derive(Debug, Clone)]
pub(crate) struct Wallet {
    pub(crate) at: At,
    /// The registration, or the newest update.
    pub(crate) told: Option<Told>,
    /// The newest event that switched it on or off, and whether on.
    pub(super) switched: Option<(At, bool)>,
    /// The newest event that paused or unpaused it, and whether paused.
    pub(super) paused: Option<(At, bool)>,
    pub(crate) created: At,
}

impl Wallet {
    pub(crate) fn is_active(&self) -> bool {
        self.switched.is_none_or(|(_, is_on)| is_on)
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.is_some_and(|(_, is_paused)| is_paused)
    }
}

/// A member of the policy that an event set.
fn member(policy: &Told, place: usize) -> &DynSolValue {
    &policy.fact.get("policy").and_then(DynSolValue::as_tuple).expect("a policy is a tuple")[place]
}

pub(super) fn limit(policy: &Told, place: usize) -> U256 {
    member(policy, place).as_uint().expect("a limit").0
}

pub(super) fn listed(policy: &Told, place: usize) -> &[DynSolValue] {
    member(policy, place).as_array().expect("a list")
}

/// A version's row: its key, its span, the event that made it.
pub(super) fn versioned<T>(span: &Span<T>, at: &At, key: impl IntoIterator<Item = (&'static str, Cell)>) -> Row {
    let mut row = spanned(span, at);
    row.insert("updated_at", number(at.time));
    row.extend(key);
    row
}

pub(super) fn marked(row: &mut Row, [block, log_index]: [&'static str; 2], at: Option<At>) {
    row.insert(block, at.and_then(|at| number(at.block)));
    row.insert(log_index, at.and_then(|at| number(at.log_index)));
}

/// The row of a version of a wallet's agent.
pub(super) fn wallet_row(agent: B256, span: &Span<Wallet>) -> Row {
    let wallet = &span.is;
    let mut row = versioned(span, &wallet.at, [("wallet_agent", bytea(agent))]);
    let told = wallet.told.as_ref();
    row.insert("contract_id", told.and_then(|told| number(told.fact.contract + 1)));
    row.insert("owner", told.and_then(|told| bytea(told.fact.address("owner"))));
    row.insert("wallet", told.and_then(|told| bytea(told.fact.address("wallet"))));
    text(&mut row, "metadata_cid", "metadata_cid_raw", told.map(|told| told.fact.bytes("metadataCid")));
    row.insert("is_active", number(wallet.is_active()));
    marked(&mut row, ["active_block", "active_log_index"], wallet.switched.map(|(at, _)| at));
    row.insert("is_paused", number(wallet.is_paused()));
    marked(&mut row, ["paused_block", "paused_log_index"], wallet.paused.map(|(at, _)| at));
    marked(&mut row, ["created_block", "created_log_index"], Some(wallet.created));
    row.insert("created_at", number(wallet.created.time));
    row
}

/// The row of a version of a policy.
pub(super) fn policy_row(agent: B256, span: &Span<Told>) -> Row {
    let policy = &span.is;
    let mut row = versioned(span, &policy.at, [("wallet_agent", bytea(agent))]);
    for (place, column) in
        ["max_spend_per_day", "max_tx_per_day", "max_tx_per_hour", "max_value_per_tx"].into_iter().enumerate()
    {
        row.insert(column, number(limit(policy, place)));
    }
    let chains = listed(policy, 4).iter().map(|chain| chain.as_uint().expect("a chain").0.to_string());
    row.insert("allowed_chains", Some(format!("[{}]", chains.collect::<Vec<_>>().join(","))));
    let whitelist = listed(policy, 5)
        .iter()
        .map(|one| format!("\"\\\\x{}\"", alloy::hex::encode(one.as_address().expect("an address"))));
    row.insert("whitelist", Some(format!("[{}]", whitelist.collect::<Vec<_>>().join(","))));
    row.insert("risk_level", number(limit(policy, 6)));
    row
}
