//! A process that is killed in the middle of a backfill, again and again, leaves what an undisturbed one leaves.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256, keccak256};
use meikan::config::{Addresses, Contracts, Follow, Network};
use meikan::event::{Event, GovernanceEvent, IdentityEvent, ReputationEvent};
use tokio::time::{sleep, timeout};

use super::draw::Draw;
use crate::support::fake_chain::{FakeChain, RawLog};
use crate::support::folder::Folder;
use crate::support::node::{DEADLINE, LOOK_EVERY, Node};
use crate::support::postgres::{TestDatabase, connect};
use crate::support::tables::assert_same;

const CHAIN_ID: u64 = 167_000;
const IDENTITY: Address = Address::repeat_byte(0x11);
const REPUTATION: Address = Address::repeat_byte(0x22);

/// Blocks of the chain, and those of them that are final: a backfill goes through both ways of reading.
const BLOCKS: u64 = 4_000;
const FINAL_BLOCKS: u64 = 2_600;

/// Blocks of one commit: many, so that there is a middle.
const RANGE_BLOCKS: u64 = 20;

/// Raw logs of one transaction of a re-index from the store: many of them, so that there is a middle.
const STEP_LOGS: u64 = 20;

/// The process is killed once the cursor is there.
const KILLED_AT: [u64; 5] = [1, 600, 1_300, 2_700, 3_100];

/// Blocks that repeat what was there before: agents are changed, feedback is revoked.
fn logs(number: u64) -> Vec<RawLog> {
    let agent_id = U256::from(number / 7);
    let (owner, client) = (Address::repeat_byte(7), Address::with_last_byte(u8::try_from(number % 5).unwrap()));
    let feedback_index = 1 + number / 35;
    let identity = |event| (IDENTITY, Event::Identity(event)).into();
    let reputation = |event| (REPUTATION, Event::Reputation(event)).into();
    match number % 7 {
        0 => vec![
            identity(IdentityEvent::Transfer { from: Address::ZERO, to: owner, token_id: agent_id }),
            identity(IdentityEvent::Registered { agent_id, agent_uri: r#"{"name":"a"}"#.into(), owner }),
        ],
        2 | 3 => vec![reputation(ReputationEvent::NewFeedback {
            agent_id: U256::from(number % 35),
            client_address: client,
            feedback_index,
            value: i128::from(number) - 1_000,
            value_decimals: u8::try_from(number % 19).unwrap(),
            indexed_tag1: keccak256("starred"),
            tag1: "starred".into(),
            tag2: "".into(),
            endpoint: "".into(),
            feedback_uri: "".into(),
            feedback_hash: B256::ZERO,
        })],
        4 => vec![reputation(ReputationEvent::FeedbackRevoked {
            agent_id: U256::from((number - 1) % 35),
            client_address: Address::with_last_byte(u8::try_from((number - 1) % 5).unwrap()),
            feedback_index: 1 + (number - 1) / 35,
        })],
        5 => vec![identity(IdentityEvent::URIUpdated {
            agent_id,
            new_uri: "https://x.example".into(),
            updated_by: owner,
        })],
        6 if number.is_multiple_of(5) => vec![
            (IDENTITY, Event::Governance(GovernanceEvent::Paused { account: owner })).into(),
            RawLog { address: REPUTATION, topics: vec![B256::repeat_byte(9)], data: vec![1, 2, 3].into() },
        ],
        _ => vec![],
    }
}

fn network(chain: &FakeChain, max_range_blocks: u64) -> Network {
    Network {
        name: "taiko".into(),
        chain_id: CHAIN_ID,
        rpc_urls: vec![chain.url()],
        start_block: 0,
        contracts: Contracts {
            identity: Addresses(vec![IDENTITY]),
            reputation: Addresses(vec![REPUTATION]),
            ..Contracts::default()
        },
        follow: Follow { max_range_blocks, ..Follow::default() },
        ..Network::default()
    }
}

/// The program, as an operator runs it.
struct Program {
    folder: Folder,
    database: Arc<TestDatabase>,
}

impl Program {
    async fn new(network: &Network) -> Self {
        let folder = Folder::new();
        let config = format!(
            "[[network]]\nname = \"{}\"\nchain_id = {CHAIN_ID}\nrpc_urls = [\"{}\"]\nstart_block = 0\n\
             [network.contracts]\nidentity = \"{IDENTITY}\"\nreputation = \"{REPUTATION}\"\n\
             [network.follow]\nmax_range_blocks = {}\nreindex_step_logs = {STEP_LOGS}\n",
            network.name, network.rpc_urls[0], network.follow.max_range_blocks
        );
        std::fs::write(folder.path().join("meikan.toml"), config).unwrap();
        Self { folder, database: Arc::new(TestDatabase::create().await) }
    }

    fn follow_until_head(&self) -> Running {
        self.start(&["follow", "--until", "head"])
    }

    fn start(&self, arguments: &[&str]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meikan"));
        command.args(arguments).arg("--config").arg(self.folder.path().join("meikan.toml"));
        command.args(["--database-url", self.database.url()]).stdin(Stdio::null()).stdout(Stdio::null());
        Running(command.stderr(Stdio::null()).spawn().unwrap())
    }

    /// Waits until that block is committed, and looks which one is.
    async fn committed(&self, block: u64) -> u64 {
        self.tip(|tip| tip >= block).await
    }

    /// Waits until the newest block that is committed is such a one.
    async fn tip(&self, is_wanted: impl Fn(u64) -> bool) -> u64 {
        let client = connect(self.database.url()).await;
        let reached = async {
            loop {
                // Before the first migration there is no table.
                let tip = client.query_opt("SELECT tip_number FROM cursor WHERE tip_number IS NOT NULL", &[]).await;
                let tip = tip.ok().flatten().map_or(0, |row| row.get::<_, i64>(0).unsigned_abs());
                if is_wanted(tip) {
                    return tip;
                }
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(DEADLINE, reached).await.expect("the backfill goes on")
    }
}

struct Running(Child);

impl Running {
    /// SIGKILL: nothing in the process can do anything about it.
    fn kill(mut self) {
        self.0.kill().unwrap();
        let status = self.0.wait().unwrap();
        assert!(status.code().is_none(), "it ended before it was killed: {status}");
    }

    /// SIGKILL, unless it has ended by itself; whether it was killed.
    fn kill_if_running(mut self) -> bool {
        let _ = self.0.kill();
        self.0.wait().unwrap().code().is_none()
    }

    async fn ended(mut self) -> ExitStatus {
        let ended = async {
            loop {
                if let Some(status) = self.0.try_wait().unwrap() {
                    return status;
                }
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(DEADLINE, ended).await.expect("it reaches the head")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What has been done of the drill, so that a run goes on where the last one ended.
struct Drill {
    file: std::path::PathBuf,
}

impl Drill {
    fn open() -> Self {
        let folder = match std::env::var_os("MEIKAN_SIMULATION_DIR").filter(|folder| !folder.is_empty()) {
            Some(folder) => folder.into(),
            None => std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulation"),
        };
        std::fs::create_dir_all(&folder).unwrap();
        Self { file: folder.join("kills.tsv") }
    }

    /// The rounds that are done and the kills in them.
    fn done(&self) -> (u64, u64) {
        let lines = std::fs::read_to_string(&self.file).unwrap_or_default();
        let kills = lines.lines().filter_map(|line| line.split('\t').nth(1)?.parse::<u64>().ok());
        (lines.lines().count() as u64, kills.sum())
    }

    fn enter(&self, round: u64, kills: u64) {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.file).unwrap();
        writeln!(file, "{round}\t{kills}").unwrap();
    }
}

/// Most milliseconds that a process lives before it is killed: it may not even have begun, or have committed a lot.
const MAX_LIFE_MS: u64 = 700;

/// Kills of one round: each round is a backfill of its own.
const KILLS_PER_ROUND: u64 = 20;

/// One backfill whose process is killed at random moments, while the chain above finality is reorganised again and again.
async fn killed_at_random(round: u64) -> u64 {
    let mut draw = Draw::new(round);
    let chain = FakeChain::new(CHAIN_ID);
    for number in 1..=BLOCKS / 4 {
        chain.mine(logs(number));
    }
    chain.finalize(FINAL_BLOCKS / 4);
    let program = Program::new(&network(&chain, 1 + draw.below(RANGE_BLOCKS))).await;
    let mut kills = 0;
    while kills < KILLS_PER_ROUND {
        let running = program.follow_until_head();
        sleep(Duration::from_millis(draw.below(MAX_LIFE_MS))).await;
        let head = chain.head().number;
        let depth = 1 + draw.below(head - FINAL_BLOCKS / 4);
        let first = head - depth + 1;
        // The new branch is shifted, so that its blocks differ, and longer, so that there is always something to do.
        let shift = draw.below(35);
        chain.reorg(depth, (first..=head + 1 + draw.below(20)).map(|number| logs(number + shift)).collect());
        sleep(Duration::from_millis(draw.below(MAX_LIFE_MS / 4))).await;
        kills += u64::from(running.kill_if_running());
    }
    assert!(program.follow_until_head().ended().await.success());
    let undisturbed = Node::fresh(&[network(&chain, Follow::default().max_range_blocks)]).await;
    let node = Node::start_on(Arc::clone(&program.database), &[network(&chain, RANGE_BLOCKS)]).await;
    assert_same(&node.tables(CHAIN_ID).await, &undisturbed.tables(CHAIN_ID).await);
    kills
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes some minutes: make kill"]
async fn f60_many_kills_at_random_moments_during_reorganisations() {
    let wanted = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(200);
    let drill = Drill::open();
    let (mut rounds, mut kills) = drill.done();
    println!("{kills} kills in {rounds} rounds were done before, as {} says", drill.file.display());
    while kills < wanted {
        let more = killed_at_random(rounds).await;
        drill.enter(rounds, more);
        (rounds, kills) = (rounds + 1, kills + more);
        println!("{kills} kills in {rounds} rounds; the tables are those of an undisturbed run");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f60_kills_in_mid_backfill_leave_the_tables_of_an_undisturbed_run() {
    let chain = FakeChain::new(CHAIN_ID);
    for number in 1..=BLOCKS {
        chain.mine(logs(number));
    }
    chain.finalize(FINAL_BLOCKS);
    let program = Program::new(&network(&chain, RANGE_BLOCKS)).await;
    let mut killed_at = Vec::new();
    for block in KILLED_AT {
        let running = program.follow_until_head();
        program.committed(block).await;
        running.kill();
        killed_at.push(program.committed(block).await);
    }
    assert!(killed_at.is_sorted() && killed_at.iter().all(|tip| *tip < BLOCKS), "in the middle: {killed_at:?}");
    assert!(program.follow_until_head().ended().await.success());
    assert_eq!(program.committed(BLOCKS).await, BLOCKS);

    let undisturbed = Node::fresh(&[network(&chain, Follow::default().max_range_blocks)]).await;
    let node = Node::start_on(Arc::clone(&program.database), &[network(&chain, RANGE_BLOCKS)]).await;
    assert_same(&node.tables(CHAIN_ID).await, &undisturbed.tables(CHAIN_ID).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f60_f66_kills_in_mid_reindex_leave_the_tables_of_an_undisturbed_run() {
    let chain = FakeChain::new(CHAIN_ID);
    for number in 1..=BLOCKS {
        chain.mine(logs(number));
    }
    chain.finalize(FINAL_BLOCKS);
    let program = Program::new(&network(&chain, RANGE_BLOCKS)).await;
    assert!(program.follow_until_head().ended().await.success());
    for source in ["rpc", "store"] {
        let reindex = || program.start(&["reindex", "--from-block", "300", "--source", source]);
        // Once in the middle of it, and once more in the middle of what goes on with it.
        let running = reindex();
        let first = program.tip(|tip| tip < BLOCKS).await;
        running.kill();
        let running = program.follow_until_head();
        program.committed(first + 200).await;
        running.kill();
        let second = program.tip(|_| true).await;
        assert!(300 < first && first < second && second < BLOCKS, "in the middle: {first}, {second}");
        // Whichever command comes next ends it.
        let next = if source == "rpc" { program.follow_until_head() } else { reindex() };
        assert!(next.ended().await.success());
        assert_eq!(program.tip(|_| true).await, BLOCKS);
    }
    let undisturbed = Node::fresh(&[network(&chain, Follow::default().max_range_blocks)]).await;
    let node = Node::start_on(Arc::clone(&program.database), &[network(&chain, RANGE_BLOCKS)]).await;
    assert_same(&node.tables(CHAIN_ID).await, &undisturbed.tables(CHAIN_ID).await);
}
