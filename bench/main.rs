//! `make bench`: fills databases through the store's own door, and asks them over HTTP as many clients would.
//!
//! | file | what |
//! |---|---|
//! | `traffic` | deterministic blocks of agents, feedback and intents |
//! | `serving` | what is asked most, by one, many and very many, idle and while another network is indexed, beside both floors |
//! | `constant` | a server that always gives the same answer, a process of its own |
//! | `fill` | a database that holds them |
//! | `questions` | what is asked, and how quickly it should be answered |
//! | `node` | the release build, serving |
//! | `chain` | a chain node that serves the traffic from memory, a process of its own |
//! | `ingest` | backfills from it, beside what bounds them |
//! | `reorg` | how soon another branch is told, a hundred blocks deep |
//! | `upkeep` | restarts, and blocks that are indexed again |
//! | `head` | how soon a block is told, beside a round trip and a commit |
//! | `load` | many connections that ask |
//! | `sql` | the statements that a question takes, and what pgbench reaches with them |
//! | `writes` | signed documents that are handed in, beside the plain INSERT of their rows |
//! | `report` | the table |

mod chain;
mod constant;
mod fill;
mod head;
mod ingest;
mod load;
mod node;
mod questions;
mod reorg;
mod report;
mod serving;
mod sql;
mod traffic;
mod upkeep;
mod writes;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, value_parser};
use meikan::embedded::{Durability, Embedded, Options};

use load::Words;
use node::Node;
use questions::{QUESTIONS, Question};
use report::{Report, Row};
use sql::Executed;
use traffic::Size;

/// As the program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Fewer agents, or feedback, have no busy ones among them.
pub(crate) const LEAST_AGENTS: u64 = 1_000;
/// Fewer intents do not fill a page half way.
pub(crate) const LEAST_INTENTS: u64 = 500;
/// Connections to the database that the node has, as by default.
pub(crate) const READ_CONNECTIONS: usize = 16;
/// What `--only` may name beside questions.
const WRITES: &str = "writes";
/// Room for answers that are kept, as by default.
pub(crate) const KEPT_MEGABYTES: u32 = 32;

/// Fills a large and a small database and asks both: what an answer takes, beside pgbench on the same server.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Order>,
    /// Agents of the large database
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u64).range(LEAST_AGENTS..))]
    agents: u64,
    /// Feedback about them; a tenth of it is about one agent
    #[arg(long, default_value_t = 10_000_000, value_parser = value_parser!(u64).range(LEAST_AGENTS..))]
    feedback: u64,
    /// Intents; nearly all of them of one wallet's agent
    #[arg(long, default_value_t = 25_000, value_parser = value_parser!(u64).range(LEAST_INTENTS..))]
    intents: u64,
    /// How many times smaller the small database is
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u64).range(1..))]
    smaller: u64,
    /// Connections that ask
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(1..))]
    connections: u16,
    /// Seconds that each question is asked for
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..))]
    seconds: u64,
    /// Only questions with this in their names; `writes` for documents that are handed in
    #[arg(long, default_value = "")]
    only: String,
    /// Where the databases are, and the table (views.md); what is full already is not filled again
    #[arg(long, default_value = "target/bench")]
    data: PathBuf,
    /// What `cargo bench` passes to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// What else there is.
#[derive(Debug, Subcommand)]
enum Order {
    /// Backfill from a chain node in memory, beside what bounds it
    Ingest(ingest::Arguments),
    /// Ask by one, many and very many connections, idle and while another network is indexed
    Serving(serving::Arguments),
    /// Give the answer that is read from the standard input to whatever is asked
    #[command(hide = true)]
    Constant,
    /// Be the chain node
    #[command(hide = true)]
    Chain {
        #[command(flatten)]
        size: Size,
        #[command(flatten)]
        behaviour: chain::Behaviour,
    },
}

fn main() {
    let arguments = Arguments::parse();
    let mut builder = match arguments.command {
        // What the node has.
        Some(Order::Constant) => tokio::runtime::Builder::new_multi_thread(),
        // One core's worth: the node and the database have the rest.
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = builder.enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match arguments.command {
            Some(Order::Ingest(arguments)) => ingest::run(&arguments).await,
            Some(Order::Serving(arguments)) => serving::run(&arguments).await,
            Some(Order::Constant) => constant::serve().await,
            Some(Order::Chain { size, behaviour }) => chain::serve(size, behaviour).await,
            None => run(&arguments).await,
        }
    });
}

async fn run(arguments: &Arguments) {
    let options = Options { data_dir: arguments.data.clone(), bin_dir: sql::bin_dir(), durability: Durability::Safe };
    let server = Embedded::start(&options).await.unwrap_or_else(|error| panic!("{error}"));
    let large = Size { agents: arguments.agents, feedback: arguments.feedback, intents: arguments.intents, blocks: 0 };
    let small = Size {
        agents: (large.agents / arguments.smaller).max(LEAST_AGENTS),
        feedback: (large.feedback / arguments.smaller).max(LEAST_AGENTS),
        intents: (large.intents / arguments.smaller).max(LEAST_INTENTS),
        blocks: 0,
    };
    let mut report = Report::new(arguments.connections.into(), server.version());
    let (mut rows, mut written) = (Vec::new(), String::new());
    for size in [small, large] {
        let url = sql::database(&server.url(), &fill::database(size)).await;
        eprintln!("filling {} agents, {} feedback", size.agents, size.feedback);
        let filled = fill::fill(&url, size).await;
        sql::settle(&url, filled.logs > 0).await;
        report.filled(size, filled, &sql::sizes(&url).await);
        for at in [None, Some(size.blocks() / 2)] {
            for question in QUESTIONS.iter().filter(|question| question.name.contains(&arguments.only)) {
                let statements = sql::statements(&url, question, size, at).await;
                let row = ask(arguments, &url, question, size, at, &statements).await;
                eprintln!("{}", report::line(&row));
                if size == large && row.load.p99_ms > row.goal_ms() {
                    report.explained(&row, &sql::explain(&url, &statements).await);
                }
                rows.push(row);
            }
        }
        if size == large && WRITES.contains(&arguments.only) {
            written = writes::measure(&url, size, arguments.connections.into(), arguments.seconds).await;
            eprint!("{written}");
        }
    }
    server.stop().await;
    report.write(&arguments.data.join("views.md"), &rows, &written);
}

/// Asks one question for a while, a fifth of it before anything counts, and lets pgbench ask the same.
async fn ask(
    arguments: &Arguments,
    url: &str,
    question: &'static Question,
    size: Size,
    at: Option<u64>,
    statements: &[Executed],
) -> Row {
    let time = Duration::from_secs(arguments.seconds);
    let node = Node::serve(url, READ_CONNECTIONS, KEPT_MEGABYTES, "warn,meikan=info").await;
    let ask = |time, words| load::ask(&node.address, question, size, at, arguments.connections.into(), time, words);
    ask(time / 5, Words::New).await;
    let load = ask(time, Words::New).await;
    let kept = ask(time, Words::Same).await;
    node.end().await;
    let floor = sql::pgbench(url, statements, &(question.drawn)(size), arguments.connections.into(), time).await;
    Row { question, size, is_pinned: at.is_some(), load, kept, floor }
}
