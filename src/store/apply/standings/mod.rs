//! What the feedback about an agent sums up to in each aspect: all of it, its ratings, each first tag.
//!
//! A standing changes at the end of a block, by what feedback says then in the place of what it said before: the rows of
//! facts tell no order within a block either, so that counting them anew gives the same. A client has one voice in each
//! aspect, the average of what it says there; the sum of voices is kept, and for that what the clients of a batch say is
//! loaded with it.

mod standing;

use std::collections::BTreeSet;

pub(super) use self::standing::fixed;
use self::standing::{Standing, hour};
use super::feedback::Pair;
use super::kept::{self, Kept, KeptRows, Marks, Past};
use super::rankings::{self, Ranked};
use super::voices::Voices;
use crate::event::{Tag, Value};
use crate::id::AgentKey;
use crate::store::aspect::{Aspect, is_of_tag, is_rating};
use crate::store::error::StoreError;
use crate::store::fixed::Fixed;
use crate::store::sql::{self, Sql, signed, together};
use crate::store::standing::counted;
use crate::task::Beside;

/// From how much feedback on it is counted on another thread: it takes half a millisecond.
const MUCH_SPOKEN: usize = 128;

/// An aspect of an agent.
pub(super) type StandingKey = (AgentKey, Aspect);

/// What feedback says, as far as standings count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// The aspect of its first tag.
    pub(super) aspect: Aspect,
    pub(super) value: Fixed,
    pub(super) decimals: u8,
    pub(super) revoked: bool,
}

impl Said {
    pub(super) fn new(tag: &Tag, value: &Value, decimals: u8) -> Self {
        Self { aspect: Aspect::of(tag), value: Fixed::of(value, decimals), decimals, revoked: false }
    }

    fn is_rating(&self) -> bool {
        self.aspect.rates(self.value)
    }

    /// The aspects that it speaks of.
    pub(super) fn aspects(&self) -> impl Iterator<Item = Aspect> + use<> {
        let ratings = self.is_rating().then_some(Aspect::Ratings);
        [Aspect::All, self.aspect].into_iter().chain(ratings)
    }

    fn speaks_of(&self, aspect: Aspect) -> bool {
        self.aspects().any(|of| of == aspect)
    }
}

/// What a block did to one feedback.
pub(super) struct Spoken {
    pub(super) block: u64,
    /// The block's, in seconds since 1970.
    pub(super) time: u64,
    pub(super) pair: Pair,
    /// What it said when the block began.
    pub(super) before: Option<Said>,
    /// What it says when the block ends.
    pub(super) after: Option<Said>,
    /// Whether that was given in the block.
    pub(super) given: bool,
    /// Whether the block took back what it said before, whatever it says now.
    pub(super) taken_back: bool,
    /// Responses to it in the block.
    pub(super) responses: i64,
}

/// The standings that a batch changes.
pub(super) struct Standings {
    rows: KeptRows<Standing>,
    voices: Voices,
    milestones: MilestoneRule,
    /// The places that they had in leaderboards, but those that the newest had.
    ranked: Vec<Ranked>,
}

/// Which standings stay below finality.
#[derive(Debug, Clone, Copy)]
struct MilestoneRule {
    /// From how much feedback on an aspect has milestones.
    hot_feedback: i64,
    /// How often it is spoken of from one to the next, within an hour.
    every: i64,
}

/// That of a new network.
impl Default for MilestoneRule {
    fn default() -> Self {
        Self { hot_feedback: 256, every: 16 }
    }
}

impl MilestoneRule {
    async fn load(sql: &Sql<'_>) -> Result<Self, StoreError> {
        let select = "SELECT hot_feedback::bigint, milestone_every::bigint FROM network WHERE chain_id = $1";
        let rows = sql.query(select, &[]).await?;
        let row = rows.first().ok_or_else(|| sql::corrupt("a network has no row"))?;
        Ok(Self { hot_feedback: sql::column(row, "hot_feedback")?, every: sql::column(row, "milestone_every")? })
    }

    /// A standing with much feedback stays, at the end of an hour or of so much more that was said.
    fn marks(self, Past { kept, next, .. }: &Past<'_, Standing>) -> Marks {
        let round = |standing: &Standing| standing.touches() / self.every;
        let ends_hour = hour(kept.changed_at) != hour(next.changed_at);
        let is_milestone = kept.ever_given >= self.hot_feedback && (ends_hour || round(kept) != round(next));
        Marks { is_milestone, ends_hour }
    }
}

impl Standings {
    fn new(rows: KeptRows<Standing>, voices: Voices, milestones: MilestoneRule) -> Self {
        Self { rows, voices, milestones, ranked: Vec::new() }
    }

    /// Loads aspects of agents, where clients say this; blocks up to one are final.
    pub(super) async fn load(
        sql: &Sql<'_>,
        keys: &BTreeSet<StandingKey>,
        voices: Voices,
        finalized: Option<u64>,
    ) -> Result<Self, StoreError> {
        if keys.is_empty() {
            return Ok(Self::new(KeptRows::none(finalized), voices, MilestoneRule::default()));
        }
        let (rows, milestones) = together!(sql, KeptRows::take(sql, keys, finalized), MilestoneRule::load(sql))?;
        Ok(Self::new(rows, voices, milestones))
    }

    /// None: of what is counted from the beginning.
    pub(super) async fn none(sql: &Sql<'_>, finalized: Option<u64>) -> Result<Self, StoreError> {
        Ok(Self::new(KeptRows::none(finalized), Voices::default(), MilestoneRule::load(sql).await?))
    }

    /// Begins to count what blocks did, in their order.
    pub(super) fn count_all(mut self, spoken: Vec<Spoken>) -> Beside<Self> {
        Beside::begin(spoken.len() >= MUCH_SPOKEN, move || {
            spoken.iter().for_each(|spoken| self.count(spoken));
            self
        })
    }

    fn count(&mut self, spoken: &Spoken) {
        let said = [&spoken.before, &spoken.after].into_iter().flatten();
        let mut aspects: BTreeSet<Aspect> = said.flat_map(Said::aspects).collect();
        aspects.insert(Aspect::All);
        for aspect in aspects {
            self.change(spoken, aspect);
        }
    }

    fn change(&mut self, spoken: &Spoken, aspect: Aspect) {
        let (block, time) = (spoken.block, spoken.time);
        let of = |said: Option<Said>| said.filter(|said| said.speaks_of(aspect));
        let (before, after) = (of(spoken.before), of(spoken.after));
        let voice = self.voices.change(spoken.pair, aspect, before, after);
        let given = after.filter(|_| spoken.given);
        let revoked =
            i64::from(before.is_some() && spoken.taken_back) + i64::from(given.is_some_and(|said| said.revoked));
        self.rows.change(
            (spoken.pair.0, aspect),
            block,
            || Standing::begun_in(block),
            |standing| {
                if let Some(said) = before {
                    standing.count(&said, false);
                }
                if let Some(said) = after {
                    standing.count(&said, true);
                }
                standing.clients += voice.clients;
                standing.voices += voice.mean;
                standing.voices -= voice.mean_before;
                if after.is_some() || aspect == Aspect::All {
                    standing.responses += spoken.responses;
                }
                standing.change_at(time, given.map(|said| said.value), revoked);
            },
            |past| {
                self.ranked.extend(ranked(past));
                self.milestones.marks(past)
            },
        );
    }

    /// Writes the current standings, what they were where that ended above finality, and what their scores were.
    pub(super) async fn write(mut self, sql: &Sql<'_>) -> Result<u64, StoreError> {
        self.ranked.extend(self.rows.past().filter_map(|past| ranked(&past)));
        let marking = |past: &Past<'_, Standing>| self.milestones.marks(past);
        let ranked = rankings::write(sql, self.ranked);
        let ((), written) = together!(sql, ranked, self.rows.write(sql, &marking))?;
        Ok(written)
    }
}

/// The place that it had in the leaderboard of its aspect.
fn ranked(past: &Past<'_, Standing>) -> Option<Ranked> {
    let score = past.kept.rank(past.key.1)?;
    Some(Ranked { of: *past.key, begin: past.begin, end: past.end, score })
}

/// Restores the standings as they were at a block above finality.
pub(super) async fn rewind(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    kept::rewind::<Standing>(sql, to).await?;
    rankings::rewind(sql, to).await
}

/// Counts the standings anew as they were at a block below finality: those that changed above it, from the rows of facts,
/// which must have been rewound already.
pub(super) async fn recount(sql: &Sql<'_>, to: u64) -> Result<(), StoreError> {
    let derived = Standing::DERIVED.iter().map(|(name, _, expression)| (*name, *expression));
    let (names, expressions): (Vec<&str>, Vec<String>) =
        derived.map(|(name, expression)| (name, format!("{expression} AS {name}"))).unzip();
    let counted_names = Standing::VALUES.iter().map(|(name, _)| *name).filter(|name| *name != "created_block");
    let set: Vec<String> = counted_names.chain(names).map(|name| format!("{name} = n.{name}")).collect();
    let all = ("k.aspect = ''", None);
    let ratings = ("k.aspect = '\\x01'", Some(is_rating!()));
    let tags = ("length(k.aspect) = 16", Some(is_of_tag!()));
    for (of_kind, is_of_aspect) in [all, ratings, tags] {
        let update = format!(
            "UPDATE standing t SET begin_block = n.begin_block, {} FROM standing k \
             CROSS JOIN LATERAL (SELECT n.*, {} FROM (SELECT k.aspect, c.* FROM ({}) c) n) n \
             WHERE k.chain_id = $1 AND k.begin_block > $2 AND k.created_block <= $2 AND {of_kind} \
             AND t.chain_id = $1 AND t.deployment = k.deployment AND t.agent_id = k.agent_id AND t.aspect = k.aspect",
            set.join(", "),
            expressions.join(", "),
            as_rewound(&counted(is_of_aspect))
        );
        sql.execute(&update, &[&signed(to)]).await?;
    }
    // Of which nobody had spoken yet.
    kept::delete_above::<Standing>(sql, to).await?;
    kept::forget_versions::<Standing>(sql, to).await?;
    rankings::rewind(sql, to).await
}

/// The statement over facts of which all that is above the block is gone.
fn as_rewound(counted: &str) -> String {
    let text = counted.replace("{k}", "k").replace("{live f}", "(f.end_block IS NULL)");
    let text = ["f", "r"].iter().fold(text, |text, row| text.replace(&format!("{{begun {row}}}"), "TRUE"));
    let reached =
        |text: String, column: &str| text.replace(&format!("{{reached {column}}}"), &format!("({column} IS NOT NULL)"));
    ["f.revoked_block", "f.end_block"].iter().fold(text, |text, column| reached(text, column))
}

/// Forgets versions that no rewind can need any more.
pub(super) async fn prune(sql: &Sql<'_>, finalized: u64) -> Result<(), StoreError> {
    kept::prune::<Standing>(sql, finalized).await
}
