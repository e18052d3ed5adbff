//! `where`, `orderBy` and paging: The Graph's operators over every kind of field, and what they must never let through.

use serde_json::{Value, json};

use super::support::{CHAIN, FIRST_BLOCK, History, Node, data_uri, feedback, hex, registered, revoked};

/// Four agents with files, and feedback of three clients about two of them.
async fn populated() -> (Node, History) {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let file = |name: &str, skills: &[&str]| {
        data_uri(&json!({
            "name": name, "description": "100% _sure_ \\o/", "active": name != "Beta", "supportedTrust": ["reputation"],
            "services": [{ "name": "OASF", "endpoint": "https://o.example", "skills": skills }],
        }))
    };
    history.block(registered(0, 1, &file("Alpha", &["math", "Poetry"]))).await;
    history.block(registered(1, 2, &file("Beta", &[]))).await;
    history.block(registered(2, 2, "https://plain.example/agent.json")).await;
    history.block(registered(10, 3, "")).await;
    let given = vec![
        feedback(0, 0xab, 1, (9977, 2), "starred"),
        feedback(0, 0xab, 2, (80, 0), "uptime"),
        feedback(0, 0xcd, 1, (-5, 0), "starred"),
        feedback(10, 0xee, 1, (100_000_000_000_000_000_000_000_000_000_000_000_000, 0), ""),
    ];
    history.block(given).await;
    history.block(vec![revoked(0, 0xab, 2)]).await;
    (node, history)
}

#[tokio::test]
async fn f68_every_operator_does_what_its_name_says() {
    let (node, _history) = populated().await;
    let time = |block| History::time(FIRST_BLOCK + block);
    let cases: &[(String, &[u64])] = &[
        ("{}".into(), &[0, 1, 2, 10]),
        (r#"{id: "167000:1"}"#.into(), &[1]),
        (r#"{id_not: "167000:1"}"#.into(), &[0, 2, 10]),
        (r#"{id_gt: ""}"#.into(), &[0, 1, 2, 10]),
        (r#"{id_gt: "167000:2"}"#.into(), &[10]),
        (r#"{id_lte: "167000:2"}"#.into(), &[0, 1, 2]),
        (r#"{id_in: ["167000:10", "167000:2", "junk"]}"#.into(), &[2, 10]),
        (r#"{id_not_in: ["167000:10", "junk"]}"#.into(), &[0, 1, 2]),
        ("{id_in: []}".into(), &[]),
        ("{id_not_in: []}".into(), &[0, 1, 2, 10]),
        (r#"{id: "junk"}"#.into(), &[]),
        ("{agentId_gt: 2}".into(), &[10]),
        (r#"{agentId_gte: "2"}"#.into(), &[2, 10]),
        ("{agentId_in: [1, 10]}".into(), &[1, 10]),
        (
            r#"{agentId_lt: "115792089237316195423570985008687907853269984665640564039457584007913129639936"}"#.into(),
            &[0, 1, 2, 10],
        ),
        (format!("{{owner: \"{}\"}}", hex(2).to_uppercase().replace("0X", "0x")), &[1, 2]),
        (format!("{{owner_not: \"{}\"}}", hex(2)), &[0, 10]),
        (format!("{{owner_in: [\"{}\", \"{}\"]}}", hex(1), hex(3)), &[0, 10]),
        ("{owner_in: []}".into(), &[]),
        (r#"{owner_contains: "0x0303"}"#.into(), &[10]),
        (r#"{owner_not_contains: "0x0303"}"#.into(), &[0, 1, 2]),
        ("{agentWallet_not: null}".into(), &[0, 1, 2, 10]),
        ("{agentWallet: null}".into(), &[]),
        (format!("{{createdAt_gte: {}}}", time(2)), &[2, 10]),
        (format!("{{createdAt_lte: \"{}\"}}", time(0)), &[0]),
        (format!("{{updatedAt_gte: {}}}", time(5)), &[0]),
        (r#"{createdAt_lt: "99999999999999999999999999"}"#.into(), &[0, 1, 2, 10]),
        (r#"{totalFeedback_gt: "0"}"#.into(), &[0, 10]),
        ("{totalFeedback: 2}".into(), &[0]),
        (r#"{agentURIType: "https"}"#.into(), &[2]),
        (r#"{agentURI_starts_with: "https://"}"#.into(), &[2]),
        (r#"{agentURI_not_starts_with: "https://"}"#.into(), &[0, 1, 10]),
        (r#"{agentURI_ends_with_nocase: ".JSON"}"#.into(), &[2]),
        (r#"{agentURI_contains_nocase: "PLAIN"}"#.into(), &[2]),
        (r#"{agentURI_contains: "PLAIN"}"#.into(), &[]),
        ("{registrationFile_not: null}".into(), &[0, 1]),
        ("{registrationFile: null}".into(), &[2, 10]),
        ("{registrationFile_: {active: true}}".into(), &[0]),
        (r#"{registrationFile_: {name_contains_nocase: "ALPH"}}"#.into(), &[0]),
        (r#"{registrationFile_: {description_contains: "100% _sure_ \\o"}}"#.into(), &[0, 1]),
        (r#"{registrationFile_: {description_contains: "100_"}}"#.into(), &[]),
        (r#"{registrationFile_: {oasfSkills_contains: ["math", "Poetry"]}}"#.into(), &[0]),
        (r#"{registrationFile_: {oasfSkills_contains: ["poetry"]}}"#.into(), &[]),
        (r#"{registrationFile_: {oasfSkills_contains_nocase: ["POETRY"]}}"#.into(), &[0]),
        (r#"{registrationFile_: {oasfSkills_not_contains: ["math"]}}"#.into(), &[1]),
        ("{registrationFile_: {oasfSkills: []}}".into(), &[1]),
        ("{registrationFile_: {hasOASF: true}}".into(), &[0]),
        ("{registrationFile_: {mcpEndpoint_not: null}}".into(), &[]),
        (r#"{registrationFile_: {supportedTrusts_contains: ["reputation"]}}"#.into(), &[0, 1]),
        (r#"{feedback_: {tag1: "uptime"}}"#.into(), &[0]),
        (r#"{and: [{registrationFile_not: null}, {or: [{agentId: 1}, {totalFeedback_gt: 5}]}]}"#.into(), &[1]),
        ("{or: [{agentId: 1}, {agentId: 10}]}".into(), &[1, 10]),
        ("{or: []}".into(), &[]),
        ("{and: []}".into(), &[0, 1, 2, 10]),
        ("{_change_block: {number_gte: 104}}".into(), &[0, 10]),
    ];
    for (filter, expected) in cases {
        let expected: Vec<String> = expected.iter().map(|agent| format!("167000:{agent}")).collect();
        assert_eq!(node.agents(filter).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn feedback_is_filtered_as_the_sdks_do_it() {
    let (node, _history) = populated().await;
    let id = |agent: u64, client: u8, index: u64| format!("167000:{agent}:{}:{index}", hex(client));
    let mixed_case = hex(0xab).replace("ab", "aB");
    let cases = [
        (r#"{agent_in: ["167000:10"]}"#.to_owned(), vec![id(10, 0xee, 1)]),
        (r#"{agent: "167000:10"}"#.to_owned(), vec![id(10, 0xee, 1)]),
        (r#"{agent_not: "167000:10", isRevoked: true}"#.to_owned(), vec![id(0, 0xab, 2)]),
        (r#"{agent_contains: ":10"}"#.to_owned(), vec![id(10, 0xee, 1)]),
        (format!("{{clientAddress_in: [\"{mixed_case}\"], isRevoked: false}}"), vec![id(0, 0xab, 1)]),
        ("{value_gte: 80, value_lte: 99.77}".to_owned(), vec![id(0, 0xab, 1), id(0, 0xab, 2)]),
        (r#"{value_gte: "99.78"}"#.to_owned(), vec![id(10, 0xee, 1)]),
        ("{value_lt: 0}".to_owned(), vec![id(0, 0xcd, 1)]),
        (r#"{or: [{tag1: "uptime"}, {tag1: "", tag2: "day"}]}"#.to_owned(), vec![id(0, 0xab, 2), id(10, 0xee, 1)]),
        (r#"{endpoint_contains_nocase: "agent.EXAMPLE/a_1%", value: -5}"#.to_owned(), vec![id(0, 0xcd, 1)]),
        (r#"{agent_: {agentId: 10}}"#.to_owned(), vec![id(10, 0xee, 1)]),
        (r#"{valueRaw: "100000000000000000000000000000000000000"}"#.to_owned(), vec![id(10, 0xee, 1)]),
        ("{feedbackFile_not: null}".to_owned(), vec![]),
    ];
    for (filter, expected) in cases {
        assert_eq!(node.feedbacks(&filter).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn filters_come_in_variables_of_their_types() {
    let (node, _history) = populated().await;
    let query = "query Search($where: Agent_filter, $first: Int!, $skip: Int!, $orderBy: Agent_orderBy!, \
         $orderDirection: OrderDirection!) { agents(where: $where, first: $first, skip: $skip, orderBy: $orderBy, \
         orderDirection: $orderDirection) { id } }";
    let mut variables = json!({ "where": { "createdAt_gte": 1, "registrationFile_": { "active": true } }, "first": 1000, "skip": 0,
                "orderBy": "createdAt", "orderDirection": "desc" });
    assert_eq!(node.answer(query, variables.clone()).await.data()["agents"], json!([{ "id": "167000:0" }]));
    variables["where"] = Value::Null;
    assert_eq!(node.answer(query, variables.clone()).await.data()["agents"].as_array().unwrap().len(), 4);
    variables["where"] = json!({ "nonsense": 1 });
    let error = node.answer(query, variables.clone()).await.error();
    assert_eq!(error.0, "BAD_INPUT");
    assert!(error.1.contains("nonsense"), "{}", error.1);
    variables["where"] = Value::Null;
    variables["orderBy"] = json!("name");
    assert!(node.answer(query, variables).await.error().1.contains("name"));
}

#[tokio::test]
async fn f67_every_order_is_paged_by_cursor_without_a_gap_or_a_double() {
    let (node, _history) = populated().await;
    let orders = [
        "id",
        "createdAt",
        "totalFeedback",
        "owner",
        "agentURI",
        "agentWallet",
        "registrationFile__name",
        "registrationFile",
        "updatedAt",
        "lastActivity",
        "agentURIType",
    ];
    for order in orders {
        for direction in ["asc", "desc"] {
            let arguments = format!("orderBy: {order}, orderDirection: {direction}");
            let all = node.list(&format!("{{ agents({arguments}) {{ id }} }}"), "agents", "id").await;
            assert_eq!(all.len(), 4, "{arguments}");
            let mut paged = Vec::new();
            let mut after = String::new();
            loop {
                let data = node.ask(&format!("{{ agents({arguments}, first: 1{after}) {{ id cursor }} }}")).await;
                let Some(row) = data["agents"].get(0) else { break };
                paged.push(row["id"].as_str().unwrap().to_owned());
                after = format!(", after: {}", row["cursor"]);
            }
            assert_eq!(paged, all, "{arguments}");
            let skipped =
                node.list(&format!("{{ agents({arguments}, skip: 2, first: 1) {{ id }} }}"), "agents", "id").await;
            assert_eq!(skipped, all[2..3], "{arguments}");
        }
    }
}

#[tokio::test]
async fn orders_are_by_value_with_ties_by_id() {
    let (node, _history) = populated().await;
    let ids = |numbers: &[u64]| numbers.iter().map(|number| format!("167000:{number}")).collect::<Vec<_>>();
    let order = async |arguments: &str| node.list(&format!("{{ agents({arguments}) {{ id }} }}"), "agents", "id").await;
    assert_eq!(order("orderBy: agentId, orderDirection: desc").await, ids(&[10, 2, 1, 0]));
    assert_eq!(order("orderBy: totalFeedback, orderDirection: desc").await, ids(&[0, 10, 2, 1]));
    assert_eq!(order("orderBy: totalFeedback").await, ids(&[1, 2, 10, 0]));
    assert_eq!(order("orderBy: createdAt, orderDirection: desc").await, ids(&[10, 2, 1, 0]));
    assert_eq!(order("orderBy: registrationFile__name").await, ids(&[0, 1, 2, 10]));
    let values = node.list("{ feedbacks(orderBy: value) { value } }", "feedbacks", "value").await;
    assert_eq!(values, ["-5", "80", "99.77", "100000000000000000000000000000000000000"]);
    let nested = node
        .ask("{ agent(id: \"167000:0\") { feedback(orderBy: value, orderDirection: desc, first: 2) { value } } }")
        .await;
    assert_eq!(nested["agent"]["feedback"], json!([{ "value": "99.77" }, { "value": "80" }]));
}

#[tokio::test]
async fn hostile_text_changes_nothing_wherever_it_comes_in() {
    let (node, _history) = populated().await;
    let hostile = [
        "'; DROP TABLE agent; --",
        "\" OR 1=1 --",
        "') OR TRUE --",
        "$1",
        "{t}",
        "{live x}",
        "%",
        "_",
        "\\",
        "\\'; SELECT 1",
        "\u{0}",
        "\u{fffd}",
        "E'\\x41'",
        "1); DELETE FROM feedback; --",
    ];
    let texts = [
        "id",
        "id_not",
        "id_gt",
        "id_in",
        "owner",
        "owner_in",
        "owner_gt",
        "owner_contains",
        "agentURI",
        "agentURI_not",
        "agentURI_gt",
        "agentURI_in",
        "agentURI_contains",
        "agentURI_contains_nocase",
        "agentURI_starts_with",
        "agentURI_not_ends_with_nocase",
        "agentId",
        "agentId_in",
        "createdAt_gt",
        "totalFeedback",
        "operators_contains",
        "registrationFile",
        "registrationFile_contains",
        "registrationFile_in",
    ];
    let everything =
        ["id_not", "agentURI_not", "agentURI_not_ends_with_nocase", "agentURI_contains", "agentURI_contains_nocase"];
    for text in hostile {
        for key in texts {
            let query = "query Hostile($where: Agent_filter) { agents(where: $where) { id } }";
            let list = key.ends_with("_in") || key.starts_with("operators");
            let value = if list { json!([text]) } else { json!(text) };
            let answer = node.answer(query, json!({ "where": { key: value } })).await;
            match answer.body["data"]["agents"].as_array() {
                Some(rows) => {
                    let all_allowed = everything.contains(&key) || key == "agentURI_gt";
                    assert!(rows.is_empty() || all_allowed, "{key}: {text:?} gave {rows:?}");
                }
                None => assert_eq!(answer.error().0, "BAD_INPUT", "{key}: {text:?} {}", answer.body),
            }
        }
        for (query, variables) in [
            ("query Q($x: ID!) { agent(id: $x) { id } }", json!({ "x": text })),
            ("query Q($x: String) { agents(after: $x) { id } }", json!({ "x": text })),
            ("query Q($x: Agent_orderBy) { agents(orderBy: $x) { id } }", json!({ "x": text })),
            ("query Q($x: Bytes) { agents(block: {hash: $x}) { id } }", json!({ "x": text })),
            ("query Q($x: ID!) { reputationSummary(agent: $x) { count } }", json!({ "x": text })),
            (
                "query Q($x: String) { reputationSummary(agent: \"167000:0\", tag1: $x) { count } }",
                json!({ "x": text }),
            ),
            (
                "query Q($x: Bytes!) { reputationSummary(agent: \"167000:0\", clients: [$x]) { count } }",
                json!({ "x": text }),
            ),
        ] {
            let answer = node.answer(query, variables).await;
            let harmless =
                answer.body["data"]["agent"].is_null() || answer.body["data"]["reputationSummary"]["count"] == "0";
            let code = answer.body["errors"][0]["extensions"]["code"].as_str().unwrap_or("none").to_owned();
            assert!(
                harmless && ["none", "BAD_INPUT", "NOT_FOUND"].contains(&code.as_str()),
                "{query} {text:?}: {}",
                answer.body
            );
        }
    }
    assert_eq!(node.agents("{}").await.len(), 4);
    assert_eq!(node.feedbacks("{}").await.len(), 4);
}
