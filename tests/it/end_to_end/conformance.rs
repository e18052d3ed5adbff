//! `reputationSummary` against `getSummary` of the deployed contract, asked the same at the same block, and against the
//! arithmetic of the paper where the contract has no answer.

use std::collections::BTreeMap;

use alloy::primitives::{Address, I256, U256};
use meikan::demo::CHAIN_ID;

use super::draw::Draw;
use super::stage::{AGENTS, Stage};
use crate::support::node::Node;

/// Draws that are compared with the contract.
const DRAWS: usize = 600;

/// Draws in one GraphQL request.
const DRAWS_PER_REQUEST: usize = 40;

/// The contract's bound of a value.
const MAX_VALUE: i128 = 100_000_000_000_000_000_000_000_000_000_000_000_000;

const TAGS: [&str; 4] = ["starred", "uptime", "", "größe \"q\" \\ '; --"];
const BLOCKS: u64 = 24;
const FEEDBACK_PER_BLOCK: u64 = 24;

/// Small, large, negative, and as large as the contract takes.
fn value(draw: &mut Draw) -> i128 {
    let signed = |value: i128, negative: bool| if negative { -value } else { value };
    let negative = draw.below(3) == 0;
    match draw.below(5) {
        0 => signed(MAX_VALUE - i128::from(draw.below(3)), negative),
        1 => signed(i128::from(draw.next()) * i128::from(draw.below(1 << 40)), negative),
        _ => signed(i128::from(draw.below(10_001)), negative),
    }
}

/// Feedback as it was given.
struct Given {
    agent: u64,
    client: Address,
    value: i128,
    decimals: u8,
    tags: [&'static str; 2],
    block: u64,
    revoked: Option<u64>,
}

/// A stage on which much was given and some revoked, and what that was.
async fn rated_stage(draw: &mut Draw) -> (Stage, Vec<Given>) {
    let stage = Stage::start().await;
    stage.populate().await;
    let mut given: Vec<Given> = Vec::new();
    for block in stage.head().await + 1.. {
        if given.len() as u64 >= BLOCKS * FEEDBACK_PER_BLOCK {
            break;
        }
        let mut calls = Vec::new();
        // What this block gives is not revoked in it, so that the index is known.
        let known = given.len();
        for _ in 0..FEEDBACK_PER_BLOCK {
            let (agent, client) = (draw.below(AGENTS), stage.client(draw.next()));
            let decimals = u8::try_from(if draw.below(2) == 0 { draw.below(3) } else { draw.below(19) }).unwrap();
            let (value, tags) = (value(draw), [draw.pick(&TAGS), draw.pick(&TAGS)]);
            calls.push(stage.give(client, agent, value, decimals, tags));
            given.push(Given { agent, client, value, decimals, tags, block, revoked: None });
        }
        for place in (0..known).filter(|_| draw.below(12) == 0).collect::<Vec<_>>() {
            if given[place].revoked.is_none() {
                let (agent, client) = (given[place].agent, given[place].client);
                let same = given[..=place].iter().filter(|other| (other.agent, other.client) == (agent, client));
                calls.push(stage.revoke(client, agent, same.count() as u64));
                given[place].revoked = Some(block);
            }
        }
        let receipts = stage.mine(calls).await;
        assert!(receipts.iter().all(meikan::demo::Receipt::succeeded));
    }
    (stage, given)
}

fn question(agent: u64, clients: Option<&[Address]>, tags: [&str; 2], block: u64) -> String {
    let text = |text: &str| serde_json::to_string(text).unwrap();
    let listed = |clients: &[Address]| clients.iter().map(|client| format!("\"{client:#x}\"")).collect::<Vec<_>>();
    let clients = clients.map_or_else(String::new, |clients| format!(", clients: [{}]", listed(clients).join(", ")));
    format!(
        "reputationSummary(agent: \"{CHAIN_ID}:{agent}\"{clients}, tag1: {}, tag2: {}, block: {{number: {block}}}) \
         {{ count summaryValue summaryValueDecimals clientCount }}",
        text(tags[0]),
        text(tags[1])
    )
}

/// The arithmetic of the reputation registry, over a list of values and decimals.
fn reference(values: &[(i128, u8)]) -> (u64, i128, u8) {
    if values.is_empty() {
        return (0, 0, 0);
    }
    let power = |exponent: u8| I256::try_from(10_i128.pow(exponent.into())).unwrap();
    let mut frequency = BTreeMap::<u8, u64>::new();
    let mut sum = I256::ZERO;
    for (value, decimals) in values {
        *frequency.entry(*decimals).or_default() += 1;
        sum += I256::try_from(*value).unwrap() * power(18 - decimals);
    }
    let most = frequency.values().max().unwrap();
    let decimals = *frequency.iter().find(|(_, count)| *count == most).unwrap().0;
    let average = sum / I256::try_from(values.len()).unwrap() / power(18 - decimals);
    let wrapped = average.into_raw().wrapping_to::<u128>().cast_signed();
    (values.len() as u64, wrapped, decimals)
}

fn answer(summary: &serde_json::Value) -> (u64, i128, u8) {
    let number = |name: &str| summary[name].as_str().unwrap();
    let decimals = summary["summaryValueDecimals"].as_u64().unwrap();
    (number("count").parse().unwrap(), number("summaryValue").parse().unwrap(), u8::try_from(decimals).unwrap())
}

#[tokio::test]
async fn reputation_summaries_equal_the_contracts_own() {
    let mut draw = Draw::new(8004);
    let (stage, given) = rated_stage(&mut draw).await;
    let node = Node::fresh(std::slice::from_ref(&stage.network)).await;
    let contracts = stage.contracts();
    let (first, last) = (given[0].block, given.last().unwrap().block);
    let (mut compared, mut counted, mut wrapped) = (0, 0, 0);
    while compared < DRAWS {
        let draws: Vec<_> = (0..DRAWS_PER_REQUEST)
            .map(|_| {
                let clients: Vec<Address> = (0..=draw.below(10)).map(|_| stage.client(draw.next())).collect();
                // No tag asks for any; half of all draws have none.
                let tag = |draw: &mut Draw| if draw.below(2) == 0 { "" } else { draw.pick(&TAGS) };
                let tags = [tag(&mut draw), tag(&mut draw)];
                (draw.below(AGENTS + 1), clients, tags, first + draw.below(last - first + 1))
            })
            .collect();
        let questions = draws.iter().enumerate().map(|(place, (agent, clients, tags, block))| {
            format!("d{place}: {}", question(*agent, Some(clients), *tags, *block))
        });
        let answers = node.ask(&format!("{{ {} }}", questions.collect::<Vec<_>>().join("\n"))).await;
        for (place, (agent, clients, tags, block)) in draws.iter().enumerate() {
            let theirs = contracts.get_summary(U256::from(*agent), clients, tags[0], tags[1], Some(*block)).await;
            let theirs = theirs.unwrap();
            let ours = answer(&answers[format!("d{place}")]);
            let drawn = (agent, clients, tags, block);
            assert_eq!(ours, (theirs.count, theirs.value, theirs.value_decimals), "{drawn:?}");
            counted += usize::from(theirs.count > 0);
            wrapped += usize::from(theirs.value.unsigned_abs() > MAX_VALUE.unsigned_abs());
        }
        compared += draws.len();
    }
    assert!(counted > DRAWS / 2, "only {counted} of {compared} draws summed anything up");
    assert!(wrapped > 0, "no draw went beyond what an average can be: the wrap was not seen");
}

#[tokio::test]
async fn summaries_over_all_clients_equal_the_reference() {
    let mut draw = Draw::new(17);
    let (stage, given) = rated_stage(&mut draw).await;
    let node = Node::fresh(std::slice::from_ref(&stage.network)).await;
    let last = given.last().unwrap().block;
    for agent in 0..AGENTS {
        for tag in TAGS {
            let block = last - draw.below(BLOCKS);
            let summed: Vec<&Given> = given
                .iter()
                .filter(|given| {
                    given.agent == agent && given.block <= block && (tag.is_empty() || given.tags[0] == tag)
                })
                .filter(|given| given.revoked.is_none_or(|revoked| revoked > block))
                .collect();
            let summary = node.ask(&format!("{{ {} }}", question(agent, None, [tag, ""], block))).await;
            let values: Vec<_> = summed.iter().map(|given| (given.value, given.decimals)).collect();
            assert_eq!(answer(&summary["reputationSummary"]), reference(&values), "agent {agent}, {tag}, {block}");
            let clients: std::collections::BTreeSet<_> = summed.iter().map(|given| given.client).collect();
            assert_eq!(summary["reputationSummary"]["clientCount"], clients.len().to_string());
        }
    }
}
