//! What is counted of an agent: its table holds what it is now, and of what it was only what a fork may bring back.

use std::collections::BTreeMap;

use super::AgentKey;
use super::history::{At, History, Span};
use super::rows::{Row, Rows, number, of_agent};

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Total {
    pub(crate) feedback: i64,
    pub(crate) revoked: i64,
    pub(crate) responses: i64,
    pub(crate) last_activity: u64,
    pub(crate) updated_at: u64,
}

/// The totals of all agents.
#[derive(Debug, Default, Clone)]
pub(crate) struct Totals(BTreeMap<AgentKey, History<Total>>);

impl Totals {
    pub(crate) fn of(&self, key: AgentKey) -> Option<&Total> {
        self.0.get(&key).and_then(History::now)
    }

    /// Counts an event for an agent.
    pub(super) fn count(&mut self, key: AgentKey, at: At, count: impl FnOnce(&mut Total)) {
        let history = self.0.entry(key).or_default();
        let first = Total { last_activity: at.time, updated_at: at.time, ..Total::default() };
        let mut total = history.now().copied().unwrap_or(first);
        count(&mut total);
        history.set(at.block, total);
    }

    pub(super) fn rows(&self, rows: &mut Rows, finalized: Option<u64>) {
        for (key, history) in &self.0 {
            let (now, past) = history.kept(finalized);
            rows.put("agent_total", of_agent(*key, total_row(now)));
            for span in past {
                let mut row = of_agent(*key, total_row(span));
                row.insert("end_block", span.end.and_then(number));
                rows.put("agent_total_version", row);
            }
        }
    }
}

fn total_row(span: &Span<Total>) -> Row {
    let total = &span.is;
    Row::from([
        ("begin_block", number(span.begin)),
        ("total_feedback", number(total.feedback)),
        ("revoked", number(total.revoked)),
        ("responses", number(total.responses)),
        ("last_activity", number(total.last_activity)),
        ("updated_at", number(total.updated_at)),
    ])
}
