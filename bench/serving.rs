//! Serving: what is asked most, by one, many and very many connections, idle and while the same node indexes another
//! network into the same database.
//!
//! Two floors stand beside each: what pgbench reaches with the statements that an answer takes, and a server that gives
//! one answer of the same size to whatever is asked. The same client asks both servers, so where it is what is slow,
//! both are.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use clap::{Args, value_parser};
use meikan::embedded::{Durability, Embedded, Options};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::process::Child;
use tokio::time::sleep;

use crate::chain::Behaviour;
use crate::fill::{self, fill};
use crate::ingest::{check, cores, logs_of, start_chain, tip};
use crate::load::{self, Load, Words};
use crate::node::Node;
use crate::questions::{QUESTIONS, Question};
use crate::sql::{self, Floor};
use crate::traffic::{CHAIN_ID, Size, Traffic, config};
use crate::upkeep::AGAIN;
use crate::{KEPT_MEGABYTES, LEAST_AGENTS, LEAST_INTENTS, READ_CONNECTIONS, constant};

/// The network that is indexed while the first one is asked about: traffic of the same kind, on another chain.
const OTHER_CHAIN_ID: u64 = CHAIN_ID + 1;

/// The database of a node that brings its server.
const DATABASE: &str = "meikan";

/// How much more feedback that network has, so that it is not all there before everything was asked.
const MORE_TO_INDEX: u64 = 4;

/// How many of the questions are asked: those that clients ask most come first.
const ASKED: usize = 2;

/// Different requests of those who ask what was asked before.
const KEPT_REQUESTS: u64 = 1_000;

/// Most connections of pgbench: the server takes a hundred.
const MOST_OF_PGBENCH: usize = 64;

/// Files that a process needs beside its connections.
const OTHER_FILES: u64 = 200;

/// The least share of pgbench, of what is worked out, and of the constant answer, of what is kept.
const GOAL_OF_PGBENCH: f64 = 0.5;
const GOAL_OF_CONSTANT: f64 = 0.4;

/// How many times longer the 99th percentile may be while another network is indexed.
const GOAL_INDEXING: f64 = 3.0;

/// What is measured.
#[derive(Debug, Clone, Args)]
pub(crate) struct Arguments {
    /// Agents of the network that is asked about, and of the one that is indexed meanwhile
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u64).range(LEAST_AGENTS..))]
    agents: u64,
    /// Feedback about them
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u64).range(LEAST_AGENTS..))]
    feedback: u64,
    /// Intents
    #[arg(long, default_value_t = 5_000, value_parser = value_parser!(u64).range(LEAST_INTENTS..))]
    intents: u64,
    /// How many connections ask
    #[arg(long, value_delimiter = ',', default_value = "1,64,1000")]
    connections: Vec<u16>,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(1..))]
    seconds: u64,
    /// Where the databases are, and the table (serving.md); what is full already is not filled again
    #[arg(long, default_value = "target/bench")]
    data: PathBuf,
}

/// A question, asked by so many.
struct Row {
    question: &'static Question,
    /// Whether its answers are kept.
    is_kept: bool,
    connections: usize,
    idle: Load,
    indexing: Option<Indexing>,
    pgbench: Option<Floor>,
    constant: Load,
}

/// What was reached while another network was indexed.
struct Indexing {
    load: Load,
    /// Logs of it that were indexed in a second.
    logs_per_second: f64,
}

/// Measures it all, and writes the table.
pub(crate) async fn run(arguments: &Arguments) {
    let Arguments { agents, feedback, intents, .. } = *arguments;
    let connections: Vec<usize> = arguments.connections.iter().copied().map(usize::from).collect();
    allow_files(connections.iter().copied().max().unwrap_or_default() as u64 + OTHER_FILES);
    let size = Size { agents, feedback, intents, blocks: 0 };
    let options = Options { data_dir: arguments.data.clone(), bin_dir: sql::bin_dir(), durability: Durability::Safe };
    let server = Embedded::start(&options).await.unwrap_or_else(|error| panic!("{error}"));
    let name = fill::database(size);
    let filled = sql::database(&server.url(), &name).await;
    eprintln!("filling {agents} agents, {feedback} feedback");
    let is_new = fill(&filled, size).await.logs > 0;
    sql::settle(&filled, is_new).await;
    // A copy of it, because another network cannot be taken out again.
    let admin = sql::database(&server.url(), "postgres").await;
    let url = sql::copy_database(&admin, &name, DATABASE).await;
    let bench = Bench { url, size, time: Duration::from_secs(arguments.seconds) };
    let mut rows = bench.idle(&connections).await;
    let version = server.version().to_owned();
    // The node brings the server itself, as it does for who has none.
    server.stop().await;
    let (chain, indexed) = bench.indexing(&mut rows, &arguments.data).await;
    let server = Embedded::start(&options).await.unwrap_or_else(|error| panic!("{error}"));
    drop(chain);
    let to = tip(&bench.url, OTHER_CHAIN_ID).await;
    check(&bench.url, OTHER_CHAIN_ID, Traffic::new(indexed), to).await;
    sql::drop_database(&admin, DATABASE).await;
    sql::database(&admin, DATABASE).await;
    let text = table(&rows, size, &version);
    let figures = json!({
        "postgres": version, "cores": cores(), "agents": agents, "feedback": feedback,
        "serving": rows.iter().map(Row::figure).collect::<Vec<_>>(),
    });
    server.stop().await;
    std::fs::write(arguments.data.join("serving.md"), &text).expect("the table can be written");
    std::fs::write(arguments.data.join("serving.json"), format!("{figures:#}\n")).expect("the figures can be written");
    println!("{text}");
}

/// Lets this process, and those that it starts, have so many files open.
fn allow_files(files: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < files) {
        let wanted = Rlimit { current: Some(maximum.map_or(files, |maximum| maximum.min(files))), maximum };
        setrlimit(Resource::Nofile, wanted).expect("a limit below the hard one can be had");
    }
}

/// The database that is asked, and for how long.
struct Bench {
    url: String,
    size: Size,
    time: Duration,
}

impl Bench {
    /// Asks a node that has nothing else to do, and the floors.
    async fn idle(&self, connections: &[usize]) -> Vec<Row> {
        let mut rows = Vec::new();
        for question in &QUESTIONS[..ASKED] {
            let statements = sql::statements(&self.url, question, self.size, None).await;
            let drawn = (question.drawn)(self.size);
            let node = Node::serve(&self.url, READ_CONNECTIONS, KEPT_MEGABYTES, "warn,meikan=info").await;
            let answer = load::ask_once(&node.address, question.body(self.size, None, 0, false)).await;
            let (server, constant) = constant::start(&answer).await;
            for connections in connections.iter().copied() {
                let most = connections.min(MOST_OF_PGBENCH);
                let pgbench = sql::pgbench(&self.url, &statements, &drawn, most, self.time).await;
                let constant = self.ask(&constant, question, connections, true).await;
                for is_kept in [false, true] {
                    let idle = self.ask(&node.address, question, connections, is_kept).await;
                    let pgbench = pgbench.filter(|_| !is_kept);
                    let row = Row { question, is_kept, connections, idle, indexing: None, pgbench, constant };
                    eprint!("{}", row.line());
                    rows.push(row);
                }
            }
            node.end().await;
            drop(server);
        }
        rows
    }

    /// Asks a node that indexes another network; returns its chain and traffic, of which nothing may be lacking in the end that
    /// was indexed by then.
    async fn indexing(&self, rows: &mut [Row], data: &Path) -> (Child, Size) {
        let behaviour = Behaviour { chain_id: OTHER_CHAIN_ID, ..Behaviour::QUICK };
        // Ten logs a block, as in the backfills.
        let blocks = self.size.blocks() * 10 * MORE_TO_INDEX;
        let size = Size { feedback: self.size.feedback * MORE_TO_INDEX, blocks, ..self.size };
        let logs_per_block = logs_of(size, 0, size.blocks()) as f64 / size.blocks() as f64;
        let (chain, address) = start_chain(size, &behaviour).await;
        let node = Node::bring(data, &config(OTHER_CHAIN_ID, &address), "warn,meikan=info").await;
        while tip(&self.url, OTHER_CHAIN_ID).await == 0 {
            sleep(AGAIN).await;
        }
        for row in rows {
            let (before, began) = (tip(&self.url, OTHER_CHAIN_ID).await, Instant::now());
            let load = self.ask(&node.address, row.question, row.connections, row.is_kept).await;
            let (after, seconds) = (tip(&self.url, OTHER_CHAIN_ID).await, began.elapsed().as_secs_f64());
            assert!(
                after < size.blocks(),
                "all is indexed before all is asked: take fewer --seconds, or more --feedback"
            );
            let logs_per_second = (after - before) as f64 * logs_per_block / seconds;
            row.indexing = Some(Indexing { load, logs_per_second });
            eprint!("{}", row.line());
        }
        node.end().await;
        (chain, size)
    }

    /// Asks for a while, a fifth of it before anything counts. What is to be kept was asked once before.
    async fn ask(&self, address: &str, question: &'static Question, connections: usize, is_kept: bool) -> Load {
        let words = if is_kept {
            let bodies = (0..KEPT_REQUESTS).map(|number| question.body(self.size, None, number, false));
            let bodies: Vec<String> = bodies.collect();
            load::send(address, bodies.clone(), READ_CONNECTIONS).await;
            Words::These(bodies.into_iter().map(Bytes::from).collect())
        } else {
            Words::New
        };
        let ask = |time| load::ask(address, question, self.size, None, connections, time, words.clone());
        ask(self.time / 5).await;
        ask(self.time).await
    }
}

impl Row {
    /// The share of what pgbench reaches with the same statements.
    fn of_pgbench(&self) -> Option<f64> {
        self.pgbench.map(|floor| self.idle.per_second / floor.per_second)
    }

    /// The share of what a constant answer of the same size reaches.
    fn of_constant(&self) -> f64 {
        self.idle.per_second / self.constant.per_second
    }

    /// How many times longer the 99th percentile is while another network is indexed.
    fn slower(&self) -> Option<f64> {
        self.indexing.as_ref().map(|indexing| indexing.load.p99_ms / self.idle.p99_ms)
    }

    fn line(&self) -> String {
        let told = |load: &Load| {
            let given_up = match load.given_up {
                0.0 => String::new(),
                share => format!(" ({:.1} % given up)", share * 100.0),
            };
            format!("{:.0} | {:.2} | {:.2}{given_up}", load.per_second, load.p50_ms, load.p99_ms)
        };
        let missed = |is_missed| if is_missed { " (missed)" } else { "" };
        let pgbench = self.pgbench.map(|floor| format!("{:.0}, {:.2}", floor.per_second, floor.p99_ms));
        let of_pgbench = self.of_pgbench().map(|share| format!("{share:.2}{}", missed(share < GOAL_OF_PGBENCH)));
        let share = self.of_constant();
        let of_constant = format!("{share:.2}{}", missed(self.is_kept && share < GOAL_OF_CONSTANT));
        let slower = self.slower().map(|times| format!("{times:.1}{}", missed(times > GOAL_INDEXING)));
        let indexing = self.indexing.as_ref().map_or_else(
            || " | | | ".to_owned(),
            |indexing| format!("{} | {:.0}", told(&indexing.load), indexing.logs_per_second),
        );
        format!(
            "| {}{} | {} | {} | {} | {} | {:.0}, {:.2} | {of_constant} | {indexing} | {} |\n",
            self.question.name,
            if self.is_kept { ", kept" } else { "" },
            self.connections,
            told(&self.idle),
            pgbench.unwrap_or_default(),
            of_pgbench.unwrap_or_default(),
            self.constant.per_second,
            self.constant.p99_ms,
            slower.unwrap_or_default(),
        )
    }

    fn figure(&self) -> Value {
        let of = |load: &Load| {
            let Load { per_second, p50_ms, p99_ms, given_up } = load;
            json!({ "perSecond": per_second, "p50Ms": p50_ms, "p99Ms": p99_ms, "givenUp": given_up })
        };
        json!({
            "name": self.question.name,
            "kept": self.is_kept,
            "connections": self.connections,
            "idle": of(&self.idle),
            "indexing": self.indexing.as_ref().map(|indexing| of(&indexing.load)),
            "indexedLogsPerSecond": self.indexing.as_ref().map(|indexing| indexing.logs_per_second),
            "pgbench": self.pgbench.map(|floor| json!({ "perSecond": floor.per_second, "p99Ms": floor.p99_ms })),
            "constant": of(&self.constant),
        })
    }
}

fn table(rows: &[Row], size: Size, postgres: &str) -> String {
    let Size { agents, feedback, .. } = size;
    let cores = cores();
    let mut text = format!(
        "# Serving\n\n{agents} agents, {feedback} feedback. Each connection sends its next request when it has its \
         answer. The node (release build), Postgres {postgres} and the client share {cores} cores. *kept*: \
         {KEPT_REQUESTS} requests in the same words over and over, of which the node keeps the answers; all others are \
         worked out. The address of the network is asked. pgbench sends the same statements, with at most \
         {MOST_OF_PGBENCH} connections, for the server takes no more than a hundred. *constant*: an axum handler in a \
         process of its own that gives an answer of the same size, asked by the same client. *indexing*: the node \
         backfills traffic of the same kind of another chain into the same database meanwhile, and brings the server \
         itself. Goals: {GOAL_OF_PGBENCH} of pgbench, {GOAL_OF_CONSTANT} of the constant answer for what is kept, and a \
         p99 of at most {GOAL_INDEXING} times the idle one.\n\n\
         | question | connections | requests/s | p50 ms | p99 ms | pgbench/s, p99 ms | share | constant/s, p99 ms | \
         share | indexing: requests/s | p50 ms | p99 ms | logs/s indexed | p99 beside idle |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"
    );
    for row in rows {
        let _ = write!(text, "{}", row.line());
    }
    text
}
