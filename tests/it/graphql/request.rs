//! Requests as such: errors and their codes, limits, headers, the summary of reputation, and the schema that is promised.

use serde_json::{Value, json};

use super::support::{CHAIN, Node, feedback, hex, registered, revoked};
use crate::support::postgres::connect;

#[tokio::test]
async fn a_mistake_of_the_client_is_told_with_a_code_and_status_200() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    let cases = [
        ("{ agents { nonsense } }", "BAD_INPUT", "Type `Agent` has no field `nonsense`"),
        ("{ feedbackResponses { responseURI } }", "BAD_INPUT", "Type `FeedbackResponse` has no field `responseURI`"),
        (
            "{ agentRegistrationFiles { agentWallet } }",
            "BAD_INPUT",
            "Type `AgentRegistrationFile` has no field `agentWallet`",
        ),
        ("{ agents(where: {nonsense: 1}) { id } }", "BAD_INPUT", "nonsense"),
        ("{ agents(first: 1001) { id } }", "BAD_INPUT", "`first` argument must be between 1 and 1000, but is 1001"),
        ("{ agents(first: 0) { id } }", "BAD_INPUT", "`first`"),
        ("{ agents(skip: -1) { id } }", "BAD_INPUT", "`skip`"),
        ("{ agents { feedback(first: 1001) { id } } }", "BAD_INPUT", "`first`"),
        ("{ agents(where: {owner: \"0x1\"}) { id } }", "BAD_INPUT", "`owner`"),
        ("{ agents(where: {createdAt_gt: \"soon\"}) { id } }", "BAD_INPUT", "`createdAt_gt`"),
        ("{ agents(where: {id_gt: \"x\"}) { id } }", "BAD_INPUT", "`id_gt`"),
        ("{ agents(after: \"x\") { id } }", "BAD_INPUT", "`after`"),
        ("{ reputationSummary(agent: \"x\") { count } }", "BAD_INPUT", "`agent`"),
        ("{ agents ", "BAD_INPUT", ""),
        ("mutation { x }", "BAD_INPUT", ""),
    ];
    for (query, code, message) in cases {
        let answer = node.answer(query, json!({})).await;
        let error = answer.error();
        assert_eq!((answer.status, error.0.as_str()), (200, code), "{query}: {}", answer.body);
        assert!(error.1.contains(message), "{query}: {}", error.1);
    }
}

#[tokio::test]
async fn too_much_is_refused() {
    let node = Node::with(|api| {
        api.max_rows = 30;
        api.max_body_bytes = 2_000;
        api.max_complexity = 20;
        api.max_depth = 6;
    })
    .await;
    let mut history = node.history(CHAIN).await;
    let mut events = registered(0, 1, "");
    events.extend((1..=20).map(|index| feedback(0, 10, index, (1, 0), "")));
    history.block(events).await;
    let code = async |query: &str| node.answer(query, json!({})).await.error().0;
    assert_eq!(
        code("{ agents { feedback { agent { feedback { agent { feedback { id } } } } } } }").await,
        "TOO_COMPLEX"
    );
    assert_eq!(
        code(&format!("{{ {} }}", (0..30).map(|n| format!("a{n}: agents {{ id }} ")).collect::<String>())).await,
        "TOO_COMPLEX"
    );
    assert_eq!(code("{ feedbacks { agent { feedback { id } } } }").await, "TOO_COMPLEX");
    let body = json!({ "query": format!("{{ agents {{ id }} }} #{}", "x".repeat(3_000)) }).to_string();
    let large = node.post("/graphql", body).await;
    assert_eq!((large.status, large.error().0.as_str()), (413, "TOO_LARGE"));
    let deep =
        format!("{{ agents(where: {}{}) {{ id }} }}", "{and: [".repeat(14), "]}".repeat(14).replacen("]", "{}]", 1));
    assert_eq!(code(&deep).await, "TOO_COMPLEX");
    assert_eq!(node.agents("{}").await, ["167000:0"]);
}

#[tokio::test]
async fn a_query_nested_without_end_does_not_end_the_node() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    for (open, close) in [("{and:", "}"), ("[", "]")] {
        let depth = 90_000 / (open.len() + close.len());
        let query = format!("{{ agents(where: {}{}) {{ id }} }}", open.repeat(depth), close.repeat(depth));
        assert!(!node.answer(&query, json!({})).await.error().0.is_empty());
    }
    let selections = format!("{}id{}", "{ agents ".repeat(4_000), "}".repeat(4_000));
    assert!(!node.answer(&selections, json!({})).await.error().0.is_empty());
    let body = format!(
        "{{\"query\":\"{{ agents {{ id }} }}\",\"variables\":{{\"x\":{}{}}}}}",
        "[".repeat(40_000),
        "]".repeat(40_000)
    );
    assert_eq!(node.post("/graphql", body).await.status, 400);
    assert_eq!(node.agents("{}").await, ["167000:0"]);
}

/// Thirty fragments that each double the next one stand for a thousand million fields.
#[tokio::test]
async fn fragments_that_multiply_are_refused_before_they_are_written_out() {
    let node = Node::start().await;
    let doubling = |number| format!("fragment F{number} on Query {{ ...F{next} ...F{next} }} ", next = number + 1);
    let fragments: String = (0..30).map(doubling).collect();
    let query = format!("{{ ...F0 }} {fragments} fragment F30 on Query {{ __typename }}");
    let error = node.answer(&query, json!({})).await.error();
    assert_eq!(error.0, "TOO_COMPLEX");
    assert!(error.1.contains("fragments"), "{}", error.1);
}

/// Merged, they would be an answer to neither.
#[tokio::test]
async fn lists_of_one_name_that_differ_are_refused() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block([registered(0, 1, ""), vec![feedback(0, 10, 1, (1, 0), "")]].concat()).await;
    let differing = "{ agents { feedback(first: 1) { id } ... on Agent { feedback(first: 2) { value } } } }";
    let error = node.answer(differing, json!({})).await.error();
    assert_eq!(error.0, "BAD_INPUT");
    assert!(error.1.contains("\"feedback\""), "{}", error.1);
    let same = node.ask("{ agents { feedback(first: 1) { id } ... on Agent { feedback(first: 1) { value } } } }").await;
    assert_eq!(same["agents"][0]["feedback"], json!([{ "id": format!("167000:0:{}:1", hex(10)), "value": "1" }]));
}

#[tokio::test]
async fn an_answer_with_an_error_has_no_data_and_tells_where_it_happened() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    let answer = node.answer("{ agents { id } bad: agents(first: 0) { id } }", json!({})).await;
    assert_eq!(answer.error().0, "BAD_INPUT");
    assert_eq!(answer.body["data"], Value::Null);
    assert_eq!(answer.body["errors"][0]["path"], json!(["bad"]));
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_ended() {
    too_long(Node::with(|api| api.request_timeout_ms = 300).await).await;
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended() {
    too_long(Node::limited(Some(300), |_| {}).await).await;
}

/// A query that waits for a lock is answered by TIMEOUT, and no longer runs in the database.
async fn too_long(node: Node) {
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    let blocker = connect(node.database.url()).await;
    blocker.batch_execute("BEGIN; LOCK TABLE agent IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let answer = node.answer("{ agents { id } }", json!({})).await;
    assert_eq!((answer.status, answer.error().0.as_str()), (200, "TIMEOUT"));
    // The statement is ended in the database too, although what it waits for is still locked.
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let ended = async {
        while blocker.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), ended).await.expect("nobody waits any more");
    blocker.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(node.agents("{}").await, ["167000:0"]);
}

/// How far the networks are is told with every answer: to look it up takes the same however many headers are held.
#[tokio::test]
async fn f71_what_every_answer_tells_is_looked_up_and_not_searched_for() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    for _ in 0..100 {
        history.block(vec![]).await;
    }
    let client = connect(node.database.url()).await;
    // As the server's own turn leaves it: it comes to large tables, and never to the few rows of a small one.
    client.batch_execute("ANALYZE block").await.unwrap();
    drop(history);
    let read = node.rows_read("block%", "{ _meta { block { number parentHash } } }", 20).await;
    assert!((20..=60).contains(&read), "{read} headers were read for twenty answers");
}

/// A look-up by key takes less time than its plan: the server keeps that. What is filtered by is planned for its values.
#[tokio::test]
async fn what_is_found_by_its_key_is_planned_once_and_for_its_network_alone() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block([registered(0, 1, ""), vec![feedback(0, 2, 1, (80, 0), "starred")]].concat()).await;
    let wallet = format!("walletAgent: \"0x{}\"", "07".repeat(32));
    let by_key = format!(
        "{{ agent(id: \"167000:0\") {{ owner feedback(first: 3) {{ value }} }} \
         feedbacks(where: {{ agent: \"167000:0\" }}) {{ value }} reputationSummary(agent: \"167000:0\") {{ count }} \
         agents(where: {{ owner: \"{}\" }}) {{ id }} findings(where: {{ {wallet} }}) {{ id }} \
         auditEntries(where: {{ {wallet} }}, orderBy: createdAt, orderDirection: desc) {{ id }} }}",
        hex(1)
    );
    let filtered = "{ feedbacks(where: { tag1: \"starred\" }) { agent { id } } }";
    for _ in 0..12 {
        node.ask(&by_key).await;
        node.ask(filtered).await;
    }
    let (mut kept, mut anew) = (Vec::new(), Vec::new());
    // One request after the other uses one connection after the other, or the same.
    for connection in [node.store.read().await.unwrap(), node.store.read().await.unwrap()] {
        let select = "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements \
                      WHERE cardinality(parameter_types) > 0 AND generic_plans + custom_plans > 5";
        for row in connection.query(select, &[]).await.unwrap() {
            let (statement, generic): (String, i64) = (row.get(0), row.get(1));
            if generic > 0 { kept.push(statement) } else { anew.push(statement) }
        }
    }
    assert_eq!((kept.len(), anew.len()), (8, 1), "kept: {kept:#?}, anew: {anew:#?}");
    assert!(anew[0].contains("t1.tag1"), "{anew:?}");
    assert!(kept.iter().all(|statement| statement.contains(".chain_id IN (167000)")), "{kept:#?}");
}

/// A text is read once: what is kept of it serves other variables, and never another answer.
#[tokio::test]
async fn one_text_is_answered_for_whatever_variables_come_with_it() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block([registered(0, 1, ""), registered(1, 2, "")].concat()).await;
    let query =
        "query($agent: ID!, $full: Boolean! = false) { agent(id: $agent) { owner agentId @include(if: $full) } }";
    for _ in 0..2 {
        for agent in 0..2_u8 {
            let id = format!("167000:{agent}");
            let answer = node.answer(query, json!({ "agent": id })).await;
            assert_eq!(answer.body["data"]["agent"], json!({ "owner": hex(agent + 1) }));
            let answer = node.answer(query, json!({ "agent": id, "full": true })).await;
            assert_eq!(answer.body["data"]["agent"], json!({ "owner": hex(agent + 1), "agentId": agent.to_string() }));
        }
        let refused = node.answer(query, json!({})).await.error();
        assert_eq!(refused.0, "BAD_INPUT", "{}", refused.1);
        let refused = node.answer("{ agents { id agents: id } agents(first: 1) { id } }", json!({})).await.error();
        assert!(refused.1.contains("conflict"), "{}", refused.1);
    }
}

#[tokio::test]
async fn a_database_that_is_gone_is_unavailable_and_nothing_leaks() {
    let node = Node::start().await;
    node.store.close();
    let error = node.answer("{ agents { id } }", json!({})).await.error();
    assert_eq!(error.0, "UNAVAILABLE");
    assert!(!error.1.contains("postgres"), "{}", error.1);
}

#[tokio::test]
async fn requests_carry_ids_and_any_origin_may_read() {
    let node = Node::start().await;
    let one = node.answer("{ __typename }", json!({})).await;
    let other = node.answer("{ __typename }", json!({})).await;
    assert_eq!(one.headers["access-control-allow-origin"], "*");
    assert_ne!(one.headers["x-request-id"], other.headers["x-request-id"]);
    assert!(one.headers.get("x-block").is_none(), "nothing was read");
    let client = reqwest::Client::new();
    let own = client.post(format!("{}/graphql", node.address)).header("x-request-id", "mine-1");
    let own = own.header("content-type", "application/json").body("[]").send().await.unwrap();
    assert_eq!((own.status().as_u16(), &own.headers()["x-request-id"]), (400, &"mine-1".parse().unwrap()));
    let page =
        client.get(format!("{}/graphql", node.address)).header("accept", "application/json").send().await.unwrap();
    assert_eq!(page.status().as_u16(), 406, "a GET is answered with a page for browsers");
    let preflight =
        client.request(reqwest::Method::OPTIONS, format!("{}/graphql/167000", node.address)).send().await.unwrap();
    assert_eq!(preflight.status().as_u16(), 204);
    assert!(preflight.headers()["access-control-allow-headers"].to_str().unwrap().contains("content-type"));
}

#[tokio::test]
async fn a_summary_is_the_contracts_and_beside_it_the_exact_one() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let mut events = registered(0, 1, "");
    events.extend([
        feedback(0, 10, 1, (9977, 2), "starred"),
        feedback(0, 11, 1, (87, 0), "starred"),
        feedback(0, 11, 2, (1, 0), "uptime"),
        feedback(0, 12, 1, (50, 0), "gone"),
    ]);
    history.block(events).await;
    let before = history.block(vec![revoked(0, 12, 1)]).await - 1;
    let summary = async |arguments: &str| -> Value {
        let query = format!(
            "{{ reputationSummary(agent: \"167000:0\"{arguments}) {{ count summaryValue summaryValueDecimals average \
             perClientAverage clientCount min max }} }}"
        );
        node.ask(&query).await["reputationSummary"].clone()
    };
    assert_eq!(
        summary(", tag1: \"starred\"").await,
        json!({ "count": "2", "summaryValue": "93", "summaryValueDecimals": 0, "average": "93.385",
                "perClientAverage": "93.385", "clientCount": "2", "min": "87", "max": "99.77" })
    );
    let all = summary("").await;
    assert_eq!((&all["count"], &all["average"]), (&json!("3"), &json!("62.59")));
    assert_eq!(all["perClientAverage"], json!("71.885"));
    let twice =
        summary(&format!(", clients: [\"{}\", \"{}\", \"{}\"], tag1: \"starred\"", hex(10), hex(10), hex(11))).await;
    assert_eq!(
        (&twice["count"], &twice["summaryValue"], &twice["summaryValueDecimals"]),
        (&json!("3"), &json!("9551"), &json!(2))
    );
    assert_eq!(summary(", clients: []").await["count"], json!("0"));
    assert_eq!(summary(", tag1: \"gone\"").await["summaryValue"], json!("0"));
    assert_eq!(summary(&format!(", tag1: \"gone\", block: {{number: {before}}}")).await["summaryValue"], json!("50"));
    assert_eq!(summary(", since: 99999999999").await["average"], Value::Null);
    assert_eq!(summary(", until: \"99999999999\"").await["count"], json!("3"));
    let unknown = node.ask("{ reputationSummary(agent: \"167000:9\") { count summaryValueDecimals } }").await;
    assert_eq!(unknown["reputationSummary"], json!({ "count": "0", "summaryValueDecimals": 0 }));
}

#[tokio::test]
async fn a_client_that_goes_away_stops_its_query() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    let blocker = connect(node.database.url()).await;
    blocker.batch_execute("BEGIN; LOCK TABLE agent IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let waiters = async |wanted: i64| {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while blocker.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) != wanted {
            tokio::task::yield_now().await;
        }
    };
    let limit = std::time::Duration::from_secs(20);
    tokio::select! {
        _ = node.answer("{ agents { id } }", json!({})) => panic!("the table is locked"),
        waits = tokio::time::timeout(limit, waiters(1)) => waits.expect("the query waits for the lock"),
    }
    // By the configuration it might have gone on for half a minute.
    tokio::time::timeout(limit, waiters(0)).await.expect("the query is ended");
}

#[test]
fn the_schema_is_the_one_that_is_promised() {
    let promised = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql")).unwrap();
    assert!(promised == meikan::api::sdl(), "schema.graphql is not the schema: write it anew with `meikan schema`");
}

/// Writes `schema.graphql`: run it by name when the schema is meant to change.
#[test]
#[ignore = "it writes the file that another test compares"]
fn write_the_schema() {
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql"), meikan::api::sdl()).unwrap();
}
