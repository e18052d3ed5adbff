//! Manifest flips over HTTP: what an agent's URI, wallet and owner changed to, how suspicious that is, and the sums.

use alloy::primitives::U256;
use meikan::event::{Event, IdentityEvent, Text};
use serde_json::{Value, json};

use super::support::{CHAIN, FIRST_BLOCK, History, Node, account, hex, metadata, registered};

fn uri(agent: u64, uri: &str) -> Event {
    let (agent_id, new_uri) = (U256::from(agent), Text::from(uri));
    Event::Identity(IdentityEvent::URIUpdated { agent_id, new_uri, updated_by: account(1) })
}

fn moved(agent: u64, from: u8, to: u8) -> Event {
    Event::Identity(IdentityEvent::Transfer { from: account(from), to: account(to), token_id: U256::from(agent) })
}

fn wallet(agent: u64, value: &[u8]) -> Event {
    metadata(agent, "agentWallet", value)
}

/// Two agents: one that moves its endpoint, then all of it, and after a minute its owner alone; one that renews.
async fn populated() -> (Node, History) {
    let node = Node::start().await;
    let mut history = node.history(CHAIN).await;
    history.block([registered(0, 1, "a"), registered(1, 2, "a")].concat()).await;
    history.block(vec![uri(0, "b"), uri(1, "a")]).await;
    history.block(vec![wallet(0, b""), moved(0, 1, 3), uri(0, "c")]).await;
    for _ in 0..30 {
        history.block(vec![]).await;
    }
    history.block(vec![moved(0, 3, 1)]).await;
    (node, history)
}

const METRICS: &str = "id source totalFlips rapidFlips endpointChanges highSuspicionFlips averageSuspicionScore \
     lastFlipAt blockNumber lastFlip { id } agent { id }";

#[tokio::test]
async fn a_flip_tells_what_changed_and_how_suspicious_that_is() {
    let (node, history) = populated().await;
    let query = "{ manifestFlips(where: {agent: \"167000:0\"}) { id chainId source endpoint previousEndpoint pubkey \
         previousPubkey owner previousOwner endpointChanged pubkeyChanged ownerChanged timeDelta suspicionScore suspicious \
         rapid createdAt blockNumber logIndex transactionHash finality agent { id } } }";
    let data = node.ask(query).await;
    let flips = data["manifestFlips"].as_array().unwrap();
    assert_eq!(flips.len(), 3);
    let block = FIRST_BLOCK + 2;
    assert_eq!(
        flips[1],
        json!({
            "id": format!("167000:0:{block}:2"), "chainId": "167000", "source": "ONCHAIN", "endpoint": "c",
            "previousEndpoint": "b", "pubkey": null, "previousPubkey": hex(1), "owner": hex(3), "previousOwner": hex(1),
            "endpointChanged": true, "pubkeyChanged": true, "ownerChanged": true, "timeDelta": "2",
            "suspicionScore": 100, "suspicious": true, "rapid": true, "createdAt": History::time(block).to_string(),
            "blockNumber": block.to_string(), "logIndex": 2,
            "transactionHash": format!("{:#x}", history.transaction(block)), "finality": "UNSAFE",
            "agent": { "id": "167000:0" },
        })
    );
    let short = |flip: &Value| json!([flip["suspicionScore"], flip["ownerChanged"], flip["previousEndpoint"]]);
    assert_eq!([short(&flips[0]), short(&flips[2])], [json!([70, false, "a"]), json!([0, true, null])]);
    let one = format!("{{ manifestFlip(id: \"167000:0:{block}:2\") {{ endpoint }} }}");
    assert_eq!(node.ask(&one).await["manifestFlip"], json!({ "endpoint": "c" }));
}

#[tokio::test]
async fn flips_are_filtered_sorted_and_paged_as_every_entity_is() {
    let (node, _history) = populated().await;
    let ids = |page: &'static str| {
        let node = &node;
        async move { node.list(&format!("{{ manifestFlips({page}) {{ id }} }}"), "manifestFlips", "id").await }
    };
    let all = ["167000:0:101:0", "167000:0:102:2", "167000:0:133:0", "167000:1:101:1"];
    assert_eq!(ids("first: 10").await, all);
    assert_eq!(ids("where: {suspicious: true}").await, all[..2]);
    assert_eq!(ids("where: {source: SIGNED}").await, [""; 0]);
    assert_eq!(ids("where: {source: ONCHAIN, endpointChanged: false, rapid: true}").await, all[3..]);
    assert_eq!(ids("where: {agent_: {owner: \"0x0202020202020202020202020202020202020202\"}}").await, all[3..]);
    let newest = "orderBy: createdAt, orderDirection: desc, first: 2";
    assert_eq!(ids(newest).await, [all[2], all[1]]);
    let data = node.ask(&format!("{{ manifestFlips({newest}) {{ cursor }} }}")).await;
    let cursor = data["manifestFlips"][1]["cursor"].as_str().unwrap();
    let next = format!("{{ manifestFlips({newest}, after: \"{cursor}\") {{ id }} }}");
    assert_eq!(node.list(&next, "manifestFlips", "id").await, [all[3], all[0]]);
    let query = "{ agents { flips(orderBy: suspicionScore, orderDirection: desc, first: 1) { suspicionScore } \
         flipMetrics { totalFlips } } }";
    let expected = json!([
        { "flips": [{ "suspicionScore": 100 }], "flipMetrics": [{ "totalFlips": "3" }] },
        { "flips": [{ "suspicionScore": 20 }], "flipMetrics": [{ "totalFlips": "1" }] },
    ]);
    assert_eq!(node.ask(query).await["agents"], expected);
}

#[tokio::test]
async fn the_sums_of_flips_are_those_of_the_block_that_is_asked_for() {
    let (node, mut history) = populated().await;
    let newest = node.ask(&format!("{{ agentFlipMetrics(id: \"167000:0:ONCHAIN\") {{ {METRICS} }} }}")).await;
    assert_eq!(
        newest["agentFlipMetrics"],
        json!({
            "id": "167000:0:ONCHAIN", "source": "ONCHAIN", "totalFlips": "3", "rapidFlips": "2", "endpointChanges": "2",
            "highSuspicionFlips": "2", "averageSuspicionScore": "56.67",
            "lastFlipAt": History::time(FIRST_BLOCK + 33).to_string(), "blockNumber": "133",
            "lastFlip": { "id": "167000:0:133:0" }, "agent": { "id": "167000:0" },
        })
    );
    let root = "agentFlipMetrics_collection";
    let as_of = |block: u64| {
        format!(
            "{{ {root}(block: {{number: {block}}}, orderBy: totalFlips) {{ id totalFlips averageSuspicionScore }} }}"
        )
    };
    let before = json!([{ "id": "167000:0:ONCHAIN", "totalFlips": "2", "averageSuspicionScore": "85" }]);
    for block in [FIRST_BLOCK + 2, FIRST_BLOCK + 32] {
        let data = node.ask(&as_of(block)).await;
        assert_eq!(data[root][1], before[0], "as of {block}");
        assert_eq!(data[root][0]["totalFlips"], json!("1"), "as of {block}");
    }
    assert_eq!(node.ask(&as_of(FIRST_BLOCK)).await[root], json!([]), "a first manifest is no flip");
    // A reorg takes the last flip back, and tells another one.
    history.reorg(FIRST_BLOCK + 32, vec![moved(0, 3, 1), uri(0, "d")]).await;
    let data = node.ask(&format!("{{ {root} {{ totalFlips endpointChanges lastFlip {{ endpoint }} }} }}")).await;
    let expected = json!({ "totalFlips": "3", "endpointChanges": "3", "lastFlip": { "endpoint": "d" } });
    assert_eq!(data[root][0], expected);
}
