//! A newer program on the database of an older one: the tables are derived anew while the node serves, what is not derived
//! yet is refused with the reason, and neither an operator nor an older program makes a mixture of the two.

use meikan::config::{Database, Follow, Network};
use meikan::follow::{Outcome, Reindex, ReindexError};
use meikan::store::{DERIVATION, Source, Store};
use serde_json::{Value, json};

use crate::cli::{DATABASE, refused};
use crate::cli_reindex::chain_of;
use crate::follow::{Node as Followed, busy_block, busy_chain, network};
use crate::support::fake_chain::FakeChain;
use crate::support::node::Node;
use crate::support::postgres::{TestDatabase, connect};
use crate::support::program::{CHAIN_ID, config, meikan};
use crate::support::tables::{assert_same, texts};

/// Steps so short that there is a middle.
fn short() -> Follow {
    Follow { reindex_step_logs: 9, ..Follow::default() }
}

/// Sets a network's number, and takes what an older program did not derive.
async fn age(database: &TestDatabase, derivation: i16, missing: &[&str]) {
    let client = connect(database.url()).await;
    let set = client.execute("UPDATE network SET derivation = $1", &[&derivation]).await.unwrap();
    assert_eq!(set, 1);
    for table in missing {
        assert!(client.execute(&format!("DELETE FROM {table}"), &[]).await.unwrap() > 0, "{table}");
    }
}

async fn number(database: &TestDatabase) -> i16 {
    connect(database.url()).await.query_one("SELECT derivation FROM network", &[]).await.unwrap().get(0)
}

/// A node on a database whose tables are of a program with that number.
async fn aged(network: &Network, derivation: i16, missing: &[&str]) -> Node {
    let database = Node::fresh(std::slice::from_ref(network)).await.stop();
    age(&database, derivation, missing).await;
    Node::start_on(database, std::slice::from_ref(network)).await
}

/// The code and the sentence of the only error.
fn error(answer: &Value) -> (&str, &str) {
    let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("it was answered: {answer}"));
    let [error] = errors.as_slice() else { panic!("{answer}") };
    (error["extensions"]["code"].as_str().unwrap(), error["message"].as_str().unwrap())
}

#[tokio::test]
async fn f66_a_newer_program_derives_anew_before_anything_else_and_then_goes_on() {
    let chain = busy_chain(60);
    chain.finalize(40);
    let network = network(&[chain.url()], short());
    let mut node = aged(&network, DERIVATION - 1, &["agent_total", "feedback", "state_digest"]).await;
    chain.mine(busy_block(61, 1));
    let outcomes = node.catch_up().await;
    let derived = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Rederived(_))).count();
    assert!(derived > 2 && matches!(outcomes[derived], Outcome::Advanced { from: 61, to: 61, .. }), "{outcomes:?}");
    assert_eq!(number(&node.database).await, DERIVATION);
    let fresh = Node::fresh(std::slice::from_ref(&network)).await;
    assert_same(&node.tables(network.chain_id).await, &fresh.tables(network.chain_id).await);
}

#[tokio::test]
async fn f70_what_is_not_derived_yet_is_refused_with_the_reason_and_answered_once_it_is() {
    let chain = busy_chain(60);
    chain.finalize(40);
    let network = network(&[chain.url()], short());
    // Standings, intents and findings are of the first program that has a number.
    let mut node = aged(&network, 0, &["standing"]).await;
    let questions = [
        "{ agentReputations { id } }",
        "{ agentReputation(id: \"167000:1\") { given } }",
        "{ agents { id tagReputations(first: 1) { given } } }",
        "{ agents(where: { reputation_: { given_gt: 0 } }) { id } }",
        "{ agents(orderBy: reputation__given) { id } }",
        "{ tagReputations(block: { number: 9 }) { id } }",
        "{ leaderboard(chainId: 167000, minFinality: FINALIZED) { score } }",
        "{ leaderboard(block: { number: 9 }) { score } }",
        "{ intents { id } }",
        "{ findings { id } }",
        "{ walletAgents { id } }",
    ];
    let refused = async |node: &Node, why: &str| {
        for question in questions {
            let answer = node.answer("", question).await;
            let (code, sentence) = error(&answer);
            assert_eq!(code, "UNAVAILABLE", "{sentence}");
            let whose = "of network taiko (chain 167000) cannot be answered for yet: an older version derived";
            assert!(sentence.contains(whose) && sentence.contains(why), "{question}: {sentence}");
        }
        let (status, body) = node.ready().await;
        let reasons = body["reasons"].to_string();
        assert!(status == 503 && reasons.contains("taiko: an older version derived what is stored"), "{body}");
        assert!(reasons.contains(why), "{body}");
    };
    refused(&node, "once a follower of this version runs").await;
    node.step().await;
    let tip = node.tip();
    assert!(tip < 60, "it is half way");
    refused(&node, &format!("up to block {tip} of 60 by now")).await;
    node.catch_up().await;
    for question in questions {
        node.ask(question).await;
    }
    let (_, body) = node.ready().await;
    assert!(!body["reasons"].to_string().contains("older version"), "{body}");
    assert_eq!(
        node.ask("{ agentReputations(first: 1000) { id } }").await["agentReputations"].as_array().unwrap().len(),
        20
    );
}

#[tokio::test]
async fn what_needs_no_newer_program_is_answered_all_the_while() {
    let chain = busy_chain(60);
    let network = network(&[chain.url()], short());
    let mut node = aged(&network, 0, &["standing"]).await;
    let agents =
        async |node: &Node| node.ask("{ agents(first: 1000) { id } }").await["agents"].as_array().unwrap().len();
    // What is kept of it is not there, but the feedback is.
    let summary = "{ reputationSummary(agent: \"167000:20\") { count average clientCount min max } }";
    assert_eq!(agents(&node).await, 20);
    let counted = node.ask(summary).await;
    assert_eq!(counted["reputationSummary"]["count"], json!("1"), "{counted}");
    node.step().await;
    // Every third block registers one.
    assert_eq!(agents(&node).await, usize::try_from(node.tip() / 3).unwrap(), "as of the block that is reached again");
    node.catch_up().await;
    assert_eq!(agents(&node).await, 20);
    assert_eq!(node.ask(summary).await, counted);
}

/// A chain, and a node that has left its tables to a newer program.
async fn left() -> (FakeChain, Followed) {
    let chain = busy_chain(60);
    chain.finalize(40);
    let mut node = Followed::with(&[chain.url()], short()).await;
    node.sync().await;
    age(&node.database, DERIVATION - 1, &["feedback", "agent_total"]).await;
    (chain, node)
}

fn asked(from: u64, source: Source) -> Reindex {
    Reindex { from: Some(from), source, dry_run: false, accept_deep_reorg: false }
}

#[tokio::test]
async fn an_operator_s_reindex_leaves_nothing_of_the_older_program() {
    for (from, source) in
        [(30, Source::Store), (1, Source::Store), (30, Source::Rpc), (1, Source::Rpc), (61, Source::Rpc)]
    {
        let (chain, node) = left().await;
        let (mut node, report) = node.reindexed(&asked(from, source)).await;
        report.unwrap();
        node.sync().await;
        assert_eq!(number(&node.database).await, DERIVATION, "from {from}, {source:?}");
        node.equals_fresh(&chain).await;
    }
}

#[tokio::test]
async fn raw_logs_that_cannot_be_read_are_told_before_anything_changes_and_taken_anew_with_all_others() {
    let (chain, node) = left().await;
    let client = connect(node.database.url()).await;
    client.batch_execute("UPDATE raw_logs SET logs = substring(logs FOR 30) WHERE from_block = 42").await.unwrap();
    let before = texts(&client, "SELECT to_jsonb(a)::text FROM agent a ORDER BY 1").await;
    let (node, some) = node.reindexed(&asked(42, Source::Rpc)).await;
    let ReindexError::Refused { reason } = some.unwrap_err() else { panic!("it is no refusal") };
    assert!(
        reason.contains("--from-block 42") && reason.ends_with("take it all anew from the chain with --from-block 1"),
        "{reason}"
    );
    let mut node = node;
    let stopped = node.follower.step().await.unwrap_err().to_string();
    assert!(stopped.contains("nothing was changed"), "{stopped}");
    let after = texts(&client, "SELECT to_jsonb(a)::text FROM agent a ORDER BY 1").await;
    assert_eq!(after, before, "nothing is undone for the sake of logs that cannot be read");
    let (mut node, all) = node.reindexed(&asked(1, Source::Rpc)).await;
    all.unwrap();
    node.sync().await;
    assert_eq!(number(&node.database).await, DERIVATION);
    node.equals_fresh(&chain).await;
}

#[tokio::test]
async fn the_program_tells_that_it_derives_anew_and_an_older_one_what_to_do() {
    let chain = chain_of(12);
    let database = TestDatabase::create().await;
    let text = config(&[&chain.url()]);
    let run = async |arguments: &[&str]| {
        let ended = meikan(arguments).config(&text).database(database.url()).end().await;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        ended.stderr
    };
    let told = "an older version derived what is stored: all of it is derived anew from the raw logs";
    assert!(!run(&["follow", "--until", "head"]).await.contains(told), "there is nothing to derive anew");
    age(&database, DERIVATION - 1, &[]).await;
    let log = run(&["follow", "--until", "head"]).await;
    assert!(log.contains(told), "{log}");
    assert!(!run(&["follow", "--until", "head"]).await.contains(told), "it is done");
    age(&database, DERIVATION + 1, &[]).await;
    for arguments in [&["follow", "--until", "head"][..], &["reindex", "--from-block", "3", "--source", "store"]] {
        let older = meikan(arguments).config(&text).database(database.url());
        let chain_said = format!("what is stored of chain {CHAIN_ID} was derived by a newer version of this program");
        refused(older, DATABASE, &[&chain_said, "run the newer version, or use another database"]).await;
    }
    let served = Store::connect(&Database { url: database.url().into(), ..Database::default() }).await.unwrap();
    assert_eq!(served.check_schema().await.map_err(|error| error.to_string()), Ok(()), "reading it harms nothing");
    assert_eq!(json!(number(&database).await), json!(DERIVATION + 1));
}
