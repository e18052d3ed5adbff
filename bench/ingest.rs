//! Backfills: the program follows a chain of its own to the head, beside what bounds it, and must have lost and invented
//! nothing; so must it be that recovers from a reorganisation, is killed and started again, or has blocks indexed again.
//!
//! Three figures stand beside each: what the chain node gives to whoever only reads, and what the server takes of the same
//! rows by COPY into the same tables, indexes and all. Then the digest of all events and of all logs must be that of the
//! traffic, which is computed here from what was made and not from what was served.

use std::fmt::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::Args;
use meikan::config::Database;
use meikan::digest::{Emitted, StateDigest};
use meikan::embedded::{Durability, Embedded, Options};
use meikan::store::Store;
use meikan::store::query::{Limits, Snapshot};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::chain::{self, Behaviour, SERVED};
use crate::head::Head;
use crate::traffic::{CHAIN_ID, Size, Traffic, config};
use crate::{head, load, reorg, sql, upkeep};

/// Looks at how much a process uses.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Blocks of one request of whoever only reads, and requests at a time.
const READ_BLOCKS: u64 = 1_000;
const READERS: usize = 4;

/// What `--only` may name beside backfills.
const HEAD: &str = "head";
const REORG: &str = "reorg";
const RESTART: &str = "restart";
const REINDEX: &str = "reindex";

/// What is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Only backfills with this in their names, or one of `head`, `reorg`, `restart` and `reindex`
    #[arg(long, default_value = "")]
    only: String,
    /// Where the databases are, and the table (ingest.md)
    #[arg(long, default_value = "target/bench")]
    data: std::path::PathBuf,
}

/// A backfill.
struct Backfill {
    name: &'static str,
    size: Size,
    behaviour: Behaviour,
}

/// Ten logs a block.
const SMALL: Size = Size { agents: 10_000, feedback: 75_000, intents: 500, blocks: 10_000 };
const LARGE: Size = Size { agents: 100_000, feedback: 750_000, intents: 5_000, blocks: 100_000 };

/// Every backfill, the smallest first.
fn backfills() -> Vec<Backfill> {
    vec![
        Backfill { name: "100,000 events in 10,000 blocks", size: SMALL, behaviour: Behaviour::QUICK },
        Backfill { name: "1,000,000 events in 100,000 blocks", size: LARGE, behaviour: Behaviour::QUICK },
        Backfill {
            name: "1,000,000 events in 100,000 blocks, 50 ms away",
            size: LARGE,
            behaviour: Behaviour { latency_ms: 50, ..Behaviour::QUICK },
        },
        Backfill {
            name: "100,000 events in 1,000,000 blocks, 50 ms away, ranges of 2,000",
            size: Size { blocks: 1_000_000, ..SMALL },
            behaviour: Behaviour { latency_ms: 50, range_limit: 2_000, ..Behaviour::QUICK },
        },
    ]
}

/// What came of one.
struct Outcome {
    logs: u64,
    spent: Spent,
    requests: u64,
    megabytes: u64,
    /// Logs a second of whoever only reads, and of COPY alone.
    read_floor: f64,
    copy_floor: f64,
}

/// What a run of the program took.
pub(crate) struct Spent {
    pub(crate) seconds: f64,
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_megabytes: u64,
}

/// Measures them one after the other, and writes the table.
pub(crate) async fn run(arguments: &Arguments) {
    let options = Options { data_dir: arguments.data.clone(), bin_dir: sql::bin_dir(), durability: Durability::Safe };
    let server = Embedded::start(&options).await.unwrap_or_else(|error| panic!("{error}"));
    let server_version = server.version().to_string();
    let mut text = introduction(&server_version);
    let mut figures = Vec::new();
    for backfill in backfills().iter().filter(|backfill| backfill.name.contains(&arguments.only)) {
        eprintln!("{}", backfill.name);
        let outcome = measure(&server.url(), backfill).await;
        let line = line(backfill, &outcome);
        eprint!("{line}");
        if figures.is_empty() {
            text.push_str(COLUMNS);
        }
        text.push_str(&line);
        figures.push(figure(backfill, &outcome));
    }
    let is_wanted = |name: &str| name.contains(&arguments.only);
    let (mut at_head, mut reorgs) = (None, None);
    if is_wanted(HEAD) {
        let measured = head::measure(&server.url()).await;
        measured.iter().for_each(|head| text.push_str(&head.text()));
        at_head = Some(measured.iter().map(Head::figure).collect::<Vec<_>>());
    }
    if is_wanted(REORG) {
        let measured = reorg::measure(&server.url()).await;
        text.push_str(&measured.text());
        reorgs = Some(measured.figure());
    }
    let upkeep = upkeep::measure(&server.url(), &[SMALL, LARGE], is_wanted(REINDEX), is_wanted(RESTART)).await;
    text.push_str(&upkeep.text());
    server.stop().await;
    std::fs::write(arguments.data.join("ingest.md"), &text).expect("the table can be written");
    let figures = serde_json::json!({
        "postgres": server_version, "cores": cores(), "backfills": figures, "head": at_head, "reorg": reorgs,
        "restarts": upkeep.restarts(), "reindexes": upkeep.reindexes(),
    });
    std::fs::write(arguments.data.join("ingest.json"), format!("{figures:#}\n")).expect("the figures can be written");
    println!("{text}");
}

fn introduction(postgres: &str) -> String {
    let cores = cores();
    format!(
        "# Backfills\n\n`meikan follow --until head` (release build) from a chain node in memory into Postgres \
         {postgres}, all on {cores} cores. One endpoint is believed (`quorum = 1`) and the audit in the background is \
         off; every other check is on, as by default: the chain's id and genesis; the end of each range and the \
         headers of all blocks with logs, their links and blooms; of blocks above finality every header; each log's \
         block, place and contract; our tip before each step; holes in the registries' counters. Kept are raw logs, \
         facts, totals and the digest. Commits are as durable as by default. *Read alone*: the same logs fetched and thrown away. *COPY alone*: all rows \
         that were written, read from files into the same tables, and their indexes, built one after the other. \
         Each run's digest is that of the traffic.\n"
    )
}

/// The columns of the backfills.
const COLUMNS: &str = "\n| backfill | logs | logs/s | of COPY alone | seconds | CPU s | peak MB | requests | MB read \
     | requests for a million blocks | MB for a million blocks | read alone, logs/s | COPY alone, logs/s |\n\
     |---|---|---|---|---|---|---|---|---|---|---|---|---|\n";

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Outcome {
    /// Requests and megabytes that a million blocks take.
    fn per_million(&self, blocks: u64) -> (f64, f64) {
        let millions = blocks as f64 / 1e6;
        (self.requests as f64 / millions, self.megabytes as f64 / millions)
    }
}

/// The same as a line of the table, for whoever draws it (`bench/chart.mjs`).
fn figure(backfill: &Backfill, outcome: &Outcome) -> serde_json::Value {
    let blocks = backfill.size.blocks();
    let (requests, megabytes) = outcome.per_million(blocks);
    serde_json::json!({
        "name": backfill.name,
        "logs": outcome.logs,
        "blocks": blocks,
        "seconds": outcome.spent.seconds,
        "cpuSeconds": outcome.spent.cpu_seconds,
        "peakMegabytes": outcome.spent.peak_megabytes,
        "requests": outcome.requests,
        "megabytes": outcome.megabytes,
        "requestsPerMillionBlocks": requests,
        "megabytesPerMillionBlocks": megabytes,
        "logsPerSecond": outcome.logs as f64 / outcome.spent.seconds,
        "readAloneLogsPerSecond": outcome.read_floor,
        "copyAloneLogsPerSecond": outcome.copy_floor,
    })
}

fn line(backfill: &Backfill, outcome: &Outcome) -> String {
    let Outcome { logs, spent, requests, megabytes, read_floor, copy_floor } = outcome;
    let Spent { seconds, cpu_seconds, peak_megabytes } = spent;
    let rate = *logs as f64 / seconds;
    let (each_requests, each_megabytes) = outcome.per_million(backfill.size.blocks());
    let mut text = String::new();
    let _ = writeln!(
        text,
        "| {} | {logs} | {rate:.0} | {:.2} | {seconds:.1} | {cpu_seconds:.1} | {peak_megabytes} | {requests} | {megabytes} \
         | {each_requests:.0} | {each_megabytes:.0} | {read_floor:.0} | {copy_floor:.0} |",
        backfill.name,
        rate / copy_floor
    );
    text
}

async fn measure(server: &str, backfill: &Backfill) -> Outcome {
    let (chain, address) = start_chain(backfill.size, &backfill.behaviour).await;
    let read_floor = read_alone(&address, backfill).await;
    sql::drop_database(server, "bench_ingest").await;
    let url = sql::database(server, "bench_ingest").await;
    served(&address).await;
    let spent = program(&url, &config(CHAIN_ID, &address), &["follow", "--until", "head"]).await;
    let (requests, megabytes) = served(&address).await;
    drop(chain);
    let logs = check(&url, CHAIN_ID, Traffic::new(backfill.size), backfill.size.blocks()).await;
    let seconds = sql::copy_alone(server, &url, "bench_copy").await;
    Outcome { logs, spent, requests, megabytes, read_floor, copy_floor: logs as f64 / seconds }
}

/// Starts the chain node in a process of its own; its address.
pub(crate) async fn start_chain(size: Size, behaviour: &Behaviour) -> (Child, String) {
    let Size { agents, feedback, intents, blocks } = size;
    let &Behaviour { chain_id, range_limit, latency_ms, not_final, coming, per_second } = behaviour;
    let mut arguments = vec!["chain".to_owned()];
    for (name, value) in [
        ("--agents", agents),
        ("--feedback", feedback),
        ("--intents", intents),
        ("--blocks", blocks),
        ("--chain-id", chain_id),
        ("--range-limit", range_limit),
        ("--latency-ms", latency_ms),
        ("--not-final", not_final),
        ("--coming", coming),
        ("--per-second", per_second),
    ] {
        arguments.extend([name.to_owned(), value.to_string()]);
    }
    start_self(&arguments, b"").await
}

/// Starts this program once more, to be a server of that kind, and gives it what it reads; its address.
pub(crate) async fn start_self(arguments: &[String], input: &[u8]) -> (Child, String) {
    let program = std::env::current_exe().expect("a program knows itself");
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut server = command.spawn().expect("it starts");
    server.stdin.take().expect("it is piped").write_all(input).await.expect("it reads");
    let mut lines = BufReader::new(server.stdout.take().expect("it is piped")).lines();
    let address = lines.next_line().await.expect("it can be read").expect("it tells its address");
    (server, address)
}

/// How many requests the chain node answered since this was last asked, and megabytes of answers.
pub(crate) async fn served(address: &str) -> (u64, u64) {
    let answer = chain::ask(address, SERVED).await;
    let number = |place: usize| answer[place].as_u64().expect("two numbers");
    (number(0), number(1) >> 20)
}

/// Fetches all logs and throws them away; logs a second.
async fn read_alone(address: &str, backfill: &Backfill) -> f64 {
    let blocks = backfill.size.blocks();
    let step = match backfill.behaviour.range_limit {
        0 => READ_BLOCKS,
        limit => limit.min(READ_BLOCKS),
    };
    let bodies: Vec<String> = (0..=blocks)
        .step_by(usize::try_from(step).expect("a small number"))
        .map(|from| {
            let to = (from + step - 1).min(blocks);
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{{"fromBlock":"{from:#x}","toBlock":"{to:#x}"}}]}}"#
            )
        })
        .collect();
    let began = Instant::now();
    load::send_to(address, "/", bodies, READERS).await;
    let seconds = began.elapsed().as_secs_f64();
    logs_of(backfill.size, 0, blocks) as f64 / seconds
}

/// How many logs the blocks of a range have.
pub(crate) fn logs_of(size: Size, from: u64, to: u64) -> u64 {
    let mut traffic = Traffic::new(size);
    let blocks = std::iter::from_fn(|| traffic.next_block()).filter(|block| (from..=to).contains(&block.header.number));
    blocks.map(|block| block.logs.len() as u64).sum()
}

/// Runs the program until it ends by itself.
pub(crate) async fn program(url: &str, configuration: &str, order: &[&str]) -> Spent {
    let config = std::env::temp_dir().join(format!("meikan-ingest-{}.toml", std::process::id()));
    std::fs::write(&config, configuration).expect("a file can be written");
    let began = Instant::now();
    let mut program = Command::new(env!("CARGO_BIN_EXE_meikan"))
        .arg("--config")
        .arg(&config)
        .args(["--database-url", url])
        .args(order)
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts");
    let pid = program.id().expect("it runs");
    let (mut cpu_seconds, mut peak_megabytes) = (0.0, 0);
    let ended = loop {
        tokio::select! {
            ended = program.wait() => break ended.expect("it is ours"),
            () = tokio::time::sleep(LOOK_EVERY) => {
                (cpu_seconds, peak_megabytes) = used(pid).unwrap_or((cpu_seconds, peak_megabytes));
            }
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let _ = std::fs::remove_file(config);
    assert!(ended.success(), "the program ends with {ended}");
    Spent { seconds, cpu_seconds, peak_megabytes }
}

/// How much CPU time and memory a process has used so far, as Linux tells it.
fn used(pid: u32) -> Option<(f64, u64)> {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = peak.trim().split(' ').next()?.parse().ok()?;
    Some((ticks / TICKS_A_SECOND, kilobytes >> 10))
}

/// The newest block that a database holds of a network; 0 where there is none yet.
pub(crate) async fn tip(url: &str, chain_id: u64) -> u64 {
    let config = Database { url: url.into(), ..Database::default() };
    let store = Store::connect(&config).await.expect("the database answers");
    let cursor = store.cursor(chain_id).await.ok();
    cursor.and_then(|cursor| cursor.tip).map_or(0, |tip| tip.number)
}

/// The database must hold the traffic up to a block, all of it and nothing else; returns how many logs that are.
pub(crate) async fn check(url: &str, chain_id: u64, mut traffic: Traffic, to: u64) -> u64 {
    let mut expected = StateDigest::default();
    assert_eq!(tip(url, chain_id).await, to, "the newest block");
    while let Some(block) = traffic.next_block().filter(|block| block.header.number <= to) {
        for decoded in &block.logs {
            let log = &decoded.log;
            let emitted = Emitted {
                chain_id,
                block_number: log.block.number,
                block_hash: log.block.hash,
                transaction_hash: log.transaction_hash,
                transaction_index: log.transaction_index,
                log_index: log.log_index,
                address: log.address,
                topics: &log.topics,
                data: &log.data,
            };
            expected.add(&emitted, decoded.event.as_ref().ok());
        }
    }
    let config = Database { url: url.into(), ..Database::default() };
    let store = Store::connect(&config).await.expect("the database answers");
    let limits = Limits { max_rows: 1, statement_timeout: Duration::from_secs(600), ..Limits::default() };
    let snapshot = Snapshot::open(&store, limits).await.expect("the database answers");
    let held = snapshot.state_digest(chain_id.cast_signed(), to.cast_signed()).await.expect("the head is held");
    let summary = |lanes: &meikan::digest::LtHash, domain| lanes.summary(domain).to_vec();
    assert_eq!((held.event_count(), held.log_count()), (expected.event_count, expected.log_count), "events and logs");
    assert_eq!(held.events().to_vec(), summary(&expected.events, meikan::digest::Domain::Events), "the events' digest");
    assert_eq!(
        held.raw_logs().to_vec(),
        summary(&expected.raw_logs, meikan::digest::Domain::RawLogs),
        "the logs' digest"
    );
    snapshot.close().await;
    expected.log_count
}
