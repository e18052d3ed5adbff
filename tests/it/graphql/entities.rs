//! Every entity over HTTP: what its events say is what is answered, in The Graph's shapes.

use alloy::primitives::{B256, U256, keccak256};
use meikan::event::{AuditLogEvent, Event, IdentityEvent, Role, Text, ValidationEvent};
use serde_json::{Value, json};

use super::support::{
    CHAIN, FIRST_BLOCK, History, Node, account, contract, data_uri, feedback, hex, metadata, registered, requested,
    responded, revoked, validated,
};

/// Two agents with files, metadata, feedback, responses and validations.
async fn populated() -> (Node, History) {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let file = json!({
        "name": "Weather oracle", "description": "Tells the weather", "active": true, "x402Support": true,
        "supportedTrust": ["reputation"],
        "services": [{ "name": "MCP", "endpoint": "https://weather.example/mcp", "version": "2025-06-18" }],
    });
    history.block(registered(0, 1, &data_uri(&file))).await;
    history.block(registered(1, 2, "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi")).await;
    history
        .block(vec![
            metadata(0, "color", b"blue"),
            feedback(0, 10, 1, (9977, 2), "starred"),
            feedback(0, 10, 2, (-5, 1), "uptime"),
            feedback(1, 11, 1, (87, 0), "starred"),
            requested(0, 5, 0x44),
        ])
        .await;
    history
        .block(vec![responded(0, 10, 1, 1), responded(0, 10, 1, 12), revoked(0, 10, 2), validated(0, 5, 0x44, 0)])
        .await;
    (node, history)
}

#[tokio::test]
async fn an_agent_tells_all_that_its_events_said() {
    let (node, history) = populated().await;
    let data = node
        .ask(
            "{ agent(id: \"167000:0\") { id chainId agentId agentURIType owner agentWallet operators createdAt updatedAt \
             totalFeedback lastActivity blockNumber logIndex transactionHash finality \
             registrationFile { id agentId name active x402Support supportedTrusts mcpEndpoint mcpVersion hasOASF \
             oasfSkills a2aEndpoint createdAt } metadata { id key value } } }",
        )
        .await;
    let time = |block: u64| History::time(FIRST_BLOCK + block).to_string();
    let transaction = format!("{:#x}", history.transaction(FIRST_BLOCK));
    assert_eq!(
        data["agent"],
        json!({
            "id": "167000:0", "chainId": "167000", "agentId": "0", "agentURIType": "data", "owner": hex(1),
            "agentWallet": hex(1), "operators": [], "createdAt": time(0), "updatedAt": time(3),
            "totalFeedback": "1", "lastActivity": time(3), "blockNumber": "100", "logIndex": 2,
            "transactionHash": transaction, "finality": "UNSAFE",
            "registrationFile": {
                "id": format!("{transaction}:datauri:1"), "agentId": "167000:0", "name": "Weather oracle",
                "active": true, "x402Support": true, "supportedTrusts": ["reputation"],
                "mcpEndpoint": "https://weather.example/mcp", "mcpVersion": "2025-06-18", "hasOASF": false,
                "oasfSkills": [], "a2aEndpoint": null, "createdAt": time(0),
            },
            "metadata": data["agent"]["metadata"],
        })
    );
    let mut metadata = data["agent"]["metadata"].as_array().unwrap().clone();
    metadata.sort_by_key(ToString::to_string);
    assert_eq!(
        json!(metadata),
        json!([
            { "id": "167000:0:agentWallet", "key": "agentWallet", "value": hex(1) },
            { "id": "167000:0:color", "key": "color", "value": "0x626c7565" },
        ])
    );
}

#[tokio::test]
async fn feedback_about_an_agent_whose_mint_was_not_seen_names_it() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    history.block(vec![feedback(7, 10, 1, (5, 0), "starred"), requested(8, 5, 0x44)]).await;
    let data = node.ask("{ feedbacks { agent { id registered } } validations { agent { id owner } } }").await;
    assert_eq!(data["feedbacks"], json!([{ "agent": { "id": "167000:7", "registered": false } }]));
    assert_eq!(data["validations"], json!([{ "agent": { "id": "167000:8", "owner": hex(0) } }]));
    assert_eq!(node.agents("{}").await, ["167000:0", "167000:7", "167000:8"]);
    assert_eq!(node.agents("{ registered: true }").await, ["167000:0"]);
    // A reorg that takes the feedback away takes the agent along.
    history.reorg(FIRST_BLOCK, vec![]).await;
    assert_eq!(node.agents("{}").await, ["167000:0"]);
}

#[tokio::test]
async fn feedback_tells_value_state_and_responses() {
    let (node, history) = populated().await;
    let data = node
        .ask(
            "{ feedbacks { id agent { id } clientAddress feedbackIndex value valueRaw valueDecimals tag1 tag2 endpoint \
             feedbackURI feedbackURIType feedbackHash isRevoked createdAt revokedAt feedbackFile { id } logIndex \
             responses { id responder responseUri responseHash createdAt feedback { id } } } }",
        )
        .await;
    let feedbacks = data["feedbacks"].as_array().unwrap();
    let id = format!("167000:0:{}:1", hex(10));
    let transaction = format!("{:#x}", history.transaction(FIRST_BLOCK + 3));
    assert_eq!(feedbacks.len(), 3);
    assert_eq!(feedbacks[0]["responses"].as_array().unwrap().len(), 2);
    assert_eq!(
        feedbacks[0]["responses"][1],
        json!({
            "id": format!("{id}:{transaction}:1"), "responder": hex(12), "responseUri": "https://response.example",
            "responseHash": format!("{:#x}", B256::repeat_byte(9)), "createdAt": History::time(103).to_string(),
            "feedback": { "id": id },
        })
    );
    let mut first = feedbacks[0].clone();
    first.as_object_mut().unwrap().remove("responses");
    assert_eq!(
        first,
        json!({
            "id": id, "agent": { "id": "167000:0" }, "clientAddress": hex(10), "feedbackIndex": "1", "value": "99.77",
            "valueRaw": "9977", "valueDecimals": 2, "tag1": "starred", "tag2": "day",
            "endpoint": "https://Agent.example/A_1%", "feedbackURI": "ipfs://bafy", "feedbackURIType": "ipfs",
            "feedbackHash": format!("{:#x}", B256::repeat_byte(7)), "isRevoked": false,
            "createdAt": History::time(102).to_string(), "revokedAt": null, "feedbackFile": null, "logIndex": 1,
        })
    );
    assert_eq!((&feedbacks[1]["value"], &feedbacks[1]["isRevoked"]), (&json!("-0.5"), &json!(true)));
    assert_eq!(feedbacks[1]["revokedAt"], json!(History::time(103).to_string()));
}

#[tokio::test]
async fn validations_protocols_files_and_the_audit_trail_are_served() {
    let (node, mut history) = populated().await;
    let commitment = Event::AuditLog(AuditLogEvent::CommitmentLogged {
        agent_id: B256::repeat_byte(1),
        commitment_hash: B256::repeat_byte(2),
        ipfs_cid: Text::from("bafy"),
        submitter: account(6),
        entry_index: U256::ZERO,
    });
    history.block(vec![requested(1, 5, 0x45), commitment]).await;
    let data = node
        .ask(
            "{ validations { id agent { id } status response tag requestHash validatorAddress } \
             protocols { id name identityRegistry validationRegistry } \
             agentRegistrationFiles { name } feedbackFiles { id } \
             auditEntries(where: {kind: COMMITMENT}) { id kind event actor commitmentHash fields } }",
        )
        .await;
    let word = |byte| format!("{:#x}", B256::repeat_byte(byte));
    assert_eq!(
        data["validations"],
        json!([
            { "id": word(0x44), "agent": { "id": "167000:0" }, "status": "COMPLETED", "response": 0, "tag": "audit",
              "requestHash": word(0x44), "validatorAddress": hex(5) },
            { "id": word(0x45), "agent": { "id": "167000:1" }, "status": "PENDING", "response": null, "tag": null,
              "requestHash": word(0x45), "validatorAddress": hex(5) },
        ])
    );
    let registry = |role, ordinal| format!("{:#x}", contract(role, ordinal));
    assert_eq!(
        data["protocols"][0],
        json!({ "id": "167000", "name": "net-167000", "identityRegistry": registry(Role::Identity, 0),
                "validationRegistry": registry(Role::Validation, 0) })
    );
    assert_eq!(data["protocols"][1]["id"], json!(format!("167000:{}", registry(Role::Identity, 1))));
    assert_eq!(
        (&data["agentRegistrationFiles"][0]["name"], &data["feedbackFiles"]),
        (&json!("Weather oracle"), &json!([]))
    );
    let entry = &data["auditEntries"][0];
    assert_eq!((&entry["id"], &entry["event"]), (&json!("167000:104:1"), &json!("CommitmentLogged")));
    assert_eq!((&entry["actor"], &entry["commitmentHash"]), (&json!(hex(6)), &json!(word(2))));
    let fields: Value = serde_json::from_str(entry["fields"].as_str().unwrap()).unwrap();
    assert_eq!(fields["ipfsCid"], json!("bafy"));
}

#[tokio::test]
async fn every_entity_is_found_by_its_id_in_any_case() {
    let (node, _history) = populated().await;
    for entity in
        ["agent", "feedback", "feedbackResponse", "validation", "agentMetadata", "agentRegistrationFile", "protocol"]
    {
        let list = if entity == "agentMetadata" { "agentMetadatas".to_owned() } else { format!("{entity}s") };
        let ids = node.list(&format!("{{ {list} {{ id }} }}"), &list, "id").await;
        assert!(!ids.is_empty(), "{entity}");
        for id in ids {
            let upper = id.replace("0x", "0X").to_uppercase().replace("0X", "0x");
            let asked = if id.contains("0x") { upper.replace("DATAURI", "datauri") } else { id.clone() };
            let query = format!("query One($id: String!) {{ {entity}(id: $id) {{ id }} }}");
            let data = node.answer(&query, json!({ "id": asked })).await.data();
            assert_eq!(data[entity]["id"], json!(id), "{entity} {asked}");
        }
        let data = node.ask(&format!("{{ {entity}(id: \"nobody\") {{ id }} }}")).await;
        assert_eq!(data[entity], Value::Null);
    }
}

#[tokio::test]
async fn further_deployments_put_their_registry_into_the_id() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let mut events: Vec<(Event, u8)> = registered(0, 1, "").into_iter().map(|event| (event, 0)).collect();
    events.extend(registered(0, 2, "").into_iter().map(|event| (event, 1)));
    events.push((feedback(0, 10, 1, (1, 0), ""), 1));
    events.push((requested(0, 5, 0x44), 1));
    history.block_by(events, None).await;
    let registry = format!("{:#x}", contract(Role::Identity, 1));
    let further = format!("167000:{registry}:0");
    assert_eq!(node.agents("{}").await, ["167000:0".to_owned(), further.clone()]);
    let data = node
        .ask(&format!(
            "{{ agent(id: \"{further}\") {{ owner feedback {{ id agent {{ id }} }} validations {{ id }} }} }}"
        ))
        .await;
    assert_eq!(data["agent"]["owner"], json!(hex(2)));
    assert_eq!(data["agent"]["feedback"][0]["id"], json!(format!("{further}:{}:1", hex(10))));
    assert_eq!(data["agent"]["feedback"][0]["agent"]["id"], json!(further));
    let validation = format!("{:#x}:{:#x}", contract(Role::Validation, 1), B256::repeat_byte(0x44));
    assert_eq!(data["agent"]["validations"][0]["id"], json!(validation));
    let found = node.ask(&format!("{{ validation(id: \"{validation}\") {{ agent {{ id }} }} }}")).await;
    assert_eq!(found["validation"]["agent"]["id"], json!(further));
}

#[tokio::test]
async fn operators_are_the_approved_address_and_the_operators_of_the_owner() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    history.block(registered(1, 2, "")).await;
    let approval = |operator, approved| {
        Event::Identity(IdentityEvent::ApprovalForAll { owner: account(1), operator: account(operator), approved })
    };
    let approve =
        Event::Identity(IdentityEvent::Approval { owner: account(1), approved: account(7), token_id: U256::ZERO });
    let given = history.block(vec![approval(9, true), approval(8, true), approve]).await;
    let query = "{ agent(id: \"167000:0\") { operators } }";
    assert_eq!(node.ask(query).await["agent"]["operators"], json!([hex(7), hex(8), hex(9)]));
    assert_eq!(node.agents(&format!("{{operators_contains: [\"{}\"]}}", hex(9))).await, ["167000:0"]);
    assert_eq!(node.agents(&format!("{{operators_contains: [\"{}\", \"{}\"]}}", hex(7), hex(8))).await, ["167000:0"]);
    assert!(node.agents(&format!("{{operators_contains: [\"{}\", \"{}\"]}}", hex(7), hex(2))).await.is_empty());
    assert_eq!(node.agents(&format!("{{operators_not_contains: [\"{}\"]}}", hex(9))).await, ["167000:1"]);
    let moved = Event::Identity(IdentityEvent::Transfer { from: account(1), to: account(2), token_id: U256::ZERO });
    history.block(vec![approval(9, false), moved]).await;
    assert_eq!(node.ask(query).await["agent"]["operators"], json!([]));
    let before = format!("{{ agent(id: \"167000:0\", block: {{number: {given}}}) {{ operators }} }}");
    assert_eq!(node.ask(&before).await["agent"]["operators"], json!([hex(7), hex(8), hex(9)]));
}

#[tokio::test]
async fn the_number_of_statements_does_not_depend_on_the_number_of_rows() {
    const QUERY: &str = "{ agents(first: 500) { id registrationFile { id } metadata { key } validations { id } \
         feedback(first: 5, orderBy: createdAt, orderDirection: desc) { id agent { owner } responses { id } } \
         good: feedback(where: {value_gt: 50}) { id } } }";
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let of_agent = |agent: u64| {
        let mut events = registered(agent, 1, "");
        events.extend([feedback(agent, 10, 1, (99, 0), "starred"), feedback(agent, 10, 2, (1, 0), "starred")]);
        events.push(responded(agent, 10, 1, 3));
        events.push(Event::Validation(ValidationEvent::ValidationRequest {
            validator_address: account(5),
            agent_id: U256::from(agent),
            request_uri: Text::default(),
            request_hash: keccak256(agent.to_be_bytes()),
        }));
        events
    };
    history.block(of_agent(0)).await;
    let mut costs = Vec::new();
    for agents in [1, 500] {
        if agents == 500 {
            history.block((1..500).flat_map(of_agent).collect()).await;
        }
        let before = node.store.query_statements();
        let data = node.ask(QUERY).await;
        costs.push(node.store.query_statements() - before);
        let rows = data["agents"].as_array().unwrap();
        assert_eq!(rows.len(), agents);
        let last = &rows[agents - 1];
        assert_eq!(last["feedback"].as_array().unwrap().len(), 2);
        assert_eq!(last["good"].as_array().unwrap().len(), 1);
        assert_eq!(last["feedback"][1]["responses"].as_array().unwrap().len(), 1);
        assert_eq!(last["validations"].as_array().unwrap().len(), 1);
    }
    assert_eq!(costs[0], costs[1]);
}

/// Queries in the shape in which agent0's clients send them: the declared types of their variables, `String!` for an id
/// among them, and the fields they read.
#[tokio::test]
async fn the_queries_of_the_standards_clients_are_answered() {
    let (node, _history) = populated().await;
    let one = "query GetAgent($agentId: String!) { agent(id: $agentId) { id chainId agentId owner operators agentURI \
         agentURIType agentWallet createdAt updatedAt totalFeedback lastActivity registrationFile { id agentId name \
         description image active x402Support supportedTrusts mcpEndpoint mcpVersion a2aEndpoint a2aVersion webEndpoint \
         emailEndpoint oasfSkills oasfDomains hasOASF ens did mcpTools mcpPrompts mcpResources a2aSkills } } }";
    let data = node.answer(one, json!({ "agentId": "167000:0" })).await.data();
    assert_eq!(data["agent"]["registrationFile"]["name"], json!("Weather oracle"));

    let feedbacks = "query Feedbacks($where: Feedback_filter, $first: Int!, $skip: Int!, $orderBy: Feedback_orderBy!, \
         $orderDirection: OrderDirection!) { feedbacks(where: $where, first: $first, skip: $skip, orderBy: $orderBy, \
         orderDirection: $orderDirection) { id agent { id } clientAddress value tag1 tag2 endpoint isRevoked createdAt \
         responses(first: 1) { id } } }";
    let filter = json!({ "agent_in": ["167000:0"], "isRevoked": false, "value_gte": 1.5,
                         "or": [{ "tag1": "starred" }, { "tag2": "starred" }] });
    let variables =
        json!({ "where": filter, "first": 1000, "skip": 0, "orderBy": "createdAt", "orderDirection": "desc" });
    let data = node.answer(feedbacks, variables).await.data();
    assert_eq!(data["feedbacks"].as_array().unwrap().len(), 1);
    assert_eq!(data["feedbacks"][0]["responses"].as_array().unwrap().len(), 1);

    let metadata = "query AgentMetadatas($where: AgentMetadata_filter, $first: Int!, $skip: Int!) { \
         agentMetadatas(where: $where, first: $first, skip: $skip) { id key value updatedAt agent { id } } }";
    let variables = json!({ "where": { "key": "color", "value": "0x626C7565" }, "first": 1000, "skip": 0 });
    let data = node.answer(metadata, variables.clone()).await.data();
    assert_eq!(data["agentMetadatas"][0]["agent"]["id"], json!("167000:0"));
    let collection = metadata.replace("agentMetadatas(", "agentMetadata_collection(");
    let data = node.answer(&collection, variables).await.data();
    assert_eq!(data["agentMetadata_collection"][0]["id"], json!("167000:0:color"));

    let responses = "query FeedbackResponses($where: FeedbackResponse_filter, $first: Int!, $skip: Int!) { \
         feedbackResponses(where: $where, first: $first, skip: $skip) { id feedback { id } createdAt } }";
    let feedback = format!("167000:0:{}:1", hex(10));
    let variables = json!({ "where": { "feedback_in": [feedback] }, "first": 1000, "skip": 0 });
    let data = node.answer(responses, variables).await.data();
    assert_eq!(data["feedbackResponses"].as_array().unwrap().len(), 2);
}
