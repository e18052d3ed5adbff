//! Samples of what a reputation registry answers, against our rows: `getLastIndex` and `getSummary` by `eth_call`.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};

use crate::block::Method;
use crate::store::verification::{Finding, Sample};

use super::Auditor;
use super::stretch::Case;

/// `getSummary` is asked with one client and no tags.
const LAST_INDEX: &str = "getLastIndex(uint256,address)";
const SUMMARY: &str = "getSummary(uint256,address[],string,string)";

impl Auditor {
    /// Asks the registries about some of the feedback of a stretch, on the state of block `at`. An endpoint that has
    /// forgotten that state, or a registry of another generation, cannot tell.
    pub(super) async fn sample(&self, case: &mut Case, samples: &[Sample], at: u64) {
        for sample in samples {
            for (name, data, ours) in [
                (LAST_INDEX, last_index_call(sample), vec![U256::from(sample.last_index)]),
                (SUMMARY, summary_call(sample), summary_words(sample)),
            ] {
                self.pause(case).await;
                match self.chain.call(sample.registry, data, at).await {
                    Ok(answer) if words(&answer) == ours => {}
                    Ok(answer) if answer.len() == ours.len() * 32 => case.findings.push(Finding {
                        kind: "CALL",
                        from: sample.block.min(at),
                        to: sample.block,
                        description: format!(
                            "{name} of agent {} and client {} answers {} at block {at} where our rows give {}",
                            sample.agent,
                            sample.client,
                            spoken(&words(&answer)),
                            spoken(&ours)
                        ),
                        method: Method::LogsAgain,
                    }),
                    Ok(_) => case.untold(format!("{name} of {} has another answer than ours", sample.registry)),
                    Err(error) => return case.untold(format!("{name} at block {at} is not answered ({error})")),
                }
            }
        }
    }
}

fn spoken(words: &[U256]) -> String {
    let numbers: Vec<String> = words.iter().map(|word| number(*word)).collect();
    numbers.join(", ")
}

/// A word as the signed number that it is: a summary may be negative.
fn number(word: U256) -> String {
    if word.bit(255) { format!("-{}", U256::ZERO.wrapping_sub(word)) } else { word.to_string() }
}

fn words(answer: &[u8]) -> Vec<U256> {
    answer.chunks_exact(32).map(U256::from_be_slice).collect()
}

fn summary_words(sample: &Sample) -> Vec<U256> {
    let (count, value, decimals) = sample.summary;
    let magnitude = U256::from(value.unsigned_abs());
    let value = if value < 0 { U256::ZERO.wrapping_sub(magnitude) } else { magnitude };
    vec![U256::from(count), value, U256::from(decimals)]
}

fn call(signature: &str, words: &[U256]) -> Bytes {
    let selector = keccak256(signature);
    let words = words.iter().flat_map(|word| word.to_be_bytes::<32>());
    selector[..4].iter().copied().chain(words).collect()
}

fn address(address: Address) -> U256 {
    address.into_word().into()
}

fn last_index_call(sample: &Sample) -> Bytes {
    call(LAST_INDEX, &[sample.agent, address(sample.client)])
}

/// The heads of the four parameters, then a list of one address and two empty strings.
fn summary_call(sample: &Sample) -> Bytes {
    let offset = |words: u64| U256::from(words * B256::len_bytes() as u64);
    let words =
        [sample.agent, offset(4), offset(6), offset(7), U256::ONE, address(sample.client), U256::ZERO, U256::ZERO];
    call(SUMMARY, &words)
}
