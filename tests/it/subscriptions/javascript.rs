//! The example of the documentation, run as it stands: the client that most front-ends have, `graphql-ws`, on Node.js.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};
use tokio::time::timeout;

use crate::graphql::support::{CHAIN, Node, feedback, registered};
use crate::support::node::DEADLINE;

/// Where the example's code asks.
const ADDRESS: &str = "http://127.0.0.1:8004";

fn example() -> String {
    let page = include_str!("../../../docs/graphql.md");
    let (_, rest) = page.split_once("```js\n").expect("the page has an example");
    let (example, _) = rest.split_once("```").expect("the example ends");
    assert!(example.contains(ADDRESS), "the example names a node");
    example.to_owned()
}

async fn printed(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = timeout(DEADLINE, lines.next_line()).await.expect("it prints a line").expect("its output is text");
    line.expect("it goes on")
}

#[tokio::test]
async fn the_example_of_the_documentation_keeps_a_true_copy() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "a")).await;
    let web = concat!(env!("CARGO_MANIFEST_DIR"), "/web");
    let mut script = Command::new("node")
        // Until Node.js 22 its own WebSocket is behind this flag.
        .args(["--experimental-websocket", "--no-warnings", "--input-type=module", "--eval"])
        .arg(example().replace(ADDRESS, &node.address))
        .current_dir(web)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Node.js runs; the packages come with `npm ci --prefix web`");
    let mut lines = BufReader::new(script.stdout.take().expect("it is piped")).lines();
    // When it has loaded and follows cannot be seen from here: blocks come until it tells of one.
    let first = async {
        for agent in 1.. {
            history.block(registered(agent, 1, "")).await;
            if let Ok(line) = timeout(std::time::Duration::from_millis(200), lines.next_line()).await {
                return (agent, line.expect("its output is text").expect("it goes on"));
            }
        }
        unreachable!("agents do not end");
    };
    let (last, line) = timeout(DEADLINE, first).await.expect("it follows");
    assert!(line.starts_with("INSERT 167000:"), "{line}");
    let all = last + 1;
    let tip = history.block(vec![feedback(0, 10, 1, (5, 0), "x")]).await;
    let mut line = line;
    while !line.starts_with("UPDATE") {
        line = printed(&mut lines).await;
    }
    assert_eq!(line, format!("UPDATE 167000:0 {all}"));
    history.reorg(tip - 2, vec![]).await;
    assert_eq!(printed(&mut lines).await, format!("RETRACT 167000:0 {all}"));
    assert_eq!(printed(&mut lines).await, format!("RETRACT 167000:{last} {}", all - 1));
    // A place that is not kept: it loads anew, and goes on.
    let client = crate::support::postgres::connect(node.database.url()).await;
    client.batch_execute("INSERT INTO change SELECT 167000, max(seq) + 1, 0, 1, '1', 1, '\\x00' FROM change; UPDATE cursor SET seq = seq + 1").await.unwrap();
    let back = async {
        for agent in 1_000.. {
            history.block(registered(agent, 1, "")).await;
            if let Ok(line) = timeout(std::time::Duration::from_millis(200), lines.next_line()).await {
                return (agent, line.expect("its output is text").expect("it goes on"));
            }
        }
        unreachable!("agents do not end");
    };
    let (last, mut line) = timeout(DEADLINE, back).await.expect("it follows again");
    while line.split(' ').nth(1) != Some(&format!("167000:{last}")) {
        line = printed(&mut lines).await;
    }
    let agents = node.list("{ agents(first: 1000) { id } }", "agents", "id").await;
    assert_eq!(line, format!("INSERT 167000:{last} {}", agents.len()), "it knows as many as there are");
}
