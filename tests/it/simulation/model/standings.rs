//! What feedback sums up to, counted anew after each block from all that was ever said about an agent.

use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::keccak256;
use num_bigint::{BigInt, Sign};

use super::AgentKey;
use super::feedback::{Feedback, FeedbackKey, Feedbacks};
use super::history::{History, Span};
use super::rows::{Row, Rows, bytea, number, of_agent, text};

/// Decimal places of a sum.
pub(super) const PLACES: u32 = 60;

/// From how much feedback on there are milestones: so little that a short story has some.
pub(crate) const HOT_FEEDBACK: usize = 4;
/// How often it is spoken of from one to the next.
pub(crate) const MILESTONE_EVERY: usize = 5;

/// All feedback.
const ALL: &[u8] = &[];
/// Feedback without a tag, or `starred`, of 0 to 100.
pub(crate) const RATINGS: &[u8] = &[1];

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    pub(crate) given: usize,
    pub(crate) revoked: usize,
    pub(crate) responses: usize,
    total: BigInt,
    counts: Vec<usize>,
    pub(crate) clients: usize,
    voices: BigInt,
    pub(crate) positive: usize,
    pub(crate) negative: usize,
    pub(crate) last_at: u64,
    /// Exact: the least, the greatest and the newest value that stands.
    pub(crate) least: Option<String>,
    pub(crate) greatest: Option<String>,
    pub(crate) last: Option<String>,
    /// When it last changed.
    changed_at: u64,
    ever_given: usize,
    ever_revoked: usize,
    ever_total: BigInt,
    /// The values that were given in that hour.
    hour: Vec<BigInt>,
}

/// The standings of all agents, and the texts of first tags.
#[derive(Debug, Default, Clone)]
pub(crate) struct Standings {
    pub(crate) of: BTreeMap<(AgentKey, Vec<u8>), History<Standing>>,
    /// By hash: the block that told it first, and the text.
    pub(crate) tags: BTreeMap<Vec<u8>, (u64, Vec<u8>)>,
    /// The aspects that each response was filed under, with its block.
    answered: Vec<(AgentKey, Vec<u8>, u64)>,
}

/// What feedback says, as far as it is summed up.
#[derive(Debug, Default, Clone)]
pub(super) struct Said {
    /// The hash that its first tag is known by.
    pub(super) tag: Vec<u8>,
    /// The value with sixty places, what is beyond them cut off.
    pub(super) value: BigInt,
    pub(super) aspects: BTreeSet<Vec<u8>>,
}

impl Said {
    pub(super) fn of(given: &Feedback) -> Self {
        let tag = given.tag1_hash.unwrap_or_else(|| keccak256(&given.tag1))[..16].to_vec();
        let magnitude = BigInt::from_bytes_be(Sign::Plus, &given.value.magnitude.to_be_bytes::<32>());
        let cut = magnitude * BigInt::from(10).pow(PLACES) / BigInt::from(10).pow(given.decimals);
        let value = if given.value.is_negative { -cut } else { cut };
        let mut aspects = BTreeSet::from([ALL.to_vec(), tag.clone()]);
        let rated = ["", "starred"].iter().any(|rated| keccak256(rated)[..16] == tag);
        if rated && value >= whole(0) && value <= whole(100) {
            aspects.insert(RATINGS.to_vec());
        }
        Self { tag, value, aspects }
    }
}

/// The value with 255 places, which is all of it.
pub(super) fn exact(given: &Feedback) -> BigInt {
    let magnitude = BigInt::from_bytes_be(Sign::Plus, &given.value.magnitude.to_be_bytes::<32>());
    let signed = if given.value.is_negative { -magnitude } else { magnitude };
    signed * BigInt::from(10).pow(255 - given.decimals)
}

fn whole(number: u32) -> BigInt {
    BigInt::from(number) * BigInt::from(10).pow(PLACES)
}

impl Standings {
    pub(super) fn tell(&mut self, block: u64, given: &Feedback) {
        if given.tag1_hash.is_none() {
            self.tags.entry(given.said.tag.clone()).or_insert_with(|| (block, given.tag1.clone()));
        }
    }

    /// Counts the agents anew that a block's events of feedback named.
    pub(super) fn end_block(&mut self, block: u64, time: u64, feedback: &Feedbacks) {
        for (key, at) in feedback.answers.iter().filter(|(_, at)| *at == block) {
            let mut filed = BTreeSet::from([ALL.to_vec()]);
            filed.extend(
                feedback
                    .given
                    .get(key)
                    .and_then(History::now)
                    .map(|given| given.said.aspects.clone())
                    .unwrap_or_default(),
            );
            self.answered.extend(filed.into_iter().map(|aspect| (key.0, aspect, *at)));
        }
        let touches = |span: &Span<Feedback>| {
            [Some(span.begin), span.end, span.is.revoked.map(|at| at.block)].contains(&Some(block))
        };
        let mut touched: BTreeSet<(AgentKey, Vec<u8>)> = self
            .answered
            .iter()
            .filter(|(.., at)| *at == block)
            .map(|(agent, aspect, _)| (*agent, aspect.clone()))
            .collect();
        for ((agent, ..), history) in &feedback.given {
            let spans = history.0.iter().filter(|span| touches(span));
            touched.extend(spans.flat_map(|span| span.is.said.aspects.clone()).map(|aspect| (*agent, aspect)));
        }
        for key in touched {
            let standing = self.counted(&key, time, feedback);
            self.of.entry(key).or_default().set(block, standing);
        }
    }

    fn counted(&self, (agent, aspect): &(AgentKey, Vec<u8>), time: u64, feedback: &Feedbacks) -> Standing {
        let of_agent = feedback.given.iter().filter(|((of, ..), _)| of == agent);
        let spans: Vec<(&FeedbackKey, &Span<Feedback>)> = of_agent
            .flat_map(|(key, history)| history.0.iter().map(move |span| (key, span)))
            .filter(|(_, span)| span.is.said.aspects.contains(aspect))
            .collect();
        let held: Vec<_> = spans.iter().filter(|(_, span)| span.end.is_none()).collect();
        let mut standing = Standing {
            given: held.len(),
            revoked: held.iter().filter(|(_, span)| span.is.revoked.is_some()).count(),
            responses: self.answered.iter().filter(|(of, under, _)| of == agent && under == aspect).count(),
            last_at: spans.iter().map(|(_, span)| span.is.at.time).max().unwrap_or_default(),
            changed_at: time,
            ever_given: spans.len(),
            ever_revoked: spans.iter().filter(|(_, span)| span.is.revoked.is_some()).count(),
            ever_total: spans.iter().map(|(_, span)| &span.is.said.value).sum(),
            hour: spans
                .iter()
                .filter(|(_, span)| span.is.at.time / 3_600 == time / 3_600)
                .map(|(_, span)| span.is.said.value.clone())
                .collect(),
            ..Standing::default()
        };
        let stands: Vec<_> = held.iter().filter(|(_, span)| span.is.revoked.is_none()).collect();
        let mut clients = BTreeMap::<_, Vec<BigInt>>::new();
        for ((_, client, _), span) in &stands {
            clients.entry(*client).or_default().push(span.is.said.value.clone());
            let places = usize::try_from(span.is.decimals).expect("a byte");
            standing.counts.resize(standing.counts.len().max(places + 1), 0);
            standing.counts[places] += 1;
            if span.is.said.aspects.contains(RATINGS) {
                standing.positive += usize::from(span.is.said.value >= whole(80));
                standing.negative += usize::from(span.is.said.value < whole(50));
            }
        }
        standing.total = clients.values().flatten().sum();
        standing.clients = clients.len();
        standing.voices = clients.values().map(|said| said.iter().sum::<BigInt>() / BigInt::from(said.len())).sum();
        let mut values: Vec<_> =
            stands.iter().map(|(_, span)| (exact(&span.is), span.is.at.block, span.is.at.log_index)).collect();
        standing.last = values.iter().max_by_key(|(_, block, log)| (*block, *log)).map(|(value, ..)| shown(value, 255));
        values.sort();
        standing.least = values.first().map(|(value, ..)| shown(value, 255));
        standing.greatest = values.last().map(|(value, ..)| shown(value, 255));
        standing
    }

    pub(super) fn rows(&self, rows: &mut Rows, finalized: Option<u64>) {
        for ((agent, aspect), history) in &self.of {
            let created = history.0.first().expect("it was set").begin;
            let now = history.0.last().expect("it was set");
            let mut row = of_agent(*agent, row_of(aspect, created, now));
            let standing = &now.is;
            row.insert("active", number(standing.active()));
            row.insert("average", standing.average().map(|average| plain(&average, PLACES)));
            row.insert("voice_average", standing.voice_average().map(|average| plain(&average, PLACES)));
            row.insert("score", standing.score(aspect).map(|(score, places)| plain(&score, places)));
            rows.put("standing", row);
            for (span, next) in history.0.iter().zip(history.0.iter().skip(1)) {
                if !aspect.is_empty() && span.is.active() > 0 {
                    let score = span.is.score(aspect).map(|(score, places)| plain(&score, places));
                    let spans = [("aspect", bytea(aspect)), ("begin_block", number(span.begin)), ("score", score)];
                    let mut row = of_agent(*agent, Row::from(spans));
                    row.insert("end_block", span.end.and_then(number));
                    rows.put("ranking_version", row);
                }
                let is_milestone = span.is.is_milestone(&next.is);
                if !is_milestone && finalized.is_some_and(|finalized| span.end <= Some(finalized)) {
                    continue;
                }
                let mut row = of_agent(*agent, row_of(aspect, created, span));
                row.insert("end_block", span.end.and_then(number));
                row.insert("is_milestone", number(is_milestone));
                row.insert("ends_hour", number(span.is.ends_hour(&next.is)));
                rows.put("standing_version", row);
            }
        }
        for (aspect, (block, tag)) in &self.tags {
            let mut row = Row::from([("aspect", bytea(aspect)), ("begin_block", number(block))]);
            text(&mut row, "tag1", "tag1_raw", Some(tag));
            rows.put("tag", row);
        }
    }
}

impl Standing {
    /// Whether it stays once that followed it: there is much of it, and the hour ended, or as much again was said.
    fn is_milestone(&self, next: &Self) -> bool {
        let rounds =
            |standing: &Self| (standing.ever_given + standing.ever_revoked + standing.responses) / MILESTONE_EVERY;
        self.ever_given >= HOT_FEEDBACK && (self.ends_hour(next) || rounds(self) != rounds(next))
    }

    fn ends_hour(&self, next: &Self) -> bool {
        self.changed_at / 3_600 != next.changed_at / 3_600
    }

    pub(crate) fn active(&self) -> usize {
        self.given - self.revoked
    }

    fn average(&self) -> Option<BigInt> {
        (self.active() > 0).then(|| &self.total / BigInt::from(self.active()))
    }

    fn voice_average(&self) -> Option<BigInt> {
        (self.clients > 0).then(|| &self.voices / BigInt::from(self.clients))
    }

    /// The score, and its decimal places.
    fn score(&self, aspect: &[u8]) -> Option<(BigInt, u32)> {
        if aspect == RATINGS && self.active() < 10 {
            let drawn = whole(50) * BigInt::from(10 - self.active());
            return Some((&self.total + drawn, PLACES + 1));
        }
        self.average().map(|average| (average, PLACES))
    }

    /// Average, average of voices and score, as GraphQL shows them.
    pub(crate) fn shown(&self, aspect: &[u8]) -> [Option<String>; 3] {
        [
            self.average().map(|value| shown(&value, PLACES)),
            self.voice_average().map(|value| shown(&value, PLACES)),
            self.score(aspect).map(|(value, places)| shown(&value, places)),
        ]
    }

    /// Whether the average is at least so much.
    pub(crate) fn averages(&self, least: u32) -> bool {
        self.average().is_some_and(|average| average >= whole(least))
    }

    /// What the score sorts by.
    pub(crate) fn rank(&self, aspect: &[u8]) -> BigInt {
        let (score, places) = self.score(aspect).expect("who is ranked has a score");
        score * BigInt::from(10).pow(PLACES + 1 - places)
    }
}

fn row_of(aspect: &[u8], created: u64, span: &Span<Standing>) -> Row {
    let standing = &span.is;
    let counts: Vec<String> = standing.counts.iter().map(ToString::to_string).collect();
    Row::from([
        ("aspect", bytea(aspect)),
        ("begin_block", number(span.begin)),
        ("created_block", number(created)),
        ("given", number(standing.given)),
        ("revoked", number(standing.revoked)),
        ("responses", number(standing.responses)),
        ("total", Some(plain(&standing.total, PLACES))),
        ("counts", Some(format!("[{}]", counts.join(",")))),
        ("clients", number(standing.clients)),
        ("voices", Some(plain(&standing.voices, PLACES))),
        ("positive", number(standing.positive)),
        ("negative", number(standing.negative)),
        ("last_at", number(standing.last_at)),
        ("changed_at", number(standing.changed_at)),
        ("ever_given", number(standing.ever_given)),
        ("ever_revoked", number(standing.ever_revoked)),
        ("ever_total", Some(plain(&standing.ever_total, PLACES))),
        ("hour_least", standing.hour.iter().min().map(|value| plain(value, PLACES))),
        ("hour_greatest", standing.hour.iter().max().map(|value| plain(value, PLACES))),
    ])
}

/// A number with all its decimal places, as Postgres shows it.
fn plain(value: &BigInt, places: u32) -> String {
    let places = usize::try_from(places).expect("a byte");
    let digits = format!("{:0>width$}", value.magnitude().to_string(), width = places + 1);
    let (whole, rest) = digits.split_at(digits.len() - places);
    format!("{}{whole}.{rest}", if value.sign() == Sign::Minus { "-" } else { "" })
}

/// A number with 34 significant digits, rounded half away from zero, without zeros behind.
pub(super) fn shown(value: &BigInt, places: u32) -> String {
    let digits = value.magnitude().to_string().len();
    let beyond = u32::try_from(digits.saturating_sub(34)).expect("a few hundred digits");
    let unit = BigInt::from(10).pow(beyond);
    let half = BigInt::from(if value.sign() == Sign::Minus { -1 } else { 1 }) * &unit;
    let rounded =
        if beyond == 0 { value.clone() } else { (value * BigInt::from(2) + half) / (&unit * BigInt::from(2)) * unit };
    let text = plain(&rounded, places);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
