//! A deep reorganisation: how long it takes from the moment that the chain node shows another branch until a client has
//! heard its tip from a subscription. What was undone is told first, block by block.

use serde_json::{Value, json};

use crate::chain::{self, Behaviour, FORK};
use crate::head::{POLL_MS, SIZE, config, hears, now_us, reaches, subscribe};
use crate::ingest::{check, served, start_chain};
use crate::node::Node;
use crate::sql;
use crate::traffic::{BRANCH_BLOCKS, CHAIN_ID, Traffic};
use crate::upkeep::{AGAIN, Spread};

/// Another branch each time.
const TIMES: u64 = 9;

/// Deeper than the reorganisation is.
const NOT_FINAL: u64 = 200;

/// What was measured.
pub(crate) struct Reorg {
    told_ms: Spread,
    requests: u64,
}

impl Reorg {
    pub(crate) fn text(&self) -> String {
        let Self { told_ms, requests } = self;
        format!(
            "\n| {TIMES} reorganisations of {BRANCH_BLOCKS} blocks, looked at every {POLL_MS} ms | median ms | most \
             ms | requests each |\n\
             |---|---|---|---|\n\
             | from the chain node to the message of a subscription that tells the new tip | {:.0} | {:.0} | \
             {requests} |\n",
            told_ms.median, told_ms.most
        )
    }

    pub(crate) fn figure(&self) -> Value {
        json!({
            "blocks": BRANCH_BLOCKS,
            "times": TIMES,
            "pollMs": POLL_MS,
            "toldAfterMs": self.told_ms.figure(),
            "requestsEach": self.requests,
        })
    }
}

/// Lets a node follow a chain that goes from branch to branch, and listens.
pub(crate) async fn measure(server: &str) -> Reorg {
    let behaviour = Behaviour { not_final: NOT_FINAL, ..Behaviour::QUICK };
    let (chain, address) = start_chain(SIZE, &behaviour).await;
    sql::drop_database(server, "bench_reorg").await;
    let url = sql::database(server, "bench_reorg").await;
    let node = Node::start(&url, "run", &config(&address), "warn,meikan=info").await;
    reaches(&node.address, SIZE.blocks(), AGAIN).await;
    let mut socket = subscribe(&node.address).await;
    let (mut took_ms, mut requests) = (Vec::new(), 0);
    for _ in 0..TIMES {
        served(&address).await;
        let forked = chain::ask(&address, FORK).await;
        let (at_us, hash) = (forked[0].as_u64().expect("a time"), &forked[1]);
        assert!(hears(&mut socket, |block| block["blockHash"] == *hash).await, "the branch is not told");
        took_ms.push(now_us().saturating_sub(at_us) as f64 / 1e3);
        requests += served(&address).await.0;
    }
    node.end().await;
    drop(chain);
    check(&url, CHAIN_ID, Traffic::new(SIZE).on_branch(TIMES), SIZE.blocks()).await;
    Reorg { told_ms: Spread::of(took_ms), requests: requests / TIMES }
}
