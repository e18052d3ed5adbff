//! `meikan reindex` as an operator meets it: each refusal with its sentence and exit code, what a dry run and a run tell,
//! and the way out of a final block that was replaced.

use alloy::primitives::{Address, U256};
use meikan::event::{Event, IdentityEvent};
use rustix::process::Signal;

use crate::cli::{CHAIN, DATABASE, USAGE, refused};
use crate::support::fake_chain::{FakeChain, Fault, RawLog};
use crate::support::node::LOOK_EVERY;
use crate::support::postgres::{TestDatabase, connect};
use crate::support::program::{CHAIN_ID, Ended, Meikan, PATIENCE, REGISTRY, config, dead_address, meikan};

/// A chain on which every second block registers an agent.
pub(crate) fn chain_of(blocks: u64) -> FakeChain {
    let chain = FakeChain::new(CHAIN_ID);
    (1..=blocks).for_each(|number| mine(&chain, number));
    chain
}

fn mine(chain: &FakeChain, number: u64) {
    chain.mine(logs(number));
}

fn logs(number: u64) -> Vec<RawLog> {
    let registry: Address = REGISTRY.parse().unwrap();
    let (agent_id, owner) = (U256::from(number / 2), Address::repeat_byte(7));
    let registered = IdentityEvent::Registered { agent_id, agent_uri: "https://a.example".into(), owner };
    if number.is_multiple_of(2) { vec![(registry, Event::Identity(registered)).into()] } else { vec![] }
}

/// The program on one database and one chain.
struct Operator {
    database: TestDatabase,
    config: String,
}

impl Operator {
    /// One who has followed the chain up to its head.
    async fn after_following(chain: &FakeChain) -> Self {
        let operator = Self { database: TestDatabase::create().await, config: config(&[&chain.url()]) };
        let followed = operator.run(&["follow", "--until", "head"]).await;
        assert_eq!(followed.code, Some(0), "{followed:#?}");
        operator
    }

    fn program(&self, arguments: &[&str]) -> Meikan {
        meikan(arguments).config(&self.config).database(self.database.url())
    }

    async fn run(&self, arguments: &[&str]) -> Ended {
        self.program(arguments).end().await
    }

    async fn agents(&self) -> Vec<String> {
        let client = connect(self.database.url()).await;
        let select = "SELECT to_jsonb(a)::text FROM agent a ORDER BY 1";
        crate::support::tables::texts(&client, select).await
    }
}

#[tokio::test]
async fn a_reindex_that_is_asked_for_wrongly_is_refused() {
    for (arguments, said) in [
        (&["reindex"][..], "--from-block"),
        (&["reindex", "--from-block", "first"], "first"),
        (&["reindex", "--from-block", "-1"], "-1"),
        (&["reindex", "--from-block", "1", "--source", "cloud"], "cloud"),
    ] {
        refused(meikan(arguments), USAGE, &[said, "meikan --help"]).await;
    }
    let one = config(&["http://127.0.0.1:1"]);
    let unknown = meikan(&["reindex", "--from-block", "1", "--network", "mars"]).config(&one);
    refused(unknown, USAGE, &["no network is called \"mars\"", "test"]).await;
    let (_, network) = one.split_once("[[network]]").unwrap();
    let other = network.replace("\"test\"", "\"other\"").replace("167000", "167001");
    let two = format!("{one}[[network]]{other}");
    let which = meikan(&["reindex", "--from-block", "1"]).config(&two);
    refused(which, USAGE, &["name one of them with --network: test, other"]).await;
}

#[tokio::test]
async fn f61_f62_a_block_that_cannot_be_reached_is_refused_with_what_can_be() {
    let chain = chain_of(12);
    let operator = Operator::after_following(&chain).await;
    let before = operator.agents().await;
    for source in ["rpc", "store"] {
        let forward = operator.program(&["reindex", "--from-block", "14", "--source", source]);
        refused(forward, USAGE, &["network test: block 14 is not indexed yet", "the highest block", "is 13"]).await;
    }
    let accepted = operator.program(&["reindex", "--from-block", "3", "--source", "store", "--accept-deep-reorg"]);
    refused(accepted, USAGE, &["--accept-deep-reorg", "--source store"]).await;
    assert_eq!(operator.agents().await, before);
    let empty = TestDatabase::create().await;
    let nothing = meikan(&["reindex", "--from-block", "3", "--source", "store"]).config(&operator.config);
    refused(nothing.database(empty.url()), DATABASE, &["chain 167000 is not registered in this database"]).await;
}

#[tokio::test]
async fn f23_an_endpoint_that_lacks_the_blocks_is_told_and_nothing_is_undone() {
    let chain = chain_of(12);
    let operator = Operator::after_following(&chain).await;
    let before = operator.agents().await;
    chain.endpoint().fail("eth_getLogs", 10_000, Fault::Error(-32_000, "history is pruned".into()));
    let unserved = operator.program(&["reindex", "--from-block", "3"]).end().await;
    assert_eq!(unserved.code, Some(CHAIN), "{unserved:#?}");
    assert!(unserved.sentence().contains("nothing was changed, because the blocks from 3 on"), "{unserved:#?}");
    assert_eq!(operator.agents().await, before);
}

#[tokio::test]
async fn f63_a_running_writer_keeps_a_reindex_out_but_not_a_dry_run() {
    let chain = chain_of(12);
    let operator = Operator::after_following(&chain).await;
    let mut follow = operator.program(&["follow"]).start();
    follow.logged("following the chain").await;
    for source in ["rpc", "store"] {
        let busy = operator.program(&["reindex", "--from-block", "3", "--source", source]);
        refused(busy, DATABASE, &["another process writes network test", "stop it first", "--dry-run"]).await;
        let dry = operator.run(&["reindex", "--from-block", "3", "--source", source, "--dry-run"]).await;
        assert_eq!(dry.code, Some(0), "{dry:#?}");
    }
    follow.signal(Signal::TERM);
    assert_eq!(follow.end().await.code, Some(143));
}

#[tokio::test]
async fn a_reindex_tells_what_it_undoes_and_what_is_there_afterwards() {
    let chain = chain_of(12);
    chain.finalize(8);
    let mut operator = Operator::after_following(&chain).await;
    let before = operator.agents().await;
    let lines = |ended: &Ended| {
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        ended.stdout.lines().map(line).collect::<Vec<_>>()
    };
    let told = lines(&operator.run(&["reindex", "--from-block", "5", "--dry-run"]).await);
    assert_eq!(told[0], "network test: blocks 5 to 12 would be re-indexed from the chain");
    let undone = ["final blocks among them: 4", "blocks 8", "raw logs 4", "agents touched 4", "rows of agent 4"];
    for line in undone.into_iter().chain(["rows of feedback 0", "nothing was changed (--dry-run)"]) {
        assert!(told.iter().any(|told| told == line), "{line:?} is missing: {told:#?}");
    }
    for source in ["rpc", "store"] {
        if source == "store" {
            // Nobody is asked.
            operator.config = config(&[&format!("http://{}", dead_address())]);
        }
        let told = lines(&operator.run(&["reindex", "--from-block", "5", "--source", source]).await);
        for line in ["from that block on before after", "blocks 8 8", "raw logs 4 4", "rows of agent 4 4"] {
            assert!(told.iter().any(|told| told == line), "{line:?} is missing: {told:#?}");
        }
        assert_eq!(operator.agents().await, before);
    }
    let told = lines(&operator.run(&["reindex", "--from-block", "13", "--source", "store"]).await);
    assert_eq!(told, ["network test: nothing is indexed from block 13 on, so nothing changes"]);
}

#[tokio::test]
async fn f15_the_way_out_of_a_final_block_that_was_replaced() {
    let chain = chain_of(20);
    chain.finalize(15);
    let operator = Operator::after_following(&chain).await;
    chain.finalize(0);
    chain.reorg(9, (12..=22).map(|number| logs(number + 20)).collect());
    chain.finalize(16);
    let mut run = operator.program(&["run"]).start();
    let site = run.site().await;
    let line = run.logged("writing has stopped").await;
    assert!(line.contains("meikan reindex --network test --accept-deep-reorg"), "{line}");
    // What is stored is still served.
    site.indexed(20).await;
    assert_eq!(site.get("/health").await.status, 200);
    run.signal(Signal::TERM);
    run.end().await;
    let refused_first = operator.run(&["reindex", "--from-block", "5"]).await;
    assert_eq!(refused_first.code, Some(CHAIN), "{refused_first:#?}");
    assert!(refused_first.sentence().contains("the finalized block 15 was replaced"), "{refused_first:#?}");
    let shown = operator.run(&["reindex", "--accept-deep-reorg", "--dry-run"]).await;
    assert!(shown.stdout.contains("newest block shared with the chain: 10"), "{shown:#?}");
    let done = operator.run(&["reindex", "--accept-deep-reorg"]).await;
    assert_eq!(done.code, Some(0), "{done:#?}");
    let followed = operator.run(&["follow", "--until", "head"]).await;
    assert_eq!(followed.code, Some(0), "{followed:#?}");
    let fresh = Operator::after_following(&chain).await;
    assert_eq!(operator.agents().await, fresh.agents().await);
}

#[tokio::test]
async fn f60_a_reindex_ends_when_it_is_asked_to() {
    let chain = chain_of(12);
    let operator = Operator::after_following(&chain).await;
    let before = operator.agents().await;
    // The first stretch never comes.
    chain.endpoint().fail("eth_getLogs", 10_000, Fault::Hang);
    let before_asking = chain.endpoint().requests("eth_getLogs").len();
    let reindex = operator.program(&["reindex", "--from-block", "3"]).start();
    let asked = async {
        while chain.endpoint().requests("eth_getLogs").len() == before_asking {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("it asks for the first stretch");
    reindex.signal(Signal::TERM);
    let ended = reindex.end().await;
    assert_eq!(ended.code, Some(143), "{ended:#?}");
    assert_eq!(operator.agents().await, before);
}
