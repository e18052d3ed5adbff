//! The registries' earlier generations, from the log to the answer: each is told in today's terms, and counts as much.

use alloy::primitives::{Address, B256, Bytes, I256, U256, keccak256};
use meikan::config::{Addresses, Contracts, Generations, Network};
use meikan::event::{
    DescribedFeedback, Earlier, EarlierIdentityEvent, EarlierReputationEvent, EarlierValidationEvent, Event,
    Generation, GovernanceEvent, Role, Text, Undecoded,
};
use meikan::store::StoreError;
use serde_json::{Value, json};

use crate::graphql::support::{CHAIN, Node, account, feedback, hex, registered, requested, responded, revoked};
use crate::store::chain::{Chain, GENESIS, START, contract, network, said};
use crate::store::support::{Fixture, follow};
use crate::support::fake_chain::{FakeChain, RawLog};
use crate::support::node::Node as FollowingNode;
use crate::support::tables::assert_same;

/// A text of up to 32 bytes in a word.
fn word(text: &str) -> B256 {
    B256::right_padding_from(text.as_bytes())
}

fn reputation(event: EarlierReputationEvent) -> Event {
    Event::Earlier(Earlier::Reputation(event))
}

/// Feedback of October 2025, without an index.
pub(crate) fn october(agent: u64, client: u8, score: u8, tag1: &str) -> Event {
    reputation(EarlierReputationEvent::WordTags {
        agent_id: U256::from(agent),
        client_address: account(client),
        score,
        tag1: word(tag1),
        tag2: word("day"),
        feedback_uri: Text::from("ipfs://october"),
        feedback_hash: B256::repeat_byte(7),
    })
}

/// Feedback of November 2025 to January 2026, which tells only the hash of its first tag.
pub(crate) fn november(agent: u64, client: u8, score: u8, tag1: &str) -> Event {
    reputation(EarlierReputationEvent::HashedTag {
        agent_id: U256::from(agent),
        client_address: account(client),
        score,
        tag1: keccak256(tag1),
        tag2: Text::from("day"),
        feedback_uri: Text::from("ipfs://november"),
        feedback_hash: B256::repeat_byte(7),
    })
}

/// Feedback of the days in which values had 256 bits.
fn unsigned(agent: u64, client: u8, feedback_index: u64, value: U256, value_decimals: u8) -> Event {
    reputation(EarlierReputationEvent::Unsigned {
        agent_id: U256::from(agent),
        client_address: account(client),
        feedback_index,
        value,
        value_decimals,
        indexed_tag1: keccak256("starred"),
        tag1: Text::from("starred"),
        tag2: Text::from("day"),
        endpoint: Text::from("https://agent"),
        feedback_uri: Text::from("ipfs://january"),
        feedback_hash: B256::repeat_byte(7),
    })
}

/// The same feedback, 80 under `starred` and `day`, in every layout that there was; the n-th by client n + 10.
fn in_every_layout() -> Vec<Event> {
    let (agent_id, hash) = (U256::ZERO, B256::repeat_byte(7));
    let text = |text: &str| Text::from(text);
    let (starred, uri, endpoint) = (keccak256("starred"), text("ipfs://x"), text("https://agent"));
    vec![
        october(0, 10, 80, "starred"),
        reputation(EarlierReputationEvent::TextTags {
            agent_id,
            client_address: account(11),
            score: 80,
            indexed_tag1: starred,
            tag1: text("starred"),
            tag2: text("day"),
            feedback_uri: uri.clone(),
            feedback_hash: hash,
        }),
        november(0, 12, 80, "starred"),
        Event::Earlier(Earlier::Described(DescribedFeedback::HashedTagEndpoint {
            agent_id,
            client_address: account(13),
            score: 80,
            tag1: starred,
            tag2: text("day"),
            endpoint: endpoint.clone(),
            feedback_uri: uri.clone(),
            feedback_hash: hash,
        })),
        reputation(EarlierReputationEvent::IndexedHashedTag {
            agent_id,
            client_address: account(14),
            feedback_index: 1,
            score: 80,
            tag1: starred,
            tag2: text("day"),
            endpoint: endpoint.clone(),
            feedback_uri: uri.clone(),
            feedback_hash: hash,
        }),
        reputation(EarlierReputationEvent::Score {
            agent_id,
            client_address: account(15),
            feedback_index: 1,
            score: 80,
            indexed_tag1: starred,
            tag1: text("starred"),
            tag2: text("day"),
            endpoint: endpoint.clone(),
            feedback_uri: uri.clone(),
            feedback_hash: hash,
        }),
        unsigned(0, 16, 1, U256::from(80), 0),
        reputation(EarlierReputationEvent::Signed {
            agent_id,
            client_address: account(17),
            feedback_index: 1,
            value: I256::try_from(80).unwrap(),
            value_decimals: 0,
            indexed_tag1: starred,
            tag1: text("starred"),
            tag2: text("day"),
            endpoint,
            feedback_uri: uri,
            feedback_hash: hash,
        }),
        feedback(0, 18, 1, (80, 0), "starred"),
    ]
}

async fn summary(node: &Node, rest: &str) -> Value {
    let fields = "count summaryValue summaryValueDecimals average min max clientCount";
    let query = format!("{{ reputationSummary(agent: \"{CHAIN}:0\"{rest}) {{ {fields} }} }}");
    node.ask(&query).await["reputationSummary"].clone()
}

#[tokio::test]
async fn f50_feedback_of_every_generation_is_answered_alike() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    history.block(in_every_layout()).await;
    let fields = "value valueRaw valueDecimals tag1 tag1Hash tag2 feedbackIndex clientAddress";
    let data = node.ask(&format!("{{ feedbacks {{ {fields} }} undecoded: agents {{ totalFeedback }} }}")).await;
    let given = data["feedbacks"].as_array().unwrap();
    let expected = (10..19).map(|client| {
        json!({"value": "80", "valueRaw": "80", "valueDecimals": 0, "tag1": "starred", "tag1Hash": null, "tag2": "day",
               "feedbackIndex": "1", "clientAddress": hex(client)})
    });
    assert_eq!(*given, expected.collect::<Vec<_>>());
    assert_eq!(data["undecoded"][0]["totalFeedback"], "9");
    let all = summary(&node, ", tag1: \"starred\", tag2: \"day\"").await;
    assert_eq!((&all["count"], &all["summaryValue"], &all["average"]), (&json!("9"), &json!("80"), &json!("80")));
}

/// The indexes of a client's feedback about agent 0, revoked ones marked.
async fn indexes(node: &Node, client: u8) -> Vec<String> {
    let fields = "feedbackIndex isRevoked value";
    let query = format!("{{ feedbacks(where: {{ clientAddress: \"{}\" }}) {{ {fields} }} }}", hex(client));
    let rows = node.ask(&query).await;
    let shown = |row: &Value| {
        let mark = if row["isRevoked"] == json!(true) { "-" } else { "" };
        format!("{mark}{}:{}", row["feedbackIndex"].as_str().unwrap(), row["value"].as_str().unwrap())
    };
    rows["feedbacks"].as_array().unwrap().iter().map(shown).collect()
}

#[tokio::test]
async fn f50_feedback_without_an_index_is_counted_per_agent_and_client() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    let kept = history.block(vec![october(0, 5, 10, "a"), november(0, 5, 20, "b"), october(0, 6, 30, "a")]).await;
    // Another agent's count is its own; a revocation names the count, also of feedback of the same block.
    let events =
        vec![october(1, 5, 1, "a"), october(0, 5, 40, "a"), revoked(0, 5, 3), revoked(0, 5, 1), october(0, 5, 50, "a")];
    history.block(events).await;
    assert_eq!(indexes(&node, 5).await, ["-1:10", "2:20", "-3:40", "4:50", "1:1"]);
    assert_eq!(indexes(&node, 6).await, ["1:30"]);
    // What a reorganisation takes back is not counted.
    history.reorg(kept, vec![october(0, 5, 60, "a"), responded(0, 5, 3, 9)]).await;
    assert_eq!(indexes(&node, 5).await, ["1:10", "2:20", "3:60"]);
    assert_eq!(summary(&node, "").await["count"], "4");
}

#[tokio::test]
async fn f50_an_upgrade_in_mid_history_changes_nothing_of_what_was_said_before() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    history.block(vec![october(0, 5, 90, "starred"), october(0, 5, 70, "starred")]).await;
    let upgraded = Event::Governance(GovernanceEvent::Upgraded { implementation: account(0x77) });
    history.block(vec![upgraded, feedback(0, 5, 3, (9_977, 2), "starred"), revoked(0, 5, 1)]).await;
    // Back to the old code, in one block with the new: the count goes on behind what was told.
    history.block(vec![feedback(0, 5, 4, (1, 0), "starred"), october(0, 5, 60, "starred")]).await;
    assert_eq!(indexes(&node, 5).await, ["-1:90", "2:70", "3:99.77", "4:1", "5:60"]);
    let summed = summary(&node, ", tag1: \"starred\"").await;
    assert_eq!((&summed["count"], &summed["min"], &summed["max"]), (&json!("4"), &json!("1"), &json!("99.77")));
    assert_eq!((&summed["summaryValue"], &summed["summaryValueDecimals"]), (&json!("57"), &json!(0)));
}

#[tokio::test]
async fn f48_f50_values_beyond_128_bits_are_exact() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    history.block(vec![unsigned(0, 5, 1, U256::MAX, 0), unsigned(0, 6, 1, U256::from(2), 18)]).await;
    let given = node.ask("{ feedbacks { value valueRaw valueDecimals } }").await;
    let greatest = U256::MAX.to_string();
    assert_eq!(given["feedbacks"][0]["valueRaw"], json!(greatest));
    assert_eq!(given["feedbacks"][1], json!({"value": "0.000000000000000002", "valueRaw": "2", "valueDecimals": 18}));
    // The sum is beyond what a contract can add up: it wraps, and the exact figures stand beside it.
    let summed = summary(&node, "").await;
    assert_eq!(summed["count"], "2");
    assert!(summed["max"].as_str().unwrap().starts_with(&greatest[..30]), "{summed}");
    assert!(summed["average"].as_str().unwrap().starts_with("57896044618658097711785492504343"), "{summed}");
}

#[tokio::test]
async fn f50_a_tag_of_which_only_the_hash_is_known_is_found_by_its_text() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block(registered(0, 1, "")).await;
    history.block(vec![november(0, 5, 20, "rare words"), november(0, 6, 40, "")]).await;
    let given = node.ask("{ feedbacks { tag1 tag1Hash } }").await;
    let hash = format!("{:#x}", keccak256("rare words"));
    assert_eq!(given["feedbacks"], json!([{"tag1": "", "tag1Hash": hash}, {"tag1": "", "tag1Hash": null}]));
    assert_eq!(summary(&node, ", tag1: \"rare words\"").await["max"], "20");
    assert_eq!(summary(&node, ", tag1: \"other words\"").await["count"], "0");
    assert_eq!(summary(&node, "").await["count"], "2");
    let found = node.ask(&format!("{{ feedbacks(where: {{ tag1Hash: \"{hash}\" }}) {{ value }} }}")).await;
    assert_eq!(found["feedbacks"], json!([{"value": "20"}]));
}

#[tokio::test]
async fn f50_earlier_agents_and_validations_are_told_in_todays_terms() {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    let identity = |event| Event::Earlier(Earlier::Identity(event));
    let (agent_id, updated_by) = (U256::ZERO, account(1));
    history.block(registered(0, 1, "ipfs://old")).await;
    history.block(vec![requested(0, 5, 0x44), requested(0, 5, 0x45)]).await;
    let answer = |hash: u8, response: u8| EarlierValidationEvent::WithoutHash {
        validator_address: account(5),
        agent_id,
        request_hash: B256::repeat_byte(hash),
        response,
        response_uri: Text::from("ipfs://answer"),
        tag: word("first"),
    };
    let with_hash = EarlierValidationEvent::WordTag {
        validator_address: account(5),
        agent_id,
        request_hash: B256::repeat_byte(0x45),
        response: 60,
        response_uri: Text::from("ipfs://answer"),
        response_hash: B256::repeat_byte(3),
        tag: word("second"),
    };
    let (key, value) = (Text::from("color"), Text::from("red"));
    let indexed_metadata_key = keccak256("color");
    let (from_domain, to_domain) = (Text::from("a.example"), Text::from("b.example"));
    let registered_id = U256::from(7);
    history
        .block(vec![
            identity(EarlierIdentityEvent::UriUpdated { agent_id, new_uri: Text::from("ipfs://new"), updated_by }),
            identity(EarlierIdentityEvent::MetadataSet {
                agent_id,
                indexed_metadata_key,
                metadata_key: key,
                metadata_value: value,
            }),
            identity(EarlierIdentityEvent::AgentRegistered {
                agent_id: registered_id,
                agent_domain: from_domain,
                agent_address: account(8),
            }),
            identity(EarlierIdentityEvent::AgentUpdated {
                agent_id: registered_id,
                agent_domain: to_domain,
                agent_address: account(9),
            }),
            Event::Earlier(Earlier::Validation(answer(0x44, 0))),
            Event::Earlier(Earlier::Validation(with_hash)),
        ])
        .await;
    let query =
        "{ agents { agentId agentURI owner metadata { key value } } validations { response tag responseHash } }";
    let data = node.ask(query).await;
    assert_eq!(data["agents"][0]["agentURI"], "ipfs://new");
    let metadata = data["agents"][0]["metadata"].as_array().unwrap();
    let color = json!({"key": "color", "value": alloy::hex::encode_prefixed(b"red")});
    assert!(metadata.contains(&color), "{metadata:?}");
    let seventh = json!({"agentId": "7", "agentURI": "b.example", "owner": hex(9), "metadata": []});
    assert_eq!(data["agents"][1], seventh);
    let zero = format!("{:#x}", B256::ZERO);
    let expected = json!([
        {"response": 0, "tag": "first", "responseHash": zero},
        {"response": 60, "tag": "second", "responseHash": format!("{:#x}", B256::repeat_byte(3))},
    ]);
    assert_eq!(data["validations"], expected);
}

/// A network of an identity and a reputation registry of which the logs do not tell all.
pub(crate) fn followed(chain: &FakeChain) -> Network {
    let reputation = contract(Role::Reputation, 0);
    let generations = Generations([(reputation, Generation::January2026Text)].into());
    let contracts = Contracts {
        identity: Addresses(vec![contract(Role::Identity, 0)]),
        reputation: Addresses(vec![reputation]),
        generations,
        ..Contracts::default()
    };
    Network { rpc_urls: vec![chain.url()], start_block: 1, contracts, ..network(CHAIN) }
}

/// The log of an event of one of them.
pub(crate) fn log(event: Event) -> RawLog {
    let role = if matches!(event, Event::Identity(_)) { Role::Identity } else { Role::Reputation };
    RawLog::from((contract(role, 0), event))
}

/// Feedback with both tags alike, of which only the generation tells the endpoint from the second tag.
pub(crate) fn described(client: u8, tag: &str) -> Event {
    Event::Earlier(Earlier::Described(DescribedFeedback::HashedTagEndpoint {
        agent_id: U256::ZERO,
        client_address: account(client),
        score: 70,
        tag1: keccak256(tag),
        tag2: Text::from(tag),
        endpoint: Text::from("https://agent"),
        feedback_uri: Text::default(),
        feedback_hash: B256::ZERO,
    }))
}

#[tokio::test]
async fn f50_an_upgraded_registry_is_followed_through_a_reorganisation() {
    let chain = FakeChain::new(CHAIN);
    chain.mine(registered(0, 1, "").into_iter().map(log));
    for client in [5, 6] {
        chain.mine([october(0, client, 50, "a"), november(0, client, 60, "b")].map(log));
    }
    let networks = [followed(&chain)];
    let mut node = FollowingNode::fresh(&networks).await;
    chain
        .reorg(1, vec![vec![log(described(5, "a"))], vec![log(feedback(0, 5, 4, (1, 0), "a")), log(revoked(0, 5, 3))]]);
    node.catch_up().await;
    let given = node.ask("{ feedbacks { feedbackIndex endpoint tag2 isRevoked } }").await;
    let of = |index: &str, endpoint: &str, tag2: &str, is_revoked: bool| json!({"feedbackIndex": index, "endpoint": endpoint, "tag2": tag2, "isRevoked": is_revoked});
    let expected = [
        of("1", "", "day", false),
        of("2", "", "day", false),
        of("3", "https://agent", "a", true),
        of("4", "https://Agent.example/A_1%", "day", false),
    ];
    assert_eq!(given["feedbacks"], json!(expected));
    let fresh = FollowingNode::fresh(&networks).await;
    assert_same(&node.tables(CHAIN).await, &fresh.tables(CHAIN).await);
    assert_eq!(node.digests(CHAIN, 1).await, fresh.digests(CHAIN, 1).await);
}

#[tokio::test]
async fn f50_a_decoder_that_learns_a_generation_derives_its_old_logs_again() {
    let (used, fresh) = tokio::join!(Fixture::create(), Fixture::create());
    let mut chain = Chain::default();
    let earlier = in_every_layout().into_iter().filter(|event| matches!(event, Event::Earlier(_)));
    chain.add(registered(0, 1, "").into_iter().map(said).collect()).add(earlier.map(said).collect());
    chain.empty().add(vec![said(october(0, 10, 5, "a")), said(revoked(0, 10, 2))]);
    let mut ignorant = chain.clone();
    for decoded in ignorant.blocks.iter_mut().flat_map(|block| &mut block.logs) {
        if matches!(decoded.event, Ok(Event::Earlier(_))) {
            decoded.event = Err(Undecoded::Unknown);
        }
    }
    let finalized = Some(START + 2);
    let mut writer = used.writer(1).await;
    follow(&mut writer, &ignorant, None, chain.tip(), finalized).await.unwrap();
    let mut expected = fresh.writer(1).await;
    follow(&mut expected, &chain, None, chain.tip(), finalized).await.unwrap();
    assert_eq!((used.count("feedback", 1).await, used.count("undecoded_log", 1).await), (0, 9));
    let before = used.value("SELECT events FROM state_digest ORDER BY block_number DESC LIMIT 1").await;
    let rederived = writer.rederive(START).await.unwrap();
    assert!(rederived.is_done());
    assert_same(&used.dump(1).await, &fresh.dump(1).await);
    assert_ne!(used.value("SELECT events FROM state_digest ORDER BY block_number DESC LIMIT 1").await, before);
    assert_eq!((used.count("feedback", 1).await, used.count("undecoded_log", 1).await), (9, 0));
}

#[tokio::test]
async fn f50_the_audit_holds_rows_against_logs_of_earlier_generations() {
    let fixture = Fixture::create().await;
    let mut writer = fixture.writer(1).await;
    let mut chain = Chain::default();
    chain
        .add(registered(0, 1, "").into_iter().map(said).collect())
        .add(in_every_layout().into_iter().map(said).collect());
    let answer = reputation(EarlierReputationEvent::ResponseWithoutHash {
        agent_id: U256::ZERO,
        client_address: account(10),
        feedback_index: 1,
        responder: account(3),
        response_uri: Text::from("ipfs://answer"),
    });
    chain.add(vec![said(answer), said(revoked(0, 10, 1))]);
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    let misfits = async || {
        let held = fixture.store.held(1, START, chain.tip()).await.unwrap();
        held.misfits.iter().map(|misfit| (misfit.table, misfit.block)).collect::<Vec<_>>()
    };
    assert_eq!(misfits().await, []);
    let damage = "UPDATE feedback SET value = 81, value_raw = 81 WHERE client = $1";
    fixture.client.execute(damage, &[&account(15).as_slice()]).await.unwrap();
    fixture.client.execute("DELETE FROM feedback_response", &[]).await.unwrap();
    assert_eq!(misfits().await, [("feedback_response", START + 2), ("feedback", START + 1)]);
}

/// Every earlier generation in one history: each layout, a count that goes on over blocks and within one, a tag of which
/// only the hash is known, bytes that are no text, a value beyond 128 bits, and what identity registries said.
fn of_all_generations() -> Chain {
    let identity = |event| Event::Earlier(Earlier::Identity(event));
    let agent_id = U256::ZERO;
    let said_so = |events: Vec<Event>| events.into_iter().map(said).collect::<Vec<_>>();
    let unclean = reputation(EarlierReputationEvent::WordTags {
        agent_id,
        client_address: account(21),
        score: 80,
        tag1: B256::right_padding_from(&[0xff, 0, 0x61]),
        tag2: word("day"),
        feedback_uri: Text::from("ipfs://october"),
        feedback_hash: B256::repeat_byte(7),
    });
    let (uri, domain) = (Text::from("ipfs://new"), Text::from("a.example"));
    let (key, value) = (Text::from("color"), Text::from("red"));
    let told = vec![
        identity(EarlierIdentityEvent::UriUpdated { agent_id, new_uri: uri, updated_by: account(1) }),
        identity(EarlierIdentityEvent::MetadataSet {
            agent_id,
            indexed_metadata_key: keccak256("color"),
            metadata_key: key,
            metadata_value: value,
        }),
        identity(EarlierIdentityEvent::AgentUpdated {
            agent_id: U256::from(7),
            agent_domain: domain,
            agent_address: account(9),
        }),
    ];
    let mut chain = Chain::default();
    chain.add(said_so(registered(0, 1, ""))).add(said_so(in_every_layout()));
    chain.add(said_so(vec![november(0, 20, 80, "rare words"), unclean, unsigned(0, 22, 1, U256::MAX, 18)]));
    chain.add(said_so(told));
    // The count goes on; then one of it is told again, with its index, in the same block and in a later one.
    chain.add(said_so(vec![october(0, 10, 1, "a"), october(0, 10, 2, "a"), feedback(0, 10, 3, (5, 0), "b")]));
    chain.add(said_so(vec![feedback(0, 10, 9, (6, 0), "b"), october(0, 10, 3, "a"), revoked(0, 10, 10)]));
    chain.add(said_so(vec![feedback(0, 10, 10, (7, 0), "b"), november(0, 10, 4, "rare words")]));
    chain
}

/// Which rows of these blocks do not follow from their logs.
async fn misfits(fixture: &Fixture, from: u64, to: u64) -> Vec<(&'static str, u64)> {
    let held = fixture.store.held(1, from, to).await.unwrap();
    held.misfits.iter().map(|misfit| (misfit.table, misfit.block)).collect()
}

#[tokio::test]
async fn f50_an_untouched_history_of_all_generations_has_no_finding() {
    let fixture = Fixture::create().await;
    let mut writer = fixture.writer(1).await;
    let chain = of_all_generations();
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    assert_eq!(misfits(&fixture, START, chain.tip()).await, []);
    for block in START..=chain.tip() {
        assert_eq!(misfits(&fixture, block, block).await, [], "a count goes on where the stretch begins");
    }
}

#[tokio::test]
async fn f50_the_audit_holds_every_value_against_the_logs_of_earlier_generations() {
    let fixture = Fixture::create().await;
    let mut writer = fixture.writer(1).await;
    let chain = of_all_generations();
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    let (layouts, rare, identities, counted) = (START + 1, START + 2, START + 3, START + 5);
    let of = |set: &str, client: u8| {
        let client = alloy::hex::encode(account(client));
        format!("UPDATE feedback SET {set} WHERE client = decode('{client}', 'hex')")
    };
    let damages = [
        (of("value = 81, value_raw = 81", 11), "feedback", layouts),
        (of("value_decimals = 1", 12), "feedback", layouts),
        (of("tag2 = 'night'", 13), "feedback", layouts),
        (of("tag1 = 'other'", 14), "feedback", layouts),
        (of("endpoint = 'https://other'", 15), "feedback", layouts),
        (of("feedback_uri = 'ipfs://other'", 16), "feedback", layouts),
        (of("feedback_hash = decode(repeat('08', 32), 'hex')", 17), "feedback", layouts),
        (of("tag1_hash = decode(repeat('08', 32), 'hex')", 20), "feedback", rare),
        (of("tag1_raw = decode('fe0061', 'hex')", 21), "feedback", rare),
        (of("value_raw = value_raw - 1", 22), "feedback", rare),
        (
            format!("{} AND feedback_index = 10 AND end_block IS NOT NULL", of("value_raw = 9, value = 9", 10)),
            "feedback",
            counted,
        ),
        (
            "UPDATE agent SET agent_uri = 'ipfs://other' WHERE agent_id = 0 AND end_block IS NULL".into(),
            "agent",
            identities,
        ),
        ("UPDATE agent SET owner = decode(repeat('08', 20), 'hex') WHERE agent_id = 7".into(), "agent", identities),
        ("UPDATE agent_metadata SET value = '\\x00' WHERE key = 'color'".into(), "agent_metadata", identities),
    ];
    let mut expected = Vec::new();
    for (damage, table, block) in damages {
        assert_eq!(fixture.client.execute(&damage, &[]).await.unwrap(), 1, "{damage}");
        expected.push((table, block));
        expected.sort_unstable();
        let mut found = misfits(&fixture, START, chain.tip()).await;
        found.sort_unstable();
        assert_eq!(found, expected, "{damage}");
    }
    // The index that was counted is held against the count.
    let recounted = of("feedback_index = 8", 10) + " AND feedback_index = 2";
    assert_eq!(fixture.client.execute(&recounted, &[]).await.unwrap(), 1);
    assert!(misfits(&fixture, START, chain.tip()).await.contains(&("feedback", START + 4)));
}

#[tokio::test]
async fn f50_what_holds_no_fact_is_listed_with_the_reason() {
    let fixture = Fixture::create().await;
    let mut writer = fixture.writer(1).await;
    let topic0 = keccak256("AuthFeedback(uint256,uint256,bytes32)");
    let mut chain = Chain::default();
    chain.add(vec![said(october(0, 5, 1, ""))]);
    let log = &mut chain.blocks[0].logs[0];
    log.log.topics = vec![topic0, B256::ZERO, B256::ZERO, B256::ZERO];
    log.log.data = Bytes::new();
    log.event = Event::decode(Role::Reputation, &log.log.topics, &log.log.data);
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    let reasons = fixture.texts("SELECT reason FROM undecoded_log").await;
    assert_eq!(
        reasons,
        ["AuthFeedback of August 2025: it allows feedback that is given off the chain, and holds none"]
    );
}

#[tokio::test]
async fn f50_a_generation_cannot_be_changed_by_its_name_alone_under_indexed_blocks() {
    let fixture = Fixture::create().await;
    let registry: Address = contract(Role::Reputation, 0);
    let mut named = network(1);
    named.contracts.generations.0.insert(registry, Generation::November2025);
    fixture.store.register(&named, GENESIS).await.unwrap();
    // Until blocks are indexed it may.
    let mut writer = fixture.writer(1).await;
    assert!(fixture.texts("SELECT generation FROM contract WHERE generation IS NOT NULL").await.is_empty());
    let mut chain = Chain::default();
    chain.empty();
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    let error = fixture.store.register(&named, GENESIS).await.unwrap_err();
    assert!(matches!(&error, StoreError::Network { reason } if reason.contains("contracts.generations")), "{error}");
    // No log of it is stored yet, so the newest block is enough to have it changed.
    let command = format!("`meikan reindex --network {} --source store --from-block {}`", named.name, chain.tip());
    assert!(error.to_string().contains(&command), "{error}");
    writer.name_generations(&named, chain.tip()).await.unwrap();
    assert!(writer.rederive(chain.tip()).await.unwrap().is_done());
    fixture.store.register(&named, GENESIS).await.unwrap();
}
