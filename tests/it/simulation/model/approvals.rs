//! Operators that may act for all agents of an owner.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::Address;

use super::super::traffic::Fact;
use super::history::{At, History};
use super::rows::{Rows, bytea, number, spanned};

/// By deployment, owner and operator.
#[derive(Debug, Default, Clone)]
pub(crate) struct Approvals(BTreeMap<(u16, Address, Address), History<At>>);

impl Approvals {
    pub(super) fn fold(&mut self, deployment: u16, fact: &Fact, at: At) {
        let key = (deployment, fact.address("owner"), fact.address("operator"));
        let history = self.0.entry(key).or_default();
        match (history.now().is_some(), fact.flag("approved")) {
            (false, true) => history.set(at.block, at),
            (true, false) => history.end(at.block),
            _ => {}
        }
    }

    /// The operators that may act for an owner's agents.
    pub(crate) fn operators(&self, deployment: u16, owner: Address) -> BTreeSet<Address> {
        let given =
            self.0.iter().filter(|((of, by, _), history)| (*of, *by) == (deployment, owner) && history.now().is_some());
        given.map(|((.., operator), _)| *operator).collect()
    }

    pub(super) fn rows(&self, rows: &mut Rows) {
        for ((deployment, owner, operator), history) in &self.0 {
            for span in &history.0 {
                let mut row = spanned(span, &span.is);
                row.insert("deployment", number(deployment));
                row.insert("owner", bytea(owner));
                row.insert("operator", bytea(operator));
                rows.put("operator_approval", row);
            }
        }
    }
}
