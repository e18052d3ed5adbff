//! What operators and their machines ask: is the process alive, is it ready, what do its metrics say.
//!
//! Readiness is judged by what is committed and by how old the last look at the chain is, so that it turns red when the
//! follower is stuck, whichever process it runs in (F70).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;

use super::ApiState;
use crate::config::Api;
use crate::store::DERIVATION;
use crate::store::query::{Limits, Network, Observed, QueryError, Snapshot};

/// Longest time that the question behind `/ready` may take in the database.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// The routes, with what renders the metrics where they are recorded.
pub(super) fn routes(state: ApiState, recorder: Option<PrometheusHandle>) -> Router {
    let metrics = move || {
        let recorder = recorder.clone();
        async move { render(recorder) }
    };
    Router::new()
        .route("/health", get(|| async { "alive\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(state)
}

fn render(recorder: Option<PrometheusHandle>) -> Response {
    const FORMAT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    match recorder {
        Some(recorder) => ([(CONTENT_TYPE, FORMAT)], recorder.render()).into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "another part of this process records the metrics\n").into_response(),
    }
}

/// The answer of `/ready`.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    /// Why not; empty when ready.
    reasons: Vec<String>,
    /// What is not as it should be although the node is ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<String>,
}

async fn ready(State(state): State<ApiState>) -> Response {
    let limits = Limits { max_rows: 1, statement_timeout: READY_TIMEOUT, ..Limits::default() };
    let asked = async {
        let snapshot = Snapshot::open(state.store(), limits).await?;
        let networks = snapshot.observed().await?;
        let told = (reasons(&networks, state.config(), now()), degraded(&networks));
        snapshot.close().await;
        Ok::<_, QueryError>(told)
    };
    let (reasons, degraded) = match tokio::time::timeout(READY_TIMEOUT, asked).await {
        Ok(Ok(told)) => told,
        Ok(Err(_)) | Err(_) => (vec!["the database does not answer".into()], vec![]),
    };
    let ready = reasons.is_empty();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, reasons, degraded })).into_response()
}

/// Seconds since 1970.
fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}

/// What the audit found and nobody could repair yet, and what the follower lacks. Neither turns anything red: other nodes
/// on the same endpoints are no better off, and a balancer that took them all away would help nobody. A follower that
/// falls behind for what it lacks is red for that.
fn degraded(networks: &[(&Network, Observed)]) -> Vec<String> {
    let told = |(network, observed): &(&Network, Observed)| {
        let found = (observed.open_findings > 0).then(|| {
            format!(
                "{}: the audit found {} difference(s) to the chain that are not repaired; `meikan audit` names them",
                network.name, observed.open_findings
            )
        });
        let lacking = observed.trouble.as_ref().map(|trouble| format!("{}: {trouble}", network.name));
        [found, lacking]
    };
    networks.iter().flat_map(told).flatten().collect()
}

/// Why a node over these networks is not ready.
fn reasons(networks: &[(&Network, Observed)], allowed: &Api, now: i64) -> Vec<String> {
    if networks.is_empty() {
        return vec!["no network has been followed into this database yet".into()];
    }
    let reasons = |(network, observed): &(&Network, Observed)| {
        let lag = lag(network, observed, allowed, now);
        let found = [network.lacks_derivation(DERIVATION), network.lacks_standings(), lag];
        found.map(|reason| reason.map(|reason| format!("{}: {reason}", network.name)))
    };
    networks.iter().flat_map(reasons).flatten().collect()
}

fn lag(network: &Network, observed: &Observed, allowed: &Api, now: i64) -> Option<String> {
    let allowed_blocks = i64::try_from(allowed.ready_lag_blocks).unwrap_or(i64::MAX);
    let allowed_seconds = i64::try_from(allowed.ready_lag_seconds).unwrap_or(i64::MAX);
    let allowed_head_age = i64::try_from(allowed.ready_head_age_seconds).unwrap_or(i64::MAX);
    let Some(head) = &observed.head else { return Some("the chain has not been seen yet".into()) };
    let seen = observed.head_age_seconds.unwrap_or(i64::MAX);
    if seen > allowed_seconds {
        return Some(format!(
            "the chain was last seen {seen} s ago; is a follower running, and do its endpoints answer?"
        ));
    }
    let Some(indexed) = &network.indexed else { return Some("nothing is indexed yet".into()) };
    if let Some(age) = head.timestamp.map(|timestamp| now - timestamp).filter(|age| *age > allowed_head_age) {
        return Some(format!("the chain's newest block is {age} s old; the endpoints may be stuck"));
    }
    let blocks = head.number - indexed.number;
    if blocks > allowed_blocks {
        return Some(format!("{blocks} blocks behind, {allowed_blocks} are allowed"));
    }
    let seconds = head.timestamp.zip(indexed.timestamp).map_or(0, |(head, indexed)| head - indexed);
    (seconds > allowed_seconds).then(|| format!("{seconds} s behind, {allowed_seconds} are allowed"))
}

#[cfg(test)]
mod tests {
    use super::{degraded, reasons};
    use crate::config::Api;
    use crate::store::DERIVATION;
    use crate::store::query::{BlockInfo, Network, Observed};

    const NOW: i64 = 1_000_000;

    fn block(number: i64, timestamp: i64) -> Option<BlockInfo> {
        Some(BlockInfo { number, hash: None, timestamp: Some(timestamp), parent_hash: None })
    }

    fn network() -> Network {
        Network {
            chain_id: 1,
            name: "taiko".into(),
            indexed: block(100, NOW - 2),
            seq: 1,
            start_block: 0,
            safe_number: None,
            finalized_number: None,
            derivation: DERIVATION,
            has_standings: true,
            rederived_to: None,
        }
    }

    fn observed() -> Observed {
        Observed { head: block(100, NOW - 2), head_age_seconds: Some(1), ..Observed::default() }
    }

    fn reason(network: &Network, observed: Observed) -> String {
        reasons(&[(network, observed)], &Api::default(), NOW).join("; ")
    }

    #[test]
    fn a_node_at_a_fresh_head_is_ready() {
        assert_eq!(reason(&network(), observed()), "");
    }

    #[test]
    fn f5_what_the_audit_found_degrades_and_turns_nothing_red() {
        let (network, found) = (network(), Observed { open_findings: 3, ..observed() });
        let told = degraded(&[(&network, observed()), (&network, found.clone())]);
        assert!(told[0].starts_with("taiko: the audit found 3 difference(s)"));
        assert_eq!((told.len(), reason(&network, found)), (1, String::new()));
    }

    #[test]
    fn f12_a_follower_that_lacks_endpoints_is_degraded() {
        let lacking = Observed { trouble: Some("1 of 2 endpoints answer".into()), ..observed() };
        assert_eq!(degraded(&[(&network(), lacking)]), ["taiko: 1 of 2 endpoints answer"]);
    }

    #[test]
    fn f70_what_an_older_version_derived_is_not_ready_until_it_is_derived_anew() {
        let old = Network { derivation: DERIVATION - 1, ..network() };
        assert!(reason(&old, observed()).ends_with("anew from the stored logs, once a follower of this version runs"));
        let half_way = Network { indexed: block(60, NOW - 70), rederived_to: Some(100), ..old };
        let told = reason(&half_way, observed());
        assert!(told.contains("up to block 60 of 100 by now; taiko: 40 blocks behind"), "{told}");
        // Nothing is there that anybody could have derived.
        let empty = Network { derivation: 0, indexed: None, ..network() };
        assert_eq!(reason(&empty, observed()), "taiko: nothing is indexed yet");
    }

    #[test]
    fn a_backfill_that_leaves_standings_for_its_end_is_not_ready() {
        let without = Network { has_standings: false, ..network() };
        let told = "taiko: standings are counted at the end of its backfill, which is at block 100";
        assert_eq!(reason(&without, observed()), told);
        assert_eq!(reason(&Network { indexed: None, ..without }, observed()), "taiko: nothing is indexed yet");
    }

    #[test]
    fn f70_every_way_to_be_stuck_turns_it_red() {
        assert!(reasons(&[], &Api::default(), NOW)[0].contains("no network"));
        let seen = |observed: Observed| reason(&network(), observed);
        assert!(seen(Observed { head: None, ..observed() }).contains("has not been seen"));
        assert!(seen(Observed { head_age_seconds: Some(500), ..observed() }).contains("last seen 500 s ago"));
        assert!(seen(Observed { head: block(100, NOW - 9_000), ..observed() }).contains("9000 s old"));
        assert!(seen(Observed { head: block(131, NOW), ..observed() }).contains("31 blocks behind, 30 are allowed"));
        let indexed = |indexed: Option<BlockInfo>| reason(&Network { indexed, ..network() }, observed());
        assert!(indexed(None).contains("nothing is indexed"));
        assert!(indexed(block(99, NOW - 200)).contains("198 s behind"));
    }
}
