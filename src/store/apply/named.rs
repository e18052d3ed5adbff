//! Which agents a network has, while a backfill keeps no totals that would tell it.
//!
//! Whoever is named first by something else than its registration begins with that, so a batch must know of each agent that
//! it names whether there is one. Ids are dense, so the set of all takes next to no memory, and nobody is looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use roaring::RoaringTreemap;

use super::agents::agent_key;
use crate::id::{AgentKey, Deployment};
use crate::store::error::StoreError;
use crate::store::sql::Sql;

/// All agents of a network.
#[derive(Debug, Default)]
pub(in crate::store) struct NamedAgents {
    /// By deployment, those whose ids are small, which is what registries give out.
    dense: BTreeMap<Deployment, RoaringTreemap>,
    others: BTreeSet<AgentKey>,
}

impl NamedAgents {
    /// Those that the database has.
    pub(super) async fn load(sql: &Sql<'_>) -> Result<Self, StoreError> {
        let select = "SELECT deployment, agent_id FROM agent WHERE chain_id = $1 AND end_block IS NULL";
        let mut agents = Self::default();
        for row in &sql.query(select, &[]).await? {
            agents.add(agent_key(row)?);
        }
        Ok(agents)
    }

    pub(super) fn has(&self, agent: &AgentKey) -> bool {
        match u64::try_from(agent.agent_id) {
            Ok(id) => self.dense.get(&agent.deployment).is_some_and(|ids| ids.contains(id)),
            Err(_) => self.others.contains(agent),
        }
    }

    /// Adds one; returns whether it is new.
    pub(super) fn add(&mut self, agent: AgentKey) -> bool {
        match u64::try_from(agent.agent_id) {
            Ok(id) => self.dense.entry(agent.deployment).or_default().insert(id),
            Err(_) => self.others.insert(agent),
        }
    }
}

/// Where the set is between two batches: taken by one, and put back once its rows are written. What a transaction that
/// failed had put there must not be used again.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct NamedSoFar(Arc<Mutex<Option<NamedAgents>>>);

impl NamedSoFar {
    pub(in crate::store) fn of(agents: Option<NamedAgents>) -> Self {
        Self(Arc::new(Mutex::new(agents)))
    }

    pub(in crate::store) fn take(&self) -> Option<NamedAgents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn put(&self, agents: NamedAgents) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(agents);
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::U256;

    use super::NamedAgents;
    use crate::id::AgentKey;

    #[test]
    fn an_agent_is_new_once_whatever_its_id_and_in_each_deployment() {
        let mut agents = NamedAgents::default();
        for deployment in 0..2 {
            for agent_id in
                [U256::ZERO, U256::from(1), U256::from(u64::MAX), U256::from(u64::MAX) + U256::from(1), U256::MAX]
            {
                let agent = AgentKey { deployment, agent_id };
                assert!(!agents.has(&agent) && agents.add(agent), "{agent:?}");
                assert!(agents.has(&agent) && !agents.add(agent), "{agent:?}");
            }
        }
    }
}
