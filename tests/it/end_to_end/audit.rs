//! `meikan audit` as an operator runs it, on a real chain with our contracts: nothing to say where all is equal, and the
//! block and what differs where somebody changed a table.

use crate::support::node::Node;
use crate::support::postgres::connect;
use crate::support::program::{Ended, meikan};

use super::stage::Stage;

/// Blocks of traffic; the older ones are final.
const BLOCKS: u64 = 90;

async fn audit(stage: &Stage, node: &Node, arguments: &[&str]) -> Ended {
    let contracts = &stage.network.contracts;
    let listed: String =
        contracts.all().map(|(role, _, address)| format!("{} = \"{address}\"\n", role.name())).collect();
    let config = format!(
        "[[network]]\nname = \"local\"\nchain_id = {}\nrpc_urls = {:?}\nstart_block = 0\n\
         [network.contracts]\n{listed}",
        stage.network.chain_id, stage.network.rpc_urls
    );
    let arguments: Vec<&str> = std::iter::once(&"audit").chain(arguments).copied().collect();
    meikan(&arguments).config(&config).database(node.database.url()).end().await
}

#[tokio::test]
async fn f5_an_audit_of_real_contracts_says_what_differs() {
    let stage = Stage::start().await;
    stage.populate().await;
    for number in 0..BLOCKS {
        stage.mine(stage.busy_block(number, 1)).await;
    }
    let node = Node::fresh(std::slice::from_ref(&stage.network)).await;
    let clean = audit(&stage, &node, &[]).await;
    assert_eq!(clean.code, Some(0), "{clean:#?}");
    assert!(clean.stdout.contains(" 0 differences, by RECEIPTS_ROOT or better; "), "{clean:#?}");
    assert!(!clean.stdout.contains("could not be told"), "{clean:#?}");

    let client = connect(node.database.url()).await;
    let change = async |statement: &str| {
        assert!(client.execute(statement, &[]).await.unwrap() > 0, "{statement}");
        audit(&stage, &node, &[]).await
    };
    let found = async |statement: &str, select: &str, said: &str| {
        let block: i64 = client.query_one(select, &[]).await.unwrap().get(0);
        let ended = change(statement).await;
        assert_eq!(ended.code, Some(1), "{statement}: {ended:#?}");
        let line = format!("local: block {block}: {said}");
        assert!(ended.stdout.lines().any(|told| told.starts_with(&line)), "{statement}: {line}: {ended:#?}");
    };
    let one = "(SELECT min(begin_block) FROM feedback)";
    let block = "SELECT min(begin_block) FROM feedback";
    found(
        &format!("UPDATE feedback SET value_raw = value_raw + 1, value = value + 1 WHERE begin_block = {one}"),
        block,
        "ROW: feedback",
    )
    .await;
    let newest = "SELECT max(begin_block) FROM feedback WHERE revoked_block IS NULL";
    found(&format!("DELETE FROM feedback WHERE begin_block = ({newest})"), newest, "ROW: feedback").await;
    let renamed = "SELECT max(begin_block) FROM agent";
    found(
        &format!("UPDATE agent SET owner = decode(repeat('07', 20), 'hex') WHERE begin_block = ({renamed})"),
        renamed,
        "ROW: agent",
    )
    .await;
    let logs = "SELECT from_block FROM raw_logs ORDER BY from_block LIMIT 1";
    found(&format!("DELETE FROM raw_logs WHERE from_block = ({logs})"), logs, "LOG_MISSING: ").await;
    let outside = audit(&stage, &node, &["--from", "1000000"]).await;
    assert_eq!(outside.code, Some(2), "{outside:#?}");
    let backwards = audit(&stage, &node, &["--from", "10", "--to", "5"]).await;
    assert_eq!(backwards.code, Some(2), "{backwards:#?}");
    assert!(backwards.sentence().contains("nothing was compared"), "{backwards:#?}");
}

#[tokio::test]
async fn an_audit_that_cannot_be_made_is_refused() {
    let stage = Stage::start().await;
    let node = Node::fresh(std::slice::from_ref(&stage.network)).await;
    let unknown = audit(&stage, &node, &["--network", "elsewhere"]).await;
    assert_eq!(unknown.code, Some(2), "{unknown:#?}");
    assert!(unknown.sentence().contains("no network is named \"elsewhere\"; the configuration has local"));
    let down = audit(&stage, &node, &["--rpc-url", "http://127.0.0.1:1"]).await;
    assert_eq!(down.code, Some(4), "{down:#?}");
    let nowhere = audit(&stage, &node, &["--database-url", "postgres://nobody@127.0.0.1:1/none"]).await;
    assert_eq!(nowhere.code, Some(3), "{nowhere:#?}");
}
