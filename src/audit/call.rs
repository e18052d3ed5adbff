//! Samples of what a reputation registry answers, against our rows: `getLastIndex` and `getSummary` by `eth_call`.

use alloy::primitives::{Address, B256, Bytes, U256, keccak256};

use crate::block::{BlockRef, Method};
use crate::chain::{ChainError, Kind, State};
use crate::store::verification::{Finding, Sample};

use super::stretch::{Case, Stretch};
use super::{AuditError, Auditor};

/// `getSummary` is asked with one client and no tags.
const LAST_INDEX: &str = "getLastIndex(uint256,address)";
const SUMMARY: &str = "getSummary(uint256,address[],string,string)";

/// What the registries said about samples.
enum Heard {
    /// All there is to say is in the case.
    All,
    /// The state is forgotten, or not served at the moment; these questions are open.
    Nothing { why: String, unanswered: Vec<String> },
}

/// One call, and what our rows make of it.
struct Question<'a> {
    sample: &'a Sample,
    name: &'static str,
    data: Bytes,
    ours: Vec<U256>,
}

impl Question<'_> {
    /// Which answer it is about.
    fn subject(&self) -> String {
        self.sample.subject(self.name)
    }
}

impl Auditor {
    /// Asks the registries about some of the feedback of a stretch, on the state of the finalized block. Endpoints keep
    /// the state of few blocks, so where that one is forgotten, the newest block that we hold is asked about: by its hash,
    /// for it may still be replaced. A registry of another generation cannot tell. A difference that is among those `open`
    /// already is that one.
    pub(super) async fn take_samples(
        &self,
        case: &mut Case,
        stretch: &Stretch,
        open: &[Finding],
    ) -> Result<(), AuditError> {
        let Some(finalized) = stretch.finalized else {
            // There is no state to ask about: nothing is answered.
            case.unanswered.push(String::new());
            return Ok(());
        };
        let calls = open.iter().filter(|finding| finding.kind == "CALL").count();
        let count = self.settings.call_samples.saturating_add(u32::try_from(calls).unwrap_or(u32::MAX));
        if count == 0 {
            return Ok(());
        }
        let span = (stretch.from, stretch.to.min(finalized.number));
        let samples = self.samples(span, finalized.number, count).await?;
        let Heard::Nothing { why, unanswered } = self.sample(case, &samples, State::Of(finalized.number), open).await
        else {
            return Ok(());
        };
        let Some(newest) =
            self.store.newest_held(self.chain_id, u64::MAX).await?.filter(|held| held.number > finalized.number)
        else {
            case.unanswered.extend(unanswered);
            case.untold(why);
            return Ok(());
        };
        let samples = self.samples(span, newest.number, count).await?;
        // Our rows are those of this block only if it was ours all the time.
        let is_held = self.store.newest_held(self.chain_id, newest.number).await?.is_some_and(|held| held == newest);
        let block = BlockRef { number: newest.number, hash: newest.hash };
        if is_held && matches!(self.sample(case, &samples, State::After(block), open).await, Heard::All) {
            return Ok(());
        }
        case.unanswered.extend(unanswered);
        case.untold(format!("{why}, nor at block {}", newest.number));
        Ok(())
    }

    async fn samples(&self, span: (u64, u64), at: u64, count: u32) -> Result<Vec<Sample>, AuditError> {
        Ok(self.store.samples(self.chain_id, span, at, count, self.settings.seed).await?)
    }

    async fn sample(&self, case: &mut Case, samples: &[Sample], state: State, open: &[Finding]) -> Heard {
        let at = state.number();
        let questions: Vec<Question<'_>> = samples.iter().flat_map(questions).collect();
        for (place, question) in questions.iter().enumerate() {
            let Question { sample, name, ours, .. } = question;
            self.pause(case).await;
            match self.chain.call(sample.registry, question.data.clone(), state).await {
                Ok(answer) if words(&answer) == *ours && answer.len() == ours.len() * 32 => {}
                Ok(answer) if answer.len() == ours.len() * 32 => {
                    let subject = question.subject();
                    let description = format!(
                        "{name} of agent {} and client {} answers {} at block {at} where our rows give {}",
                        sample.agent,
                        sample.client,
                        spoken(&words(&answer)),
                        spoken(ours)
                    );
                    // It keeps its block, though the feedback it was drawn by may be another one now.
                    let known = open.iter().find(|known| known.kind == "CALL" && known.subject == subject);
                    let (from, to) = known.map_or((sample.block.min(at), sample.block), |known| (known.from, known.to));
                    case.find("CALL", (from, to), subject, description, Method::LogsAgain);
                }
                Ok(_) => {
                    case.unanswered.push(question.subject());
                    case.untold(format!("{name} of {} has another answer than ours", sample.registry));
                }
                Err(error) if is_refused(&error) => {
                    case.unanswered.push(question.subject());
                    case.untold(format!("{name} of {} at block {at} is not answered ({error})", sample.registry));
                }
                Err(error) => {
                    let unanswered = questions[place..].iter().map(Question::subject).collect();
                    return Heard::Nothing {
                        why: format!("{name} at block {at} is not answered ({error})"),
                        unanswered,
                    };
                }
            }
        }
        Heard::All
    }
}

/// Whether the contract itself refused the call: one of another generation does not know it.
fn is_refused(error: &ChainError) -> bool {
    matches!(error, ChainError::Failed { failure, .. } if failure.kind == Kind::Permanent && failure.message.contains("revert"))
}

fn questions(sample: &Sample) -> [Question<'_>; 2] {
    [
        Question { sample, name: LAST_INDEX, data: last_index_call(sample), ours: vec![U256::from(sample.last_index)] },
        Question { sample, name: SUMMARY, data: summary_call(sample), ours: summary_words(sample) },
    ]
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
