//! What is done with a node that is full: it is killed at the head and started again, and the upper half of its blocks
//! is indexed again, from the chain and from the raw logs that it keeps.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::chain::{self, Behaviour};
use crate::head::{config, grow, reaches};
use crate::ingest::{Spent, check, logs_of, program, served, start_chain, tip};
use crate::node::Node;
use crate::traffic::{CHAIN_ID, Size, Traffic};
use crate::{load, sql};

/// How often a node is killed.
const TIMES: usize = 5;

/// Blocks that come one by one meanwhile: there is something to catch up with.
const COMING_BLOCKS: u64 = 600;
const BLOCKS_PER_SECOND: u64 = 10;

/// How long a node stays away, and how long it is let alone before it is killed.
const AWAY: Duration = Duration::from_millis(500);

/// Pause before a node is asked again how far it is.
pub(crate) const AGAIN: Duration = Duration::from_millis(200);

/// The same while it is measured how soon it is there.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A question whose answer is read from the tables.
const QUESTION: &str = "{ agents(first: 1) { id owner totalFeedback } }";

/// The middle and the end of several measurements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(mut all: Vec<f64>) -> Self {
        all.sort_unstable_by(f64::total_cmp);
        Self { median: all[all.len() / 2], most: all[all.len() - 1] }
    }

    pub(crate) fn figure(self) -> Value {
        json!({ "median": self.median, "most": self.most })
    }
}

/// How soon a node is back that was killed, in milliseconds from the start of its process.
struct Restart {
    logs: u64,
    answers_ms: Spread,
    ready_ms: Spread,
    caught_up_ms: Spread,
}

/// What it took to index blocks again.
struct Reindex {
    source: &'static str,
    blocks: u64,
    logs: u64,
    spent: Spent,
    requests: u64,
    megabytes: u64,
}

/// What was measured, of each size.
#[derive(Default)]
pub(crate) struct Upkeep {
    restarts: Vec<Restart>,
    reindexes: Vec<Reindex>,
}

/// Fills a database of each size, and does with it what is wanted.
pub(crate) async fn measure(server: &str, sizes: &[Size], with_reindex: bool, with_restart: bool) -> Upkeep {
    let mut upkeep = Upkeep::default();
    let sizes = if with_reindex || with_restart { sizes } else { &[] };
    for size in sizes {
        let behaviour = Behaviour { coming: COMING_BLOCKS, per_second: BLOCKS_PER_SECOND, ..Behaviour::QUICK };
        let (chain, address) = start_chain(*size, &behaviour).await;
        sql::drop_database(server, "bench_upkeep").await;
        let url = sql::database(server, "bench_upkeep").await;
        eprintln!("filling {} blocks", size.blocks());
        program(&url, &config(&address), &["follow", "--until", "head"]).await;
        for source in ["rpc", "store"].into_iter().filter(|_| with_reindex) {
            upkeep.reindexes.push(reindex(&url, &address, *size, source).await);
            eprint!("{}", upkeep.reindexes.last().map(Reindex::line).unwrap_or_default());
        }
        if with_restart {
            upkeep.restarts.push(restart(&url, &address, *size).await);
            eprint!("{}", upkeep.restarts.last().map(Restart::line).unwrap_or_default());
        }
        drop(chain);
    }
    upkeep
}

/// Has the upper half of the blocks indexed again.
async fn reindex(url: &str, address: &str, size: Size, source: &'static str) -> Reindex {
    let (from, to) = (size.blocks() / 2, size.blocks() - COMING_BLOCKS);
    served(address).await;
    let order = ["reindex", "--from-block", &from.to_string(), "--source", source];
    let spent = program(url, &config(address), &order).await;
    let (requests, megabytes) = served(address).await;
    check(url, CHAIN_ID, Traffic::new(size), to).await;
    Reindex { source, blocks: to - from + 1, logs: logs_of(size, from, to), spent, requests, megabytes }
}

/// Kills a node at the head, while blocks come, and starts it again.
async fn restart(url: &str, address: &str, size: Size) -> Restart {
    // The traffic's blocks are of another year than the clock.
    let config = format!("{}[api]\nready_head_age_seconds = {}\n", config(address), u32::MAX);
    let start = || Node::start(url, "run", &config, "warn,meikan=info");
    let mut node = start().await;
    reaches(&node.address, size.blocks() - COMING_BLOCKS, AGAIN).await;
    grow(address).await;
    let (mut answers, mut ready, mut caught_up) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        sleep(AWAY).await;
        node.end().await;
        sleep(AWAY).await;
        let head = chain::ask(address, "eth_blockNumber").await;
        let head = head.as_str().and_then(|head| u64::from_str_radix(head.strip_prefix("0x")?, 16).ok());
        let began = Instant::now();
        node = start().await;
        let since = || began.elapsed().as_secs_f64() * 1e3;
        let (answered, (), ()) = tokio::join!(
            async {
                load::ask_once(&node.address, json!({ "query": QUESTION }).to_string()).await;
                since()
            },
            async {
                while load::status(&node.address, "/ready").await != 200 {
                    sleep(LOOK_EVERY).await;
                }
                ready.push(since());
            },
            async {
                reaches(&node.address, head.expect("a number"), LOOK_EVERY).await;
                caught_up.push(since());
            },
        );
        answers.push(answered);
    }
    node.end().await;
    let logs = check(url, CHAIN_ID, Traffic::new(size), tip(url, CHAIN_ID).await).await;
    Restart { logs, answers_ms: Spread::of(answers), ready_ms: Spread::of(ready), caught_up_ms: Spread::of(caught_up) }
}

impl Restart {
    fn line(&self) -> String {
        let Self { logs, answers_ms, ready_ms, caught_up_ms } = self;
        let of = |spread: &Spread| format!("{:.0}, {:.0}", spread.median, spread.most);
        format!("| {logs} | {} | {} | {} |\n", of(answers_ms), of(ready_ms), of(caught_up_ms))
    }

    fn figure(&self) -> Value {
        json!({
            "logs": self.logs,
            "times": TIMES,
            "answersAfterMs": self.answers_ms.figure(),
            "readyAfterMs": self.ready_ms.figure(),
            "caughtUpAfterMs": self.caught_up_ms.figure(),
        })
    }
}

impl Reindex {
    fn rate(&self) -> f64 {
        self.logs as f64 / self.spent.seconds
    }

    fn line(&self) -> String {
        let Self { source, blocks, logs, spent, requests, megabytes } = self;
        let Spent { seconds, cpu_seconds, peak_megabytes } = spent;
        format!(
            "| {logs} logs in {blocks} blocks, `--source {source}` | {:.0} | {seconds:.1} | {cpu_seconds:.1} | \
             {peak_megabytes} | {requests} | {megabytes} |\n",
            self.rate()
        )
    }

    fn figure(&self) -> Value {
        json!({
            "source": self.source,
            "blocks": self.blocks,
            "logs": self.logs,
            "seconds": self.spent.seconds,
            "cpuSeconds": self.spent.cpu_seconds,
            "peakMegabytes": self.spent.peak_megabytes,
            "requests": self.requests,
            "megabytes": self.megabytes,
            "logsPerSecond": self.rate(),
        })
    }
}

impl Upkeep {
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        if !self.reindexes.is_empty() {
            text.push_str(
                "\n| `meikan reindex` from the middle | logs/s | seconds | CPU s | peak MB | requests | MB read |\n\
                 |---|---|---|---|---|---|---|\n",
            );
            text.extend(self.reindexes.iter().map(Reindex::line));
        }
        if !self.restarts.is_empty() {
            let _ = writeln!(
                text,
                "\n| logs of a node that is killed and started {TIMES} times, {BLOCKS_PER_SECOND} blocks/s | a \
                 question is answered after: median ms, most | `/ready` | the head as of the start is served \
                 |\n|---|---|---|---|"
            );
            text.extend(self.restarts.iter().map(Restart::line));
        }
        text
    }

    pub(crate) fn restarts(&self) -> Vec<Value> {
        self.restarts.iter().map(Restart::figure).collect()
    }

    pub(crate) fn reindexes(&self) -> Vec<Value> {
        self.reindexes.iter().map(Reindex::figure).collect()
    }
}
