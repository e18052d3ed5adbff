//! `validationSummary` against `getSummary` of the deployed validation registry, asked the same at the same block.

use std::collections::BTreeSet;

use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::sol_types::SolCall;
use meikan::demo::abi::Validation;
use meikan::demo::{CHAIN_ID, Call, Receipt};
use serde_json::{Value, json};

use super::draw::Draw;
use super::stage::{AGENTS, Stage};
use crate::support::node::Node;

alloy::sol! {
    function getSummary(uint256 agentId, address[] validatorAddresses, string tag)
        external view returns (uint64 count, uint8 avgResponse);
}

const VALIDATORS: u64 = 3;
const TAGS: [&str; 4] = ["hard", "soft", "", "größe \"q\" \\ '; --"];
const BLOCKS: u64 = 20;
const DRAWS: usize = 200;
const DRAWS_PER_REQUEST: usize = 40;

/// A request, and the blocks of its answers.
struct Asked {
    hash: B256,
    agent: u64,
    validator: Address,
    block: u64,
    answered: Vec<u64>,
}

/// Asks for validations and answers some of them, once or progressively.
async fn validated_stage(draw: &mut Draw) -> (Stage, Vec<Asked>) {
    let stage = Stage::start().await;
    stage.populate().await;
    let mut asked: Vec<Asked> = Vec::new();
    for _ in 0..BLOCKS {
        let block = stage.head().await + 1;
        let mut calls = Vec::new();
        for open in &mut asked {
            if draw.below(4) != 0 {
                continue;
            }
            calls.push(answer(&stage, open, u8::try_from(draw.below(101)).unwrap(), draw.pick(&TAGS)));
            open.answered.push(block);
        }
        for _ in 0..4 {
            let (agent, validator) = (draw.below(AGENTS), stage.client(draw.below(VALIDATORS)));
            let hash = keccak256(draw.next().to_be_bytes());
            let request = Validation::validationRequestCall {
                validatorAddress: validator,
                agentId: U256::from(agent),
                requestURI: "ipfs://request".into(),
                requestHash: hash,
            };
            calls.push(Call::new(stage.owner(agent), stage.deployment.validation, request.abi_encode()));
            asked.push(Asked { hash, agent, validator, block, answered: vec![] });
        }
        assert!(stage.mine(calls).await.iter().all(Receipt::succeeded));
    }
    (stage, asked)
}

fn answer(stage: &Stage, asked: &Asked, response: u8, tag: &str) -> Call {
    let answer = Validation::validationResponseCall {
        requestHash: asked.hash,
        response,
        responseURI: String::new(),
        responseHash: B256::ZERO,
        tag: tag.into(),
    };
    Call::new(asked.validator, stage.deployment.validation, answer.abi_encode())
}

fn question(agent: u64, validators: &[Address], tag: &str, block: u64) -> String {
    let validators: Vec<String> = validators.iter().map(|validator| format!("\"{validator:#x}\"")).collect();
    format!(
        "validationSummary(agent: \"{CHAIN_ID}:{agent}\", validators: [{}], tag: {}, block: {{number: {block}}}) \
         {{ count averageResponse requested completed pending expired validatorCount }}",
        validators.join(", "),
        json!(tag)
    )
}

#[tokio::test]
async fn validation_summaries_equal_the_contracts_own() {
    let mut draw = Draw::new(2004);
    let (stage, asked) = validated_stage(&mut draw).await;
    let node = Node::fresh(std::slice::from_ref(&stage.network)).await;
    let (first, last) = (asked[0].block, stage.head().await);
    let (mut compared, mut counted) = (0, 0);
    while compared < DRAWS {
        let draws: Vec<_> = (0..DRAWS_PER_REQUEST)
            .map(|_| {
                let validators: Vec<Address> =
                    (0..draw.below(3)).map(|_| stage.client(draw.below(VALIDATORS + 1))).collect();
                let tag = if draw.below(2) == 0 { "" } else { draw.pick(&TAGS) };
                (draw.below(AGENTS + 1), validators, tag, first + draw.below(last - first + 1))
            })
            .collect();
        let questions = draws.iter().enumerate().map(|(place, (agent, validators, tag, block))| {
            format!("d{place}: {}", question(*agent, validators, tag, *block))
        });
        let answers = node.ask(&format!("{{ {} }}", questions.collect::<Vec<_>>().join("\n"))).await;
        for (place, (agent, validators, tag, block)) in draws.iter().enumerate() {
            let call = getSummaryCall {
                agentId: U256::from(*agent),
                validatorAddresses: validators.clone(),
                tag: (*tag).into(),
            };
            let theirs = stage.rpc.call(stage.deployment.validation, call.abi_encode(), Some(*block)).await.unwrap();
            let theirs = getSummaryCall::abi_decode_returns(&theirs).unwrap();
            let ours = &answers[format!("d{place}")];
            let drawn = (agent, validators, tag, block);
            assert_eq!(ours["count"], theirs.count.to_string(), "{drawn:?}");
            assert_eq!(ours["averageResponse"], theirs.avgResponse, "{drawn:?}");
            assert_eq!(*ours, with_what_was_sent(ours, &asked, *agent, validators, *block), "{drawn:?}");
            counted += usize::from(theirs.count > 0);
        }
        compared += draws.len();
    }
    assert!(counted > DRAWS / 4, "only {counted} of {compared} draws summed anything up");
}

/// An answer with its numbers of requests replaced by those that were sent.
fn with_what_was_sent(answer: &Value, asked: &[Asked], agent: u64, validators: &[Address], block: u64) -> Value {
    let of: Vec<&Asked> = asked
        .iter()
        .filter(|asked| asked.agent == agent && asked.block <= block)
        .filter(|asked| validators.is_empty() || validators.contains(&asked.validator))
        .collect();
    let completed = of.iter().filter(|asked| asked.answered.iter().any(|at| *at <= block)).count();
    let mut expected = answer.clone();
    expected["requested"] = json!(of.len().to_string());
    expected["completed"] = json!(completed.to_string());
    expected["pending"] = json!((of.len() - completed).to_string());
    expected["expired"] = json!("0");
    let distinct: BTreeSet<_> = of.iter().map(|asked| asked.validator).collect();
    expected["validatorCount"] = json!(distinct.len().to_string());
    expected
}

/// A week after, what nobody answered has expired; as of a block before, it is as it was; and every answer is there.
#[tokio::test]
async fn unanswered_validations_expire_by_the_chains_own_time() {
    let mut draw = Draw::new(7);
    let (stage, asked) = validated_stage(&mut draw).await;
    let before = stage.head().await;
    stage.rpc.request::<Value>("evm_increaseTime", json!([604_801])).await.unwrap();
    stage.mine([]).await;
    let node = Node::fresh(std::slice::from_ref(&stage.network)).await;
    let unanswered: BTreeSet<String> =
        asked.iter().filter(|asked| asked.answered.is_empty()).map(|asked| asked.hash.to_string()).collect();
    assert!(!unanswered.is_empty());
    let of = async |node: &Node, status: &str, block: u64| -> BTreeSet<String> {
        let query = format!(
            "{{ validations(first: 1000, where: {{ status: {status} }}, block: {{ number: {block} }}) {{ id }} }}"
        );
        let answer = node.ask(&query).await;
        answer["validations"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    // A block without events has no clock: whoever reads it again from below finality would not see it.
    assert_eq!(of(&node, "PENDING", before + 1).await, unanswered);
    let late = stage.register(99, 0);
    stage.mine([late]).await;
    let node = Node::fresh(std::slice::from_ref(&stage.network)).await;
    assert_eq!(of(&node, "EXPIRED", before + 2).await, unanswered);
    assert_eq!(of(&node, "PENDING", before).await, unanswered);
    assert_eq!(of(&node, "COMPLETED", before + 2).await.len(), asked.len() - unanswered.len());
    let answer =
        node.ask("{ validations(first: 1000) { id responseCount response responses { response blockNumber } } }");
    for validation in answer.await["validations"].as_array().unwrap() {
        let asked = asked.iter().find(|asked| validation["id"] == asked.hash.to_string()).unwrap();
        let responses = validation["responses"].as_array().unwrap();
        let blocks: Vec<String> = responses.iter().map(|one| one["blockNumber"].as_str().unwrap().to_owned()).collect();
        assert_eq!(blocks, asked.answered.iter().map(u64::to_string).collect::<Vec<_>>(), "{validation}");
        assert_eq!(validation["responseCount"], responses.len());
        assert_eq!(validation["response"], responses.last().map_or(Value::Null, |last| last["response"].clone()));
    }
}
