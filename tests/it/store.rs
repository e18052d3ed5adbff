//! Stories of the store: what the chain says is what the tables hold, through rewinds, rivals and hostile content.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};
use meikan::event::{
    AuditLogEvent, Event, ExecutorEvent, GovernanceEvent, IdentityEvent, ReputationEvent, Text, ValidationEvent,
};
use meikan::fault::Fault;
use meikan::store::{Batch, Store, StoreError};
use serde_json::{Value, json};

use crate::store_chain::{Chain, GENESIS, Random, START, Said, network, noise, said, said_by};
use crate::store_support::{self, Fixture, config, follow, nowhere};
use crate::support::postgres::TestDatabase;
use crate::support::postgres::connect;

const CHAIN: u64 = 167_000;
const ALICE: Address = Address::repeat_byte(0xa1);
const BOB: Address = Address::repeat_byte(0xb0);

fn transfer(from: Address, to: Address, agent: u64) -> Said {
    said(Event::Identity(IdentityEvent::Transfer { from, to, token_id: U256::from(agent) }))
}

fn registered(agent: u64, uri: &str, owner: Address) -> Said {
    let (agent_id, agent_uri) = (U256::from(agent), uri.into());
    said(Event::Identity(IdentityEvent::Registered { agent_id, agent_uri, owner }))
}

fn approval(owner: Address, approved: Address, agent: u64) -> Said {
    said(Event::Identity(IdentityEvent::Approval { owner, approved, token_id: U256::from(agent) }))
}

fn operator(owner: Address, operator: Address, approved: bool) -> Said {
    said(Event::Identity(IdentityEvent::ApprovalForAll { owner, operator, approved }))
}

fn metadata(agent: u64, key: impl Into<Text>, value: &[u8]) -> Said {
    let (metadata_key, metadata_value) = (key.into(), Bytes::copy_from_slice(value));
    let indexed_metadata_key = keccak256(&metadata_key.0);
    let agent_id = U256::from(agent);
    said(Event::Identity(IdentityEvent::MetadataSet { agent_id, indexed_metadata_key, metadata_key, metadata_value }))
}

fn feedback(agent: U256, client: Address, index: u64, value: i128, decimals: u8) -> Event {
    Event::Reputation(ReputationEvent::NewFeedback {
        agent_id: agent,
        client_address: client,
        feedback_index: index,
        value,
        value_decimals: decimals,
        indexed_tag1: keccak256("starred"),
        tag1: "starred".into(),
        tag2: Text::default(),
        endpoint: Text::default(),
        feedback_uri: Text::default(),
        feedback_hash: B256::ZERO,
    })
}

fn given(agent: u64, client: Address, index: u64) -> Said {
    said(feedback(U256::from(agent), client, index, 9_977, 2))
}

fn revoked(agent: u64, client_address: Address, feedback_index: u64) -> Said {
    let agent_id = U256::from(agent);
    said(Event::Reputation(ReputationEvent::FeedbackRevoked { agent_id, client_address, feedback_index }))
}

fn request(agent: u64, hash: B256) -> Said {
    said(Event::Validation(ValidationEvent::ValidationRequest {
        validator_address: BOB,
        agent_id: U256::from(agent),
        request_uri: "ipfs://request".into(),
        request_hash: hash,
    }))
}

fn answer(agent: u64, hash: B256, response: u8) -> Said {
    said(Event::Validation(ValidationEvent::ValidationResponse {
        validator_address: BOB,
        agent_id: U256::from(agent),
        request_hash: hash,
        response,
        response_uri: Text::default(),
        response_hash: B256::ZERO,
        tag: "hard".into(),
    }))
}

/// Plays blocks of logs, none of them final.
async fn play(blocks: Vec<Vec<Said>>) -> (Fixture, Chain) {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    for logs in blocks {
        chain.add(logs);
    }
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    (fixture, chain)
}

fn hex(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(format!("\\x{}", alloy::hex::encode(bytes)))
}

#[tokio::test]
async fn migrations_run_once_and_are_refused_when_edited_or_newer() {
    let database = TestDatabase::create().await;
    let store = Store::connect(&config(database.url())).await.unwrap();
    let older = store.check_schema().await.unwrap_err();
    assert!(matches!(older, StoreError::DatabaseOlder { database: 0, .. }), "{older}");
    // Processes that start together wait for each other.
    let (first, second) = tokio::join!(store.migrate(), store.migrate());
    let run = [first.unwrap(), second.unwrap()];
    assert!(run.contains(&0) && run.iter().sum::<usize>() > 0, "each migration runs once: {run:?}");
    store.check_schema().await.unwrap();
    let client = connect(database.url()).await;
    client.batch_execute("UPDATE schema_migration SET sha256 = '\\x00' WHERE number = 2").await.unwrap();
    let edited = store.migrate().await.unwrap_err();
    assert!(edited.to_string().starts_with("migration 2 (0002_identity) was run"), "{edited}");
    client.batch_execute("INSERT INTO schema_migration VALUES (999, 'future', '')").await.unwrap();
    let newer = store.migrate().await.unwrap_err();
    assert!(newer.to_string().contains("run a newer version"), "{newer}");
    assert_eq!(newer.fault(), Fault::Fatal);
}

#[tokio::test]
async fn f72_a_reading_connection_cannot_write_or_run_for_ever() {
    let database = TestDatabase::create().await;
    let hasty = meikan::config::Database { statement_timeout_ms: 50, ..config(database.url()) };
    let store = Store::connect(&hasty).await.unwrap();
    let client = store.read().await.unwrap();
    let refused = client.batch_execute("CREATE TABLE mine ()").await.unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "25006");
    let ended = client.batch_execute("SELECT pg_sleep(60)").await.unwrap_err();
    assert_eq!(ended.code().unwrap().code(), "57014");
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let url = "postgres://meikan:secret@127.0.0.1:1/none";
    let error = Store::connect(&config(url)).await.err().expect("nothing listens there");
    let text = error.to_string();
    assert!(text.contains("postgres://127.0.0.1:1/none") && !text.contains("secret"), "{text}");
    assert_eq!(error.fault(), Fault::Retry);
}

#[tokio::test]
async fn f31_another_genesis_under_the_same_chain_id_is_refused() {
    let fixture = Fixture::create().await;
    fixture.store.register(&network(CHAIN), GENESIS).await.unwrap();
    fixture.store.register(&network(CHAIN), GENESIS).await.unwrap();
    let error = fixture.store.register(&network(CHAIN), B256::ZERO).await.unwrap_err();
    assert!(matches!(error, StoreError::OtherGenesis { chain_id: CHAIN, .. }), "{error}");
}

#[tokio::test]
async fn contracts_may_be_added_but_not_taken_away_or_turned_around() {
    let fixture = Fixture::create().await;
    let full = network(CHAIN);
    let mut fewer = full.clone();
    fewer.contracts.executor.0.clear();
    fixture.store.register(&fewer, GENESIS).await.unwrap();
    fixture.store.register(&full, GENESIS).await.unwrap();
    let error = fixture.store.register(&fewer, GENESIS).await.unwrap_err();
    assert!(error.to_string().contains("is no longer listed"), "{error}");
    let mut turned = full.clone();
    turned.contracts.identity.0.reverse();
    let error = fixture.store.register(&turned, GENESIS).await.unwrap_err();
    assert!(error.to_string().contains("put it back"), "{error}");
    let mut renamed = network(CHAIN + 1);
    renamed.name = full.name.clone();
    let error = fixture.store.register(&renamed, GENESIS).await.unwrap_err();
    assert!(error.to_string().contains("the name is taken"), "{error}");
}

#[tokio::test]
async fn the_start_block_is_bound_once_blocks_are_indexed() {
    let (fixture, _) = play(vec![vec![]]).await;
    let mut moved = network(CHAIN);
    moved.start_block += 1;
    let error = fixture.store.register(&moved, GENESIS).await.unwrap_err();
    assert!(error.to_string().contains("set start_block back"), "{error}");
}

#[tokio::test]
async fn a_contract_that_comes_late_is_refused_because_its_logs_would_be_missing() {
    let fixture = Fixture::create().await;
    let full = network(CHAIN);
    let mut fewer = full.clone();
    fewer.contracts.executor.0.clear();
    fixture.store.register(&fewer, GENESIS).await.unwrap();
    let mut chain = Chain::default();
    chain.empty();
    let mut writer = fixture.store.writer(CHAIN).await.unwrap().unwrap();
    follow(&mut writer, &chain, None, START, None).await.unwrap();
    let error = fixture.store.register(&full, GENESIS).await.unwrap_err();
    assert!(error.to_string().contains("blocks up to 10 are indexed without its logs"), "{error}");
    assert!(error.to_string().contains("`meikan reindex --network "), "{error}");
    fixture.store.register(&fewer, GENESIS).await.unwrap();
}

#[tokio::test]
async fn the_owner_follows_transfers_and_events_may_precede_registered() {
    let mint = vec![
        transfer(Address::ZERO, ALICE, 0),
        metadata(0, "early", b"1"),
        transfer(ALICE, BOB, 0),
        registered(0, "ipfs://a", ALICE),
        metadata(0, "agentWallet", ALICE.as_slice()),
    ];
    let (fixture, _) = play(vec![mint]).await;
    let select = "SELECT (registered, owner, agent_wallet, agent_uri, log_index, created_log_index) FROM agent";
    let expected = json!({"f1": true, "f2": hex(BOB), "f3": hex(ALICE), "f4": "ipfs://a", "f5": 12, "f6": 0});
    assert_eq!(fixture.value(select).await, expected);
    assert_eq!(fixture.count("agent_metadata", CHAIN).await, 2, "agentWallet is metadata, too");
}

#[tokio::test]
async fn a_transfer_withdraws_the_approval_also_to_oneself_and_a_burn_is_a_transfer() {
    let blocks = vec![
        vec![transfer(Address::ZERO, ALICE, 1), registered(1, "", ALICE), approval(ALICE, BOB, 1)],
        vec![metadata(1, "agentWallet", b""), transfer(ALICE, ALICE, 1)],
        vec![transfer(ALICE, Address::ZERO, 1)],
    ];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(begin_block, end_block, owner, approved) ORDER BY begin_block) \
                  FROM agent";
    let expected = json!([
        [START, START + 1, hex(ALICE), hex(BOB)],
        [START + 1, START + 2, hex(ALICE), null],
        [START + 2, null, hex(Address::ZERO), null],
    ]);
    assert_eq!(fixture.value(select).await, expected);
}

#[tokio::test]
async fn operators_are_approved_and_withdrawn_by_version() {
    let blocks = vec![
        vec![operator(ALICE, BOB, true), operator(ALICE, BOB, true)],
        vec![operator(ALICE, BOB, false), operator(BOB, ALICE, false)],
        vec![operator(ALICE, BOB, true), operator(ALICE, BOB, false)],
    ];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(begin_block, end_block)) FROM operator_approval";
    assert_eq!(fixture.value(select).await, json!([[START, START + 1]]));
}

#[tokio::test]
async fn metadata_have_versions_of_their_own() {
    let blocks = vec![
        vec![transfer(Address::ZERO, ALICE, 1), registered(1, "", ALICE), metadata(1, "k", b"1")],
        vec![metadata(1, "k", b"2")],
        vec![metadata(1, "agentWallet", BOB.as_slice())],
    ];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(begin_block, agent_wallet) ORDER BY begin_block) FROM agent";
    assert_eq!(fixture.value(select).await, json!([[START, null], [START + 2, hex(BOB)]]));
    assert_eq!(fixture.value("SELECT (begin_block) FROM agent_total").await, json!(START + 2));
}

#[tokio::test]
async fn whatever_names_an_agent_finds_one() {
    let hash = B256::repeat_byte(5);
    let blocks = vec![
        vec![given(1, BOB, 1), request(2, hash), metadata(3, "k", b"v"), revoked(4, BOB, 1)],
        vec![given(1, ALICE, 1), answer(2, hash, 1)],
        vec![transfer(Address::ZERO, ALICE, 1), registered(1, "ipfs://a", BOB), registered(2, "", BOB)],
    ];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(agent_id, begin_block, registered, owner, created_block) \
                  ORDER BY agent_id, begin_block) FROM agent";
    let (nobody, start, last) = (hex(Address::ZERO), START, START + 2);
    let expected = json!([
        [1, start, false, nobody, start],
        [1, last, true, hex(ALICE), last],
        [2, start, false, nobody, start],
        [2, last, true, hex(BOB), last],
        [3, start, false, nobody, start],
    ]);
    assert_eq!(fixture.value(select).await, expected, "a revocation without effect names nobody");
    let insert = "SELECT key FROM change WHERE entity = 2 AND op = 1 ORDER BY seq";
    assert_eq!(fixture.texts(insert).await, ["167000:1", "167000:2", "167000:3"]);
    let orphans = "SELECT count(*) FROM agent_total t WHERE NOT EXISTS (SELECT FROM agent a WHERE \
                   (a.chain_id, a.deployment, a.agent_id) = (t.chain_id, t.deployment, t.agent_id))";
    assert_eq!(fixture.value(orphans).await, json!(0));
}

#[tokio::test]
async fn totals_count_what_holds() {
    let blocks = vec![
        vec![transfer(Address::ZERO, ALICE, 1), registered(1, "", ALICE), given(1, BOB, 1), given(1, BOB, 2)],
        vec![revoked(1, BOB, 1), revoked(1, BOB, 1), revoked(1, BOB, 9)],
        vec![],
        // The same index again supersedes what was revoked, and is not revoked itself.
        vec![given(1, BOB, 1)],
        vec![],
        vec![],
        vec![transfer(ALICE, BOB, 1)],
    ];
    let (fixture, chain) = play(blocks).await;
    let select = "SELECT (total_feedback, revoked, responses, last_activity, updated_at) FROM agent_total";
    let (active, updated) = (chain.tip_at(START + 3).timestamp, chain.tip_at(START + 6).timestamp);
    assert_eq!(fixture.value(select).await, json!({"f1": 2, "f2": 0, "f3": 0, "f4": active, "f5": updated}));
    let select = "SELECT jsonb_agg(jsonb_build_array(feedback_index, begin_block, end_block, revoked_block) \
                  ORDER BY feedback_index, begin_block) FROM feedback";
    let expected = json!([[1, START, START + 3, START + 1], [1, START + 3, null, null], [2, START, null, null]]);
    assert_eq!(fixture.value(select).await, expected);
}

#[tokio::test]
async fn an_answer_of_zero_is_an_answer_and_the_last_one_counts() {
    let hash = B256::repeat_byte(5);
    let unknown = B256::repeat_byte(6);
    let blocks = vec![
        vec![request(1, hash), answer(1, unknown, 7)],
        vec![answer(1, hash, 90)],
        vec![answer(1, hash, 50), answer(1, hash, 0)],
    ];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(begin_block, response, response_count) ORDER BY begin_block) \
                  FROM validation";
    let expected = json!([[START, null, 0], [START + 1, 90, 1], [START + 2, 0, 3]]);
    assert_eq!(fixture.value(select).await, expected);
    assert_eq!(fixture.count("validation_response", CHAIN).await, 4, "an answer without a request is kept");
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_moves_no_total() {
    let unknown = B256::repeat_byte(6);
    let (fixture, chain) = play(vec![vec![registered(1, "", ALICE)], vec![], vec![answer(1, unknown, 7)]]).await;
    let select = "SELECT (last_activity, updated_at, begin_block) FROM agent_total";
    let time = chain.tip_at(START).timestamp;
    // What is counted from validations as of an earlier block would not find it.
    assert_eq!(fixture.value(select).await, json!({"f1": time, "f2": time, "f3": START}));
    assert_eq!(fixture.count("validation_response", CHAIN).await, 1);
}

#[tokio::test]
async fn totals_follow_the_validation_that_stands_at_the_end_of_a_block() {
    let (hash, time) = (B256::repeat_byte(5), |chain: &Chain, block| chain.tip_at(block).timestamp);
    let blocks = vec![
        vec![registered(1, "", ALICE), registered(2, "", ALICE), registered(3, "", ALICE)],
        vec![],
        // The second request takes the first one's place; an answer counts for the agent of its request.
        vec![request(1, hash), request(2, hash)],
        vec![],
        vec![answer(3, hash, 7)],
    ];
    let (fixture, chain) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(agent_id, begin_block, last_activity) ORDER BY agent_id) \
                  FROM agent_total";
    let untouched = time(&chain, START);
    let expected = json!([[1, START, untouched], [2, START + 4, time(&chain, START + 4)], [3, START, untouched]]);
    assert_eq!(fixture.value(select).await, expected);
}

#[tokio::test]
async fn deployments_keep_their_agents_apart() {
    let event = || feedback(U256::ZERO, BOB, 1, 5, 0);
    let (fixture, _) = play(vec![vec![said_by(event(), 0), said_by(event(), 1)]]).await;
    let select = "SELECT jsonb_agg(deployment ORDER BY deployment) FROM feedback";
    assert_eq!(fixture.value(select).await, json!([0, 1]));
    let keys = fixture.texts("SELECT key FROM change WHERE entity = 5 ORDER BY seq").await;
    let registry = alloy::hex::encode_prefixed(crate::store_chain::contract(meikan::event::Role::Identity, 1));
    let client = alloy::hex::encode_prefixed(BOB);
    assert_eq!(keys, [format!("{CHAIN}:0:{client}:1"), format!("{CHAIN}:{registry}:0:{client}:1")]);
}

#[tokio::test]
async fn an_intent_is_filed_under_the_agent_that_stated_it() {
    let (intent_id, agent_id) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let emitted = ExecutorEvent::IntentEmitted {
        intent_id,
        agent_id,
        dest_chain_id: U256::from(1),
        action_hash: B256::ZERO,
        nonce: U256::ZERO,
        expiry: U256::MAX,
    };
    let submitted = || ExecutorEvent::IntentSubmitted { intent_id, relayer: BOB, timestamp: U256::ZERO };
    let committed = AuditLogEvent::CommitmentLogged {
        agent_id,
        commitment_hash: intent_id,
        ipfs_cid: "nul\0".into(),
        submitter: ALICE,
        entry_index: U256::MAX,
    };
    let paused = GovernanceEvent::Paused { account: ALICE };
    let blocks = vec![
        vec![said(Event::Executor(emitted)), said(Event::Executor(submitted()))],
        vec![said(Event::Executor(submitted())), said(Event::AuditLog(committed)), said(Event::Governance(paused))],
    ];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT jsonb_agg(jsonb_build_array(kind, wallet_agent, actor) ORDER BY begin_block, log_index) \
                  FROM audit_event";
    let agent = hex(agent_id);
    let expected = json!([
        ["INTENT_CREATED", agent, null],
        ["INTENT_SUBMITTED", agent, hex(BOB)],
        ["INTENT_SUBMITTED", agent, hex(BOB)],
        ["COMMITMENT", agent, hex(ALICE)],
        ["GOVERNANCE", null, hex(ALICE)],
    ]);
    assert_eq!(fixture.value(select).await, expected);
    let select = "SELECT fields FROM audit_event WHERE kind = 'COMMITMENT'";
    let fields = fixture.value(select).await;
    assert_eq!((&fields["ipfsCid"], &fields["entryIndex"]), (&json!("nul\u{fffd}"), &json!(U256::MAX.to_string())));
}

#[tokio::test]
async fn f45_f46_unclean_text_is_shown_and_its_bytes_are_kept() {
    let bytes = b"a\0\xffb";
    let logs = vec![
        metadata(1, Text::from(bytes.to_vec()), b"1"),
        metadata(1, "a\u{fffd}\u{fffd}b", b"2"),
        said(Event::Identity(IdentityEvent::URIUpdated {
            agent_id: U256::from(1),
            new_uri: Text::from(bytes.to_vec()),
            updated_by: ALICE,
        })),
    ];
    let (fixture, chain) = play(vec![logs]).await;
    let keys = "SELECT jsonb_agg(jsonb_build_array(key, key_raw) ORDER BY value) FROM agent_metadata";
    let shown = "a\u{fffd}\u{fffd}b";
    assert_eq!(fixture.value(keys).await, json!([[shown, hex(bytes)], [shown, null]]), "two keys stay two");
    assert_eq!(
        fixture.value("SELECT (agent_uri, agent_uri_raw) FROM agent").await,
        json!({"f1": shown, "f2": hex(bytes)})
    );
    let logs: Vec<_> = chain.blocks[0].logs.iter().map(|decoded| decoded.log.clone()).collect();
    assert_eq!(fixture.raw_logs(CHAIN).await, logs, "the logs are kept as they were");
}

#[tokio::test]
async fn f47_f51_long_and_repeated_uris_are_stored_whole() {
    // Random letters: what Postgres cannot compress is what breaks its b-trees.
    let mut random = Random(47);
    let long: String = (0..100_000).map(|_| char::from(b'a' + u8::try_from(random.below(26)).unwrap())).collect();
    let set = || {
        let (agent_id, updated_by) = (U256::from(1), ALICE);
        said(Event::Identity(IdentityEvent::URIUpdated { agent_id, new_uri: long.as_str().into(), updated_by }))
    };
    let blocks = vec![vec![set(), set(), metadata(1, long.as_str(), long.as_bytes())], vec![set()]];
    let (fixture, _) = play(blocks).await;
    let select = format!("SELECT count(*) FILTER (WHERE agent_uri = '{long}') FROM agent");
    assert_eq!(fixture.value(&select).await, json!(2));
    assert_eq!(fixture.value("SELECT length(key) FROM agent_metadata").await, json!(100_000));
}

#[tokio::test]
async fn f48_integers_are_exact_at_both_ends() {
    let logs = vec![
        said(feedback(U256::MAX, ALICE, u64::MAX, i128::MIN, 18)),
        said(feedback(U256::ZERO, ALICE, 0, i128::MAX, 0)),
    ];
    let (fixture, _) = play(vec![logs]).await;
    let rows = "SELECT concat_ws(' ', agent_id, feedback_index, value_raw, value) FROM feedback ORDER BY agent_id";
    let (max, least) = (U256::MAX, "170141183460469231731687303715884105728");
    let value = "-170141183460469231731.687303715884105728";
    let expected = [format!("0 0 {0} {0}", i128::MAX), format!("{max} {} -{least} {value}", u64::MAX)];
    assert_eq!(fixture.texts(rows).await, expected);
}

#[tokio::test]
async fn f49_logs_that_are_no_event_are_kept_and_counted() {
    let logs = vec![noise(vec![]), noise(vec![B256::ZERO]), noise(vec![IdentityEvent::ALL[0].2])];
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    chain.add(logs);
    let mut writer = fixture.writer(CHAIN).await;
    let applied = follow(&mut writer, &chain, None, START, None).await.unwrap();
    assert_eq!((applied.undecoded, applied.events.len()), (3, 0));
    let reasons = fixture.texts("SELECT reason FROM undecoded_log ORDER BY log_index").await;
    assert_eq!(reasons[..2], ["unknown topic", "unknown topic"]);
    assert!(reasons[2].starts_with("malformed Registered"), "{}", reasons[2]);
    assert_eq!(fixture.raw_logs(CHAIN).await.len(), 3);
}

#[tokio::test]
async fn a_registration_file_in_the_uri_becomes_a_row() {
    let file = r#"data:application/json,{"name":"Mei\u0000","active":true}"#;
    let blocks =
        vec![vec![transfer(Address::ZERO, ALICE, 1), registered(1, file, ALICE), registered(2, "junk", ALICE)]];
    let (fixture, _) = play(blocks).await;
    let select = "SELECT (agent_id, cid, name, active, f.log_index = a.uri_log_index) \
                  FROM registration_file f JOIN agent a USING (chain_id, deployment, agent_id)";
    let expected = json!({"f1": 1, "f2": "datauri", "f3": "Mei\u{fffd}", "f4": true, "f5": true});
    assert_eq!(fixture.value(select).await, expected);
}

#[tokio::test]
async fn f19_set_removed_and_set_again_in_replaced_blocks_leaves_no_phantom() {
    let (fixture, chain) = play(vec![
        vec![transfer(Address::ZERO, ALICE, 1), registered(1, "kept", ALICE), given(1, BOB, 1)],
        vec![operator(ALICE, BOB, true), metadata(1, "k", b"1"), revoked(1, BOB, 1)],
        vec![operator(ALICE, BOB, false), metadata(1, "k", b""), given(1, BOB, 1)],
        vec![operator(ALICE, BOB, true), metadata(1, "k", b"2"), revoked(1, BOB, 1)],
    ])
    .await;
    let (fresh, _) =
        play(vec![vec![transfer(Address::ZERO, ALICE, 1), registered(1, "kept", ALICE), given(1, BOB, 1)]]).await;
    drop(fixture.store.writer(CHAIN).await);
    let mut writer = wait_for_writer(&fixture).await;
    let applied = follow(&mut writer, &chain, Some(START), START, None).await.unwrap();
    let rewound = applied.rewound.unwrap();
    assert_eq!((rewound.from, rewound.to, rewound.depth, rewound.agents), (START + 3, START, 3, 1));
    assert_eq!(fixture.dump(CHAIN).await, fresh.dump(CHAIN).await);
}

/// The right to write, once the writer before has lost it.
async fn wait_for_writer(fixture: &Fixture) -> meikan::store::Writer {
    store_support::wait_for_writer(fixture, CHAIN).await
}

#[tokio::test]
async fn f20_a_step_that_fails_leaves_nothing_and_can_be_repeated() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    chain.add(vec![transfer(Address::ZERO, ALICE, 1)]).add(vec![given(1, BOB, 1)]);
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, START, None).await.unwrap();
    let before = fixture.dump(CHAIN).await;
    // A trigger in the way of the last table that is written: everything before it is done already.
    let obstacle = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk' USING ERRCODE = \
                    '53100'; END $$; CREATE TRIGGER fail BEFORE INSERT ON change FOR EACH ROW EXECUTE FUNCTION fail()";
    fixture.client.batch_execute(obstacle).await.unwrap();
    let error = follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Retry, "{error}");
    assert_eq!(fixture.dump(CHAIN).await, before);
    fixture.client.batch_execute("DROP TRIGGER fail ON change").await.unwrap();
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    assert_eq!(fixture.count("feedback", CHAIN).await, 1);
}

#[tokio::test]
async fn f21_a_rewind_leaves_other_networks_alone() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    let mut random = Random(21);
    for _ in 0..12 {
        chain.add(random.logs());
    }
    let (mut one, mut two) = (fixture.writer(1).await, fixture.writer(2).await);
    for writer in [&mut one, &mut two] {
        follow(writer, &chain, None, chain.tip(), None).await.unwrap();
    }
    let before = fixture.dump(2).await;
    follow(&mut one, &chain, Some(START), START, None).await.unwrap();
    assert_eq!(fixture.dump(2).await, before);
    assert!(fixture.dump(1).await["block"].len() < before["block"].len());
}

#[tokio::test]
async fn f22_an_orphaned_block_gives_way_to_the_one_that_replaces_it() {
    let (fixture, chain) = play(vec![vec![registered(1, "old", ALICE)], vec![registered(2, "old", ALICE)]]).await;
    let mut fork = chain.fork(START, 7);
    // The same logs in another block, and one more.
    fork.add(vec![registered(2, "old", ALICE), registered(3, "new", ALICE)]);
    let mut writer = wait_for_writer(&fixture).await;
    follow(&mut writer, &fork, Some(START), fork.tip(), None).await.unwrap();
    let logs = fixture.raw_logs(CHAIN).await;
    let hash = fork.block(START + 1).hash;
    assert!(logs[1..].iter().all(|log| log.block.hash == hash) && logs.len() == 3);
    let transactions = fixture.texts("SELECT transaction_hash::text FROM agent WHERE agent_id = 2").await;
    assert_eq!(transactions, [hex(logs[1].transaction_hash).as_str().unwrap()]);
}

#[tokio::test]
async fn f54_what_a_batch_touches_often_is_written_once() {
    let busy = |_| vec![registered(1, "u", ALICE), metadata(1, "k", b"v"), given(1, BOB, 1), revoked(1, BOB, 1)];
    let many = |_| (0..50).flat_map(busy).collect();
    let (fixture, _) = play((0..20).map(many).collect()).await;
    for table in ["agent", "agent_metadata", "feedback"] {
        assert_eq!(fixture.count(table, CHAIN).await, 20, "{table} has one version a block");
    }
}

#[tokio::test]
async fn the_number_of_statements_does_not_depend_on_the_number_of_rows() {
    let fixture = Fixture::create().await;
    let mut writer = fixture.writer(CHAIN).await;
    let mut chain = Chain::default();
    let everything = |count: u64| -> Vec<Said> {
        let of = |agent| {
            let hash = B256::from(U256::from(agent));
            vec![
                transfer(Address::ZERO, ALICE, agent),
                registered(agent, r#"{"name":"a"}"#, ALICE),
                metadata(agent, "k", b"v"),
                operator(ALICE, Address::from_word(hash), true),
                given(agent, BOB, 1),
                request(agent, hash),
                answer(agent, hash, 5),
                said(Event::Governance(GovernanceEvent::Paused { account: ALICE })),
            ]
        };
        (0..count).flat_map(of).collect()
    };
    chain.add(everything(200)).add(everything(1)).add(everything(200));
    let mut statements = Vec::new();
    for to in START..=chain.tip() {
        statements.push(follow(&mut writer, &chain, None, to, None).await.unwrap().statements);
    }
    assert_eq!(statements[1], statements[2], "one agent takes as many statements as two hundred");
}

#[tokio::test]
async fn f55_a_second_writer_stands_by_and_an_old_one_cannot_commit() {
    let (fixture, chain) = play(vec![vec![]]).await;
    let mut first = wait_for_writer(&fixture).await;
    assert!(fixture.store.writer(CHAIN).await.unwrap().is_none(), "the lock is held");
    // The lock is lost without the writer's knowledge: another one is elected and raises the epoch.
    fixture.client.batch_execute("UPDATE cursor SET epoch = epoch + 1").await.unwrap();
    let before = fixture.dump(CHAIN).await;
    let mut longer = chain.clone();
    longer.add(vec![registered(1, "late", ALICE)]);
    let batch = Batch {
        expected_tip: Some(chain.block(START)),
        rewind_to: None,
        blocks: longer.between(START + 1, START + 1),
        tip: longer.tip_at(START + 1),
        finalized: None,
        safe: None,
    };
    assert!(matches!(first.apply(batch).await, Err(StoreError::Fenced { chain_id: CHAIN })));
    assert!(matches!(first.finalize(Some(chain.block(START)), None).await, Err(StoreError::Fenced { .. })));
    assert!(matches!(first.observe_head(chain.tip_at(START), None, None).await, Err(StoreError::Fenced { .. })));
    assert_eq!(fixture.dump(CHAIN).await, before);
    // A writer whose connection ends loses its lock with it.
    let end = "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
               WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()";
    fixture.client.batch_execute(end).await.unwrap();
    wait_for_writer(&fixture).await;
    let lost = first.cursor().await.unwrap_err();
    assert_eq!(lost.fault(), Fault::Retry, "{lost}");
}

#[tokio::test]
async fn a_writer_that_starts_on_a_known_database_does_not_analyze_it_again() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    let all = |client| (0..2_500).map(|agent| given(agent, client, 1)).collect();
    chain.add(all(ALICE)).add(all(BOB));
    let mut writer = fixture.writer(CHAIN).await;
    let alone = "DO $$ DECLARE leaf regclass; BEGIN FOR leaf IN SELECT relid FROM pg_partition_tree('feedback') WHERE \
                 isleaf LOOP EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = off)', leaf); END LOOP; END $$";
    fixture.client.batch_execute(alone).await.unwrap();
    follow(&mut writer, &chain, None, START, None).await.unwrap();
    drop(writer);
    let mut writer = wait_for_writer(&fixture).await;
    follow(&mut writer, &chain, None, START + 1, None).await.unwrap();
    let believed = "SELECT sum(c.reltuples)::bigint FROM pg_partition_tree('feedback') p \
                    JOIN pg_class c ON c.oid = p.relid WHERE p.isleaf";
    assert_eq!(fixture.value(believed).await, json!(2_500), "once, not at every start");
}

#[tokio::test]
async fn f61_f62_rewinds_forward_or_below_finality_are_refused() {
    let (fixture, chain) = play(vec![vec![], vec![], vec![], vec![]]).await;
    let mut writer = wait_for_writer(&fixture).await;
    writer.finalize(Some(chain.block(START + 1)), None).await.unwrap();
    let below = follow(&mut writer, &chain, Some(START), START, None).await.unwrap_err();
    assert_eq!(below.to_string(), "a rewind to block 10 would undo final blocks; the lowest that can be reached is 11");
    let forward = follow(&mut writer, &chain, Some(chain.tip() + 1), chain.tip(), None).await.unwrap_err();
    assert!(matches!(forward, StoreError::Batch { .. }), "{forward}");
}

#[tokio::test]
async fn f15_a_final_block_that_is_not_ours_is_refused() {
    let (fixture, chain) = play(vec![vec![], vec![]]).await;
    let mut writer = wait_for_writer(&fixture).await;
    let error = writer.finalize(Some(nowhere(START)), None).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Reorg, "{error}");
    // F16: finality above the tip or below what is known changes nothing.
    assert!(!writer.finalize(Some(nowhere(START + 9)), None).await.unwrap().moved);
    assert!(writer.finalize(Some(chain.block(START + 1)), None).await.unwrap().moved);
    assert!(!writer.finalize(Some(chain.block(START)), None).await.unwrap().moved);
    let replaced = writer.finalize(Some(nowhere(START + 1)), None).await.unwrap_err();
    assert!(matches!(replaced, StoreError::OtherFinal { .. }), "a final block was replaced: {replaced}");
}

#[tokio::test]
async fn f64_f65_a_rewind_to_the_start_leaves_nothing() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    let mut random = Random(65);
    for _ in 0..20 {
        chain.add(random.logs());
    }
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    follow(&mut writer, &chain, Some(START - 1), START - 1, None).await.unwrap();
    for (table, rows) in fixture.dump(CHAIN).await {
        assert!(rows.is_empty() || table == "cursor", "{table} has rows from above the rewind: {rows:?}");
    }
    follow(&mut writer, &chain, None, chain.tip(), None).await.unwrap();
    assert_eq!(fixture.count("block", CHAIN).await, 20);
}

#[tokio::test]
async fn blocks_that_do_not_fit_are_refused() {
    let (fixture, chain) = play(vec![vec![], vec![]]).await;
    let mut writer = wait_for_writer(&fixture).await;
    let mut longer = chain.clone();
    longer.empty().empty().empty();
    let batch = |blocks: Vec<_>, tip: u64| Batch {
        expected_tip: Some(chain.block(START + 1)),
        rewind_to: None,
        blocks,
        tip: longer.tip_at(tip),
        finalized: None,
        safe: None,
    };
    let mut gap = longer.between(START + 2, START + 4);
    gap.remove(1);
    let mut unlinked = longer.between(START + 2, START + 3);
    unlinked[1].header.parent_hash = B256::ZERO;
    for (blocks, tip) in [(gap, START + 4), (unlinked, START + 3), (longer.between(START + 1, START + 2), START + 2)] {
        let error = writer.apply(batch(blocks, tip)).await.unwrap_err();
        assert!(matches!(error, StoreError::Batch { .. }), "{error}");
    }
    let mut stranger = longer.between(START + 2, START + 2);
    stranger[0].header.parent_hash = B256::ZERO;
    let error = writer.apply(batch(stranger, START + 2)).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Reorg, "a block that stands on another one is a reorg: {error}");
    let moved = Batch { expected_tip: Some(nowhere(START)), ..batch(vec![], START + 1) };
    assert!(matches!(writer.apply(moved).await, Err(StoreError::TipMoved { .. })));
}

#[tokio::test]
async fn a_backfill_of_final_blocks_keeps_only_what_is_needed() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    for _ in 0..30 {
        chain.add(vec![given(1, BOB, 1)]).empty();
    }
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, chain.tip(), Some(chain.tip())).await.unwrap();
    assert_eq!(fixture.count("agent_total_version", CHAIN).await, 0);
    assert_eq!(fixture.count("change", CHAIN).await, 0);
    assert_eq!(fixture.count("block", CHAIN).await, 30, "only headers with events");
    assert_eq!(fixture.count("raw_logs", CHAIN).await, 1, "one segment for all blocks");
    let storage = "SELECT DISTINCT attstorage::text FROM pg_attribute JOIN pg_partition_tree('raw_logs') \
                   ON attrelid = relid WHERE attname = 'logs'";
    assert_eq!(fixture.texts(storage).await, ["e"], "a segment is compressed once");
    assert_eq!(fixture.raw_logs(CHAIN).await.len(), 30);
}

#[tokio::test]
async fn finality_makes_raw_logs_dense_and_prunes_what_no_rewind_needs() {
    let (fixture, chain) = play((0..1_100).map(|_| vec![given(1, BOB, 1)]).collect()).await;
    let mut writer = wait_for_writer(&fixture).await;
    assert_eq!(fixture.count("raw_logs", CHAIN).await, 1_100);
    let before = fixture.raw_logs(CHAIN).await;
    writer.finalize(Some(chain.block(1_060)), None).await.unwrap();
    assert_eq!(fixture.count("raw_logs", CHAIN).await, 1_100 - (1_024 - i64::try_from(START).unwrap()) + 1);
    assert_eq!(fixture.raw_logs(CHAIN).await, before, "nothing is lost");
    let kept = fixture.value("SELECT min(end_block) FROM agent_total_version").await;
    assert_eq!(kept, json!(1_061));
}

#[tokio::test]
async fn a_rewind_into_a_segment_of_raw_logs_cuts_it() {
    let fixture = Fixture::create().await;
    let mut chain = Chain::default();
    for _ in 0..10 {
        chain.add(vec![given(1, BOB, 1), given(2, BOB, 1)]);
    }
    let mut writer = fixture.writer(CHAIN).await;
    follow(&mut writer, &chain, None, chain.tip(), Some(chain.tip())).await.unwrap();
    assert_eq!(fixture.count("raw_logs", CHAIN).await, 1);
    // What an operator accepts who goes below finality.
    let accepted = "UPDATE cursor SET finalized_number = NULL, finalized_hash = NULL";
    fixture.client.batch_execute(accepted).await.unwrap();
    follow(&mut writer, &chain, Some(START + 4), START + 4, None).await.unwrap();
    let kept = chain.between(START, START + 4).into_iter().flat_map(|block| block.logs).map(|decoded| decoded.log);
    let kept: Vec<_> = kept.collect();
    let stored = fixture.raw_logs(CHAIN).await;
    assert_eq!(stored.len(), kept.len());
    assert!(stored == kept);
}

#[tokio::test]
async fn each_commit_is_told_and_its_seq_rises() {
    let fixture = Fixture::create().await;
    let (client, mut connection) =
        tokio_postgres::connect(fixture.database.url(), tokio_postgres::NoTls).await.unwrap();
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let tokio_postgres::AsyncMessage::Notification(note) = message {
                sender.send(note.payload().to_owned()).unwrap();
            }
        }
    });
    client.batch_execute(&format!("LISTEN {}", meikan::store::CHANNEL)).await.unwrap();
    let mut chain = Chain::default();
    chain.add(vec![given(1, BOB, 1)]).empty();
    let mut writer = fixture.writer(CHAIN).await;
    let first = follow(&mut writer, &chain, None, START, None).await.unwrap().seq;
    let second = follow(&mut writer, &chain, None, START + 1, Some(START + 1)).await.unwrap().seq;
    assert!(0 < first && first < second);
    assert_eq!(told.recv().await.unwrap(), format!("{CHAIN} {first}"));
    assert_eq!(told.recv().await.unwrap(), format!("{CHAIN} {second}"));
}

#[tokio::test]
async fn a_rewind_retracts_in_reverse_what_was_told_and_only_once() {
    let (fixture, chain) = play(vec![vec![], vec![given(1, BOB, 1)]]).await;
    let mut writer = wait_for_writer(&fixture).await;
    // Away, back to the same block, and away again: each time what was told is taken back.
    follow(&mut writer, &chain, Some(START), START, None).await.unwrap();
    follow(&mut writer, &chain, None, START + 1, None).await.unwrap();
    follow(&mut writer, &chain, Some(START), START, None).await.unwrap();
    let told = fixture.texts("SELECT op || ' ' || entity FROM change WHERE block_number = 11 ORDER BY seq").await;
    let once = ["1 1", "1 2", "1 5", "3 5", "3 2", "3 1"];
    assert_eq!(told, [once, once].concat());
    assert!(fixture.changes(CHAIN, START).await.is_empty());
}

#[tokio::test]
async fn the_head_is_noted_and_headers_are_told_from_the_highest_down() {
    let (fixture, chain) = play(vec![vec![], vec![], vec![]]).await;
    let mut writer = wait_for_writer(&fixture).await;
    for number in [START + 1, START + 2] {
        writer.observe_head(chain.tip_at(number), Some(START), Some(u64::MAX)).await.unwrap();
    }
    let head = "SELECT (number, safe_number, finalized_number) FROM head";
    assert_eq!(fixture.value(head).await, json!({"f1": START + 2, "f2": START, "f3": i64::MAX}));
    let headers = writer.headers(0, START + 1).await.unwrap();
    let blocks: Vec<_> = headers.iter().map(|header| (header.number, header.hash)).collect();
    assert_eq!(blocks, [START + 1, START].map(|number| (number, chain.block(number).hash)));
    // Safety may step back, and is told no higher than what is indexed.
    writer.finalize(None, Some(START + 9)).await.unwrap();
    assert_eq!(writer.cursor().await.unwrap().safe, Some(START + 2));
    writer.finalize(None, Some(START)).await.unwrap();
    assert_eq!(writer.cursor().await.unwrap().safe, Some(START));
}
