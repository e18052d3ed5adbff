//! The metrics: every name once, with what it means and its unit, and the recorder that renders them for Prometheus.
//!
//! Floors above record through the `metrics` macros with these names, so that a dashboard can be read beside this list.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::id::AgentId;

/// Newest block that the chain has shown; label `network`.
pub const HEAD_BLOCK: &str = "chain_head_block";
/// Newest block whose data is committed; label `network`.
pub const INDEXED_BLOCK: &str = "indexed_block";
/// Newest block that is committed and final; label `network`.
pub const FINALIZED_BLOCK: &str = "finalized_block";
/// Blocks between the head and what is committed; label `network`.
pub const LAG_BLOCKS: &str = "indexing_lag_blocks";
/// Seconds between the newest block that the chain has shown and the newest committed one; label `network`.
pub const LAG_SECONDS: &str = "indexing_lag_seconds";
/// Blocks committed; label `network`.
pub const BLOCKS: &str = "indexed_blocks_total";
/// Events committed; labels `network`, `event`.
pub const EVENTS: &str = "indexed_events_total";
/// Logs kept raw because they are no known event, or malformed; label `network`.
pub const UNDECODED: &str = "undecoded_logs_total";
/// Manifest flips committed; labels `network`, `agent` ([`agent_label`]), `source` (ONCHAIN, SIGNED).
pub const FLIPS: &str = "forward_path_churn_total";
/// Those of them that are suspicious; labels as of [`FLIPS`].
pub const SUSPICIOUS_FLIPS: &str = "forward_path_suspicious_flips_total";
/// Reorganisations followed; label `network`.
pub const REORGS: &str = "reorgs_total";
/// Blocks that a reorganisation replaced; label `network`.
pub const REORG_DEPTH: &str = "reorg_depth_blocks";
/// Steps of the follower; labels `network`, `outcome`.
pub const STEPS: &str = "follow_steps_total";
/// Whether this process writes the network (1) or stands by (0); label `network`.
pub const WRITER: &str = "follow_writer";
/// RPC requests sent; labels `network`, `method`.
pub const RPC_REQUESTS: &str = "rpc_requests_total";
/// RPC requests that failed; labels `network`, `method`, `kind`.
pub const RPC_ERRORS: &str = "rpc_errors_total";
/// Time of an RPC request; label `method`.
pub const RPC_DURATION: &str = "rpc_request_duration_seconds";
/// How well an endpoint fares, from 0 (useless) to 1 (perfect), by its lag, its errors and its latency; labels `network`,
/// `endpoint`.
pub const ENDPOINT_SCORE: &str = "rpc_endpoint_score";
/// Blocks by which an endpoint's head is behind the others', smoothed; labels `network`, `endpoint`.
pub const ENDPOINT_LAG: &str = "rpc_endpoint_lag_blocks";
/// Times that an endpoint's head stood while those of others rose; labels `network`, `endpoint`.
pub const ENDPOINT_STUCK: &str = "rpc_endpoint_stuck_total";
/// Times that another endpoint was preferred; label `network`.
pub const ENDPOINT_SWITCHES: &str = "rpc_endpoint_switches_total";
/// Seconds since the chain's head last rose, by this node's clock; label `network`.
pub const HEAD_STANDING: &str = "chain_head_standing_seconds";
/// Seconds since finality last rose, by this node's clock; label `network`.
pub const FINALITY_STANDING: &str = "chain_finality_standing_seconds";
/// Times that finality stalled, vanished or moved back; labels `network`, `kind`.
pub const FINALITY_FAULTS: &str = "chain_finality_faults_total";
/// Requests for which fewer endpoints answered than the quorum wants; label `network`.
pub const QUORUM_UNMET: &str = "chain_quorum_unmet_total";
/// Disputes between endpoints about logs; labels `network`, `settlement`.
pub const DISPUTES: &str = "chain_disputes_total";
/// Blocks whose bloom shows an event of a watched contract that an answer left out, by chance or by fault; label
/// `network`.
pub const BLOOM_SUSPICIONS: &str = "chain_bloom_suspicions_total";
/// Suspicions that no endpoint could clear up with receipts; label `network`.
pub const BLOOM_UNRESOLVED: &str = "chain_bloom_unresolved_total";
/// Newest final block up to which everything that is stored was verified; label `network`.
pub const VERIFIED_TO: &str = "verified_to_block";
/// 1 for the weakest method by which that was shown, 0 for the others; labels `network`, `method`.
pub const VERIFICATION_METHOD: &str = "verification_method";
/// Blocks that an audit looked at; labels `network`, `method`.
pub const AUDITED_BLOCKS: &str = "audited_blocks_total";
/// What an audit in the background found to differ from the chain; labels `network`, `kind`.
pub const AUDIT_FINDINGS: &str = "audit_findings_total";
/// Findings that were repaired; label `network`.
pub const AUDIT_REPAIRED: &str = "audit_repaired_total";
/// Time of a database transaction or query; label `operation`.
pub const SQL_DURATION: &str = "sql_duration_seconds";
/// Time of an HTTP request; labels `route`, `status`.
pub const HTTP_DURATION: &str = "http_request_duration_seconds";
/// Signed documents that were handed in; labels `kind`, `outcome`.
pub const DOCUMENTS: &str = "documents_total";
/// Circles of requests that were reported and taken; label `network`.
pub const CYCLE_REPORTS: &str = "cycle_reports_total";
/// Requests to the pinning service about a file; label `outcome`: asked, pinned, failed.
pub const PINS: &str = "pins_total";
/// Time of a look at whether a request may be passed on.
pub const MANIFEST_VERIFICATION: &str = "manifest_verification_duration_seconds";
/// GraphQL errors answered; label `code`.
pub const GRAPHQL_ERRORS: &str = "graphql_errors_total";
/// Subscriptions that are open.
pub const SUBSCRIPTIONS: &str = "subscriptions";
/// Messages that subscribers took.
pub const SUBSCRIPTION_MESSAGES: &str = "subscription_messages_total";
/// Subscriptions that were cut off because their client was too slow.
pub const SUBSCRIPTIONS_CUT: &str = "subscriptions_cut_total";
/// Answers by where they came from; label `result`: `hit` (kept), `joined` (another request worked it out at that time),
/// `miss` (worked out, and kept if it lasts), `pass` (never kept).
pub const CACHE_OPERATIONS: &str = "cache_operations_total";
/// Requests whose key or origin was not taken; label `reason`: `malformed`, `unknown`, `revoked`, `unavailable` (the database
/// did not tell), `origin`.
pub const AUTH_FAILURES: &str = "auth_failures_total";
/// What was refused because of a limit; label `kind`: `ip`, `key`, `signer`, `operation`.
pub const RATE_LIMIT_HITS: &str = "rate_limit_hits_total";
/// What this process counted for itself because the server of shared limits did not answer.
pub const RATE_LIMIT_FALLBACKS: &str = "rate_limit_fallbacks_total";

/// Most agents that labels name: a series is kept for each as long as the process lives.
const MAX_NAMED_AGENTS: usize = 1_000;

/// What stands for all further agents.
const OTHER_AGENTS: &str = "other";

/// The agents that labels name.
static NAMED_AGENTS: Mutex<BTreeSet<AgentId>> = Mutex::new(BTreeSet::new());

/// Bounds of the buckets of every histogram of durations, in seconds.
const DURATION_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Bounds of the buckets of a reorganisation's depth, in blocks.
const DEPTH_BUCKETS: [f64; 10] = [1.0, 2.0, 3.0, 5.0, 8.0, 16.0, 32.0, 64.0, 256.0, 1024.0];

/// Installs the process' recorder; what it returns renders the text of `/metrics`.
///
/// # Errors
/// When a recorder is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &DURATION_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(REORG_DEPTH.into()), &DEPTH_BUCKETS)?
        .install_recorder()?;
    describe();
    Ok(handle)
}

/// The label `agent`: the agent's id for the first 1,000 agents that something was counted of, `other` for the rest. So a
/// sum over it is exact, and mass registrations cannot fill the memory.
#[must_use]
pub fn agent_label(agent: AgentId) -> String {
    let mut named = NAMED_AGENTS.lock().unwrap_or_else(PoisonError::into_inner);
    label(&mut named, MAX_NAMED_AGENTS, agent)
}

/// Counts an agent's flips of a source.
pub fn count_flips(network: &str, source: &'static str, agent: AgentId, flips: u64, suspicious: u64) {
    let labels = [("network", network.to_owned()), ("agent", agent_label(agent)), ("source", source.to_owned())];
    counter!(FLIPS, &labels).increment(flips);
    counter!(SUSPICIOUS_FLIPS, &labels).increment(suspicious);
}

fn label(named: &mut BTreeSet<AgentId>, most: usize, agent: AgentId) -> String {
    if named.len() < most {
        named.insert(agent);
    }
    if named.contains(&agent) { agent.to_string() } else { OTHER_AGENTS.to_owned() }
}

fn describe() {
    describe_gauge!(HEAD_BLOCK, "Newest block that the chain has shown");
    describe_gauge!(INDEXED_BLOCK, "Newest block whose data is committed");
    describe_gauge!(FINALIZED_BLOCK, "Newest block that is committed and final");
    describe_gauge!(LAG_BLOCKS, "Blocks between the head and what is committed");
    describe_gauge!(LAG_SECONDS, Unit::Seconds, "Seconds between the head and the newest committed block");
    describe_counter!(BLOCKS, "Blocks committed");
    describe_counter!(EVENTS, "Events committed");
    describe_counter!(UNDECODED, "Logs kept raw because they are no known event, or malformed");
    describe_counter!(
        FLIPS,
        "Changes of agents' manifests committed, of the first 1,000 agents by name; what a reorganisation takes back stays \
         counted, and what comes in its place is counted again"
    );
    describe_counter!(
        SUSPICIOUS_FLIPS,
        "Those of them with a suspicion score of at least 70; what a reorganisation takes back stays counted, too"
    );
    describe_counter!(REORGS, "Reorganisations followed");
    describe_histogram!(REORG_DEPTH, "Blocks that a reorganisation replaced");
    describe_counter!(STEPS, "Steps of the follower");
    describe_gauge!(WRITER, "1 while this process writes the network, 0 while it stands by");
    describe_counter!(RPC_REQUESTS, "RPC requests sent");
    describe_counter!(RPC_ERRORS, "RPC requests that failed");
    describe_histogram!(RPC_DURATION, Unit::Seconds, "Time of an RPC request");
    describe_gauge!(ENDPOINT_SCORE, "How well an endpoint fares, from 0 to 1");
    describe_gauge!(ENDPOINT_LAG, "Blocks by which an endpoint's head is behind the others'");
    describe_counter!(ENDPOINT_STUCK, "Times that an endpoint's head stood while those of others rose");
    describe_counter!(ENDPOINT_SWITCHES, "Times that another endpoint was preferred");
    describe_gauge!(HEAD_STANDING, Unit::Seconds, "Seconds since the chain's head last rose");
    describe_gauge!(FINALITY_STANDING, Unit::Seconds, "Seconds since finality last rose");
    describe_counter!(FINALITY_FAULTS, "Times that finality stalled, vanished or moved back");
    describe_counter!(QUORUM_UNMET, "Requests for which fewer endpoints answered than the quorum wants");
    describe_counter!(DISPUTES, "Disputes between endpoints about logs");
    describe_counter!(BLOOM_SUSPICIONS, "Blocks whose bloom shows an event that an answer left out");
    describe_counter!(BLOOM_UNRESOLVED, "Suspicions that no endpoint could clear up with receipts");
    describe_gauge!(VERIFIED_TO, "Newest final block up to which everything that is stored was verified");
    describe_gauge!(VERIFICATION_METHOD, "1 for the weakest method by which that was shown");
    describe_counter!(AUDITED_BLOCKS, "Blocks that an audit looked at");
    describe_counter!(AUDIT_FINDINGS, "What an audit found to differ from the chain");
    describe_counter!(AUDIT_REPAIRED, "Findings that were repaired");
    describe_histogram!(SQL_DURATION, Unit::Seconds, "Time of a database transaction or query");
    describe_histogram!(MANIFEST_VERIFICATION, Unit::Seconds, "Time of a look at whether a request may be passed on");
    describe_histogram!(HTTP_DURATION, Unit::Seconds, "Time of an HTTP request");
    describe_counter!(PINS, "Requests to the pinning service about a file, by what it answered");
    describe_counter!(CYCLE_REPORTS, "Circles of requests that were reported and taken");
    describe_counter!(DOCUMENTS, "Signed documents that were handed in, by what became of them");
    describe_counter!(GRAPHQL_ERRORS, "GraphQL errors answered");
    describe_gauge!(SUBSCRIPTIONS, "Subscriptions that are open");
    describe_counter!(SUBSCRIPTION_MESSAGES, "Messages that subscribers took");
    describe_counter!(CACHE_OPERATIONS, "Answers by whether they were kept, joined, worked out or never kept");
    describe_counter!(AUTH_FAILURES, "Requests whose API key or origin was not taken");
    describe_counter!(RATE_LIMIT_HITS, "Requests and operations refused because of a limit");
    describe_counter!(
        RATE_LIMIT_FALLBACKS,
        "What was counted by this process alone because the server of shared limits did not answer"
    );
    describe_counter!(SUBSCRIPTIONS_CUT, "Subscriptions cut off because their client was too slow");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use alloy::primitives::U256;

    use super::{AgentId, label};

    #[test]
    fn labels_name_a_bounded_number_of_agents() {
        let mut named = BTreeSet::new();
        let mut labels = |numbers: [u64; 4]| {
            numbers.map(|number| {
                let agent = AgentId { chain_id: 1, registry: None, agent_id: U256::from(number) };
                label(&mut named, 2, agent)
            })
        };
        assert_eq!(labels([7, 8, 9, 7]), ["1:7", "1:8", "other", "1:7"]);
    }
}
