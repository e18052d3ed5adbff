//! What is wrong with what wallets' agents and relayers did, by all that was said before.

use alloy::primitives::{Address, B256, U256};
use serde_json::{Value, json};

use super::history::{At, History};
use super::intents::{Finding, Intent, Intents};
use super::wallets::{Told, limit, listed};

/// Seconds between an intent's submission and its execution.
const TIMELOCK: u64 = 60;

/// What is, and what the limit was.
pub(super) fn compared(is: impl ToString, limit: impl ToString) -> Value {
    json!({"is": is.to_string(), "limit": limit.to_string()})
}

fn hex(address: Address) -> String {
    format!("0x{}", alloy::hex::encode(address))
}

impl Intents {
    /// What is wrong with an event, by what was said before it.
    pub(super) fn judge(&mut self, told: &Told) {
        let (fact, at) = (&told.fact, told.at);
        let word = |name: &str| fact.get(name).map(|_| fact.word(name));
        if fact.event == "CommitmentLogged" {
            let hash = fact.word("commitmentHash");
            let first = self.commitments.iter().find(|told| told.fact.word("commitmentHash") == hash).cloned();
            if let Some(first) = first {
                let details = json!({"firstWalletAgent": first.fact.word("agentId").to_string()});
                self.find(told, "DUPLICATE_COMMITMENT", hash, word("agentId"), Some(first.at), details);
            }
            return;
        }
        let Some(id) = word("intentId") else { return };
        let intent = self.intents.get(&id).and_then(History::now).cloned();
        let agent = match fact.event.as_str() {
            "IntentEmitted" => word("agentId"),
            _ => intent.as_ref().and_then(Intent::agent),
        };
        match fact.event.as_str() {
            "IntentEmitted" => {
                let agent = agent.expect("it names one");
                self.judge_nonce(told, id, agent);
                self.judge_halts(told, id, Some(agent));
                self.judge_counts(told, id, agent);
                self.judge_chain(told, id, Some(agent), fact.uint("destChainId"));
            }
            "IntentDetails" if intent.as_ref().is_some_and(|intent| intent.first("IntentDetails").is_none()) => {
                self.judge_transfer(told, id, agent, fact.uint("value"), fact.address("recipient"));
                if let Some((agent, policy)) = agent.zip(self.policy(agent)) {
                    let spent = self.spent_on_day(agent, at, |_| true).saturating_add(fact.uint("value"));
                    if spent > limit(&policy, 0) {
                        let details = compared(spent, limit(&policy, 0));
                        self.find(told, "DAILY_SPEND", id, Some(agent), Some(policy.at), details);
                    }
                }
            }
            "IntentSubmitted" => self.judge_relayer(told, id, agent, fact.address("relayer")),
            "BridgeMessageReceived" => {
                self.judge_relayer(told, id, agent.or(word("agentId")), fact.address("relayer"));
            }
            "IntentExecuted" => {
                self.judge_relayer(told, id, agent, fact.address("executor"));
                let Some(intent) = intent else { return };
                self.judge_execution(told, id, &intent);
                self.judge_halts(told, id, agent);
                if let Some(stated) = intent.first("IntentEmitted") {
                    self.judge_chain(told, id, agent, stated.fact.uint("destChainId"));
                }
                if let Some(details) = intent.first("IntentDetails") {
                    let fact = &details.fact;
                    self.judge_transfer(told, id, agent, fact.uint("value"), fact.address("recipient"));
                }
            }
            _ => {}
        }
    }

    fn find(
        &mut self,
        told: &Told,
        rule: &'static str,
        subject: B256,
        agent: Option<B256>,
        related: Option<At>,
        details: Value,
    ) {
        let intent = told.fact.get("intentId").map(|_| subject);
        let contract = told.fact.contract;
        self.findings.push(Finding { at: told.at, rule, subject, contract, agent, intent, related, details });
    }

    fn policy(&self, agent: Option<B256>) -> Option<Told> {
        self.policies.get(&agent?)?.now().cloned()
    }

    fn judge_nonce(&mut self, told: &Told, id: B256, agent: B256) {
        let nonce = told.fact.uint("nonce");
        let (expected, newest) = self.next_nonce(agent, told.fact.contract);
        let details = json!({"expected": expected.to_string(), "nonce": nonce.to_string()});
        if nonce != expected {
            let rule = if nonce > expected { "NONCE_GAP" } else { "NONCE_REPEATED" };
            self.find(told, rule, id, Some(agent), newest, details);
        }
    }

    fn judge_halts(&mut self, told: &Told, id: B256, agent: Option<B256>) {
        let wallet = agent.and_then(|agent| self.wallets.get(&agent)?.now().cloned());
        if let Some(wallet) = wallet {
            if !wallet.is_active() {
                self.find(told, "AGENT_INACTIVE", id, agent, wallet.switched.map(|(at, _)| at), json!({}));
            }
            if wallet.is_paused() {
                self.find(told, "AGENT_PAUSED", id, agent, wallet.paused.map(|(at, _)| at), json!({}));
            }
        }
        let halts = self.halts.iter().filter_map(|(key, history)| Some((*key, *history.now()?)));
        let on = halts.filter(|((contract, kind), (_, is_on))| {
            *is_on && (*kind != "EXECUTOR" || *contract == told.fact.contract)
        });
        if let Some(((_, kind), (at, _))) = on.min_by_key(|(key, _)| *key) {
            self.find(told, "SYSTEM_PAUSED", id, agent, Some(at), json!({"halt": kind}));
        }
    }

    fn judge_counts(&mut self, told: &Told, id: B256, agent: B256) {
        let Some(policy) = self.policy(Some(agent)) else { return };
        for (rule, seconds, place) in [("DAILY_COUNT", 86_400, 1), ("HOURLY_COUNT", 3_600, 2)] {
            let count = self.stated_in(agent, told.at, seconds, |_| true) + 1;
            if U256::from(count) > limit(&policy, place) {
                let details = compared(count, limit(&policy, place));
                self.find(told, rule, id, Some(agent), Some(policy.at), details);
            }
        }
    }

    fn judge_chain(&mut self, told: &Told, id: B256, agent: Option<B256>, chain: U256) {
        let Some(policy) = self.policy(agent) else { return };
        let allowed = listed(&policy, 4);
        if !allowed.is_empty() && !allowed.iter().any(|one| one.as_uint().expect("a chain").0 == chain) {
            let details = json!({"destChainId": chain.to_string()});
            self.find(told, "CHAIN_NOT_ALLOWED", id, agent, Some(policy.at), details);
        }
    }

    fn judge_transfer(&mut self, told: &Told, id: B256, agent: Option<B256>, value: U256, recipient: Address) {
        let Some(policy) = self.policy(agent) else { return };
        if value > limit(&policy, 3) {
            self.find(told, "VALUE_PER_TX", id, agent, Some(policy.at), compared(value, limit(&policy, 3)));
        }
        let allowed = listed(&policy, 5);
        if !allowed.is_empty() && !allowed.iter().any(|one| one.as_address().expect("an address") == recipient) {
            let details = json!({"recipient": hex(recipient)});
            self.find(told, "RECIPIENT_NOT_ALLOWED", id, agent, Some(policy.at), details);
        }
    }

    fn judge_relayer(&mut self, told: &Told, id: B256, agent: Option<B256>, relayer: Address) {
        let said = self.relayers.get(&(told.fact.contract, relayer)).and_then(|history| history.now().copied());
        if !said.is_some_and(|(_, may)| may) {
            let details = json!({"relayer": hex(relayer)});
            self.find(told, "RELAYER_UNAUTHORISED", id, agent, said.map(|(at, _)| at), details);
        }
    }

    fn judge_execution(&mut self, told: &Told, id: B256, intent: &Intent) {
        let (at, agent) = (told.at, intent.agent());
        let [stated, submitted, executed, disputed] =
            ["IntentEmitted", "IntentSubmitted", "IntentExecuted", "IntentDisputed"].map(|event| intent.first(event));
        if let Some(first) = executed {
            let details = json!({"executedAt": first.at.time.to_string()});
            self.find(told, "EXECUTED_TWICE", id, agent, Some(first.at), details);
        }
        if let Some(dispute) = disputed {
            self.find(told, "EXECUTED_AFTER_DISPUTE", id, agent, Some(dispute.at), json!({}));
        }
        match submitted {
            Some(submitted) if at.time - submitted.at.time < TIMELOCK => {
                let details = compared(at.time - submitted.at.time, TIMELOCK);
                self.find(told, "EXECUTED_BEFORE_TIMELOCK", id, agent, Some(submitted.at), details);
            }
            None if stated.is_some() => {
                let related = stated.map(|stated| stated.at);
                self.find(told, "EXECUTED_WITHOUT_SUBMISSION", id, agent, related, json!({}));
            }
            _ => {}
        }
        if let Some(stated) = stated.filter(|_| intent.is_over(at.time)) {
            let details = compared(at.time, stated.fact.uint("expiry"));
            self.find(told, "EXECUTED_AFTER_EXPIRY", id, agent, Some(stated.at), details);
        }
    }
}
