//! Backfills: the program follows a chain of its own to the head, beside what bounds it, and must have lost and invented
//! nothing.
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
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::chain::{Behaviour, SERVED};
use crate::sql;
use crate::traffic::{CHAIN_ID, Size, Traffic};
use crate::{head, load};

/// Looks at how much a process uses.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Blocks of one request of whoever only reads, and requests at a time.
const READ_BLOCKS: u64 = 1_000;
const READERS: usize = 4;

/// What `--only` may name beside backfills.
const HEAD: &str = "head";

/// What is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Only backfills with this in their names, or `head`
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

/// Every backfill, the smallest first.
fn backfills() -> Vec<Backfill> {
    let quick = Behaviour { range_limit: 0, latency_ms: 0, not_final: 64, coming: 0, per_second: 0 };
    let small = Size { agents: 10_000, feedback: 75_000, intents: 500, blocks: 10_000 };
    let large = Size { agents: 100_000, feedback: 750_000, intents: 5_000, blocks: 100_000 };
    vec![
        Backfill { name: "100,000 events in 10,000 blocks", size: small, behaviour: quick.clone() },
        Backfill { name: "1,000,000 events in 100,000 blocks", size: large, behaviour: quick.clone() },
        Backfill {
            name: "1,000,000 events in 100,000 blocks, 50 ms away",
            size: large,
            behaviour: Behaviour { latency_ms: 50, ..quick.clone() },
        },
        Backfill {
            name: "100,000 events in 1,000,000 blocks, 50 ms away, ranges of 2,000",
            size: Size { blocks: 1_000_000, ..small },
            behaviour: Behaviour { latency_ms: 50, range_limit: 2_000, ..quick },
        },
    ]
}

/// What came of one.
struct Outcome {
    logs: u64,
    seconds: f64,
    cpu_seconds: f64,
    peak_megabytes: u64,
    requests: u64,
    megabytes: u64,
    /// Logs a second of whoever only reads, and of COPY alone.
    read_floor: f64,
    copy_floor: f64,
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
        text.push_str(&line);
        figures.push(figure(backfill, &outcome));
    }
    let mut at_head = None;
    if HEAD.contains(&arguments.only) {
        let measured = head::measure(&server.url()).await;
        text.push_str(&measured.text());
        at_head = Some(measured.figure());
    }
    server.stop().await;
    std::fs::write(arguments.data.join("ingest.md"), &text).expect("the table can be written");
    let figures =
        serde_json::json!({ "postgres": server_version, "cores": cores(), "backfills": figures, "head": at_head });
    std::fs::write(arguments.data.join("ingest.json"), format!("{figures:#}\n")).expect("the figures can be written");
    println!("{text}");
}

fn introduction(postgres: &str) -> String {
    let cores = cores();
    format!(
        "# Backfills\n\n`meikan follow --until head` (release build) from a chain node in memory into Postgres {postgres}, all on \
         {cores} cores. Checked of what is read: each range's end, links, and blooms of all blocks above finality; kept: raw logs, \
         facts, totals, the digest. *Read alone*: the same logs fetched and thrown away. *COPY alone*: all rows that were written, \
         read from files into the same tables, and their indexes, built as the node builds them. Each run's digest is that of the traffic.\n\n\
         | backfill | logs | logs/s | of COPY alone | seconds | CPU s | peak MB | requests | MB read | read alone, logs/s | COPY alone, logs/s |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n"
    )
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The same as a line of the table, for whoever draws it (`bench/chart.mjs`).
fn figure(backfill: &Backfill, outcome: &Outcome) -> serde_json::Value {
    serde_json::json!({
        "name": backfill.name,
        "logs": outcome.logs,
        "blocks": backfill.size.blocks(),
        "seconds": outcome.seconds,
        "cpuSeconds": outcome.cpu_seconds,
        "peakMegabytes": outcome.peak_megabytes,
        "requests": outcome.requests,
        "megabytes": outcome.megabytes,
        "logsPerSecond": outcome.logs as f64 / outcome.seconds,
        "readAloneLogsPerSecond": outcome.read_floor,
        "copyAloneLogsPerSecond": outcome.copy_floor,
    })
}

fn line(backfill: &Backfill, outcome: &Outcome) -> String {
    let Outcome { logs, seconds, cpu_seconds, peak_megabytes, requests, megabytes, read_floor, copy_floor } = outcome;
    let rate = *logs as f64 / seconds;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "| {} | {logs} | {rate:.0} | {:.2} | {seconds:.1} | {cpu_seconds:.1} | {peak_megabytes} | {requests} | {megabytes} | {read_floor:.0} \
         | {copy_floor:.0} |",
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
    let mut outcome = follow(&url, &address).await;
    (outcome.requests, outcome.megabytes) = served(&address).await;
    drop(chain);
    outcome.logs = check(&url, backfill.size).await;
    outcome.read_floor = read_floor;
    let seconds = sql::copy_alone(server, &url, "bench_copy").await;
    outcome.copy_floor = outcome.logs as f64 / seconds;
    outcome
}

/// Starts the chain node in a process of its own; its address.
pub(crate) async fn start_chain(size: Size, behaviour: &Behaviour) -> (Child, String) {
    let Size { agents, feedback, intents, blocks } = size;
    let &Behaviour { range_limit, latency_ms, not_final, coming, per_second } = behaviour;
    let program = std::env::current_exe().expect("a program knows itself");
    let mut command = Command::new(program);
    command.arg("chain");
    for (name, value) in [
        ("--agents", agents),
        ("--feedback", feedback),
        ("--intents", intents),
        ("--blocks", blocks),
        ("--range-limit", range_limit),
        ("--latency-ms", latency_ms),
        ("--not-final", not_final),
        ("--coming", coming),
        ("--per-second", per_second),
    ] {
        command.arg(name).arg(value.to_string());
    }
    let mut chain = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
    let mut lines = BufReader::new(chain.stdout.take().expect("it is piped")).lines();
    let address = lines.next_line().await.expect("it can be read").expect("it tells its address");
    (chain, address)
}

/// How many requests the chain node answered since this was last asked, and megabytes of answers.
async fn served(address: &str) -> (u64, u64) {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{SERVED}","params":[]}}"#);
    let answer = load::ask_at(address, "/", body).await;
    let answer: serde_json::Value = serde_json::from_slice(&answer).expect("it is JSON");
    let number = |place: usize| answer["result"][place].as_u64().expect("two numbers");
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
    let logs: u64 = logs_of(backfill.size);
    logs as f64 / began.elapsed().as_secs_f64()
}

fn logs_of(size: Size) -> u64 {
    let mut traffic = Traffic::new(size);
    std::iter::from_fn(|| traffic.next_block()).map(|block| block.logs.len() as u64).sum()
}

/// Runs the program to the head.
async fn follow(url: &str, address: &str) -> Outcome {
    let config = std::env::temp_dir().join(format!("meikan-ingest-{}.toml", std::process::id()));
    std::fs::write(&config, crate::traffic::config(address)).expect("a file can be written");
    let began = Instant::now();
    let mut program = Command::new(env!("CARGO_BIN_EXE_meikan"))
        .arg("--config")
        .arg(&config)
        .args(["--database-url", url, "follow", "--until", "head"])
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
    Outcome {
        logs: 0,
        seconds,
        cpu_seconds,
        peak_megabytes,
        requests: 0,
        megabytes: 0,
        read_floor: 0.0,
        copy_floor: 0.0,
    }
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

/// The database must hold the traffic, all of it and nothing else; returns how many logs that are.
pub(crate) async fn check(url: &str, size: Size) -> u64 {
    let (mut traffic, mut expected) = (Traffic::new(size), StateDigest::default());
    while let Some(block) = traffic.next_block() {
        for decoded in &block.logs {
            let log = &decoded.log;
            let emitted = Emitted {
                chain_id: CHAIN_ID,
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
    let (chain_id, head) = (CHAIN_ID.cast_signed(), size.blocks().cast_signed());
    let held = snapshot.state_digest(chain_id, head).await.expect("the head is held");
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
