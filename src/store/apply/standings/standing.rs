//! The standing of an agent in one aspect: how it is counted, and the row that it is kept as.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::{Said, StandingKey};
use crate::store::apply::agents::{agent_cells, agent_key, arrays};
use crate::store::apply::kept::{Cell, Columns, Kept};
use crate::store::aspect::{self, Aspect};
use crate::store::error::StoreError;
use crate::store::fixed::Fixed;
use crate::store::numeric::Numeric;
use crate::store::sql::{self, signed};

/// Milestones end hours, of which series are made.
const SECONDS_PER_HOUR: u64 = 3_600;

/// From how many ratings on their average is believed as it is.
const FULL_CONFIDENCE: i64 = 10;
/// What stands for each rating that is missing for that.
const UNKNOWN_RATING: u8 = 50;

/// What is kept of one aspect of an agent; the columns of `standing` say what each means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    created_block: u64,
    given: i64,
    revoked: i64,
    pub(super) responses: i64,
    total: Fixed,
    counts: Vec<i64>,
    pub(super) clients: i64,
    pub(super) voices: Fixed,
    positive: i64,
    negative: i64,
    last_at: u64,
    pub(super) changed_at: u64,
    pub(super) ever_given: i64,
    ever_revoked: i64,
    ever_total: Fixed,
    /// The least and the greatest value that was given in the hour of the last change.
    hour: Option<(Fixed, Fixed)>,
}

/// The hour of a time.
pub(super) fn hour(time: u64) -> u64 {
    time / SECONDS_PER_HOUR
}

impl Standing {
    pub(super) fn begun_in(block: u64) -> Self {
        Self {
            created_block: block,
            given: 0,
            revoked: 0,
            responses: 0,
            total: Fixed::default(),
            counts: Vec::new(),
            clients: 0,
            voices: Fixed::default(),
            positive: 0,
            negative: 0,
            last_at: 0,
            changed_at: 0,
            ever_given: 0,
            ever_revoked: 0,
            ever_total: Fixed::default(),
            hour: None,
        }
    }

    /// Counts what feedback says, or takes it away.
    pub(super) fn count(&mut self, said: &Said, is_more: bool) {
        let one = if is_more { 1 } else { -1 };
        self.given += one;
        if said.revoked {
            self.revoked += one;
            return;
        }
        let places = usize::from(said.decimals);
        if self.counts.len() <= places {
            self.counts.resize(places + 1, 0);
        }
        self.counts[places] += one;
        while self.counts.last() == Some(&0) {
            self.counts.pop();
        }
        if is_more {
            self.total += said.value;
        } else {
            self.total -= said.value;
        }
        if said.is_rating() {
            self.positive += if aspect::is_positive(said.value) { one } else { 0 };
            self.negative += if aspect::is_negative(said.value) { one } else { 0 };
        }
    }
}

impl Standing {
    /// Counts a change at a time, with the value that was given then.
    pub(super) fn change_at(&mut self, time: u64, given: Option<Fixed>, revoked: i64) {
        if hour(time) != hour(self.changed_at) {
            self.hour = None;
        }
        self.changed_at = time;
        self.ever_revoked += revoked;
        let Some(value) = given else { return };
        self.last_at = self.last_at.max(time);
        self.ever_given += 1;
        self.ever_total += value;
        let (least, greatest) = self.hour.unwrap_or((value, value));
        self.hour = Some((least.min(value), greatest.max(value)));
    }

    /// Feedback that stands.
    pub(super) fn active(&self) -> i64 {
        self.given - self.revoked
    }

    /// The average of what stands; nothing where nothing does.
    fn average(&self) -> Option<Numeric> {
        let active = self.active();
        (active > 0).then(|| self.total.mean(active).to_numeric())
    }

    /// What a leaderboard of the aspect is in the order of: the average; of ratings drawn toward 50 while there are few.
    fn score(&self, aspect: Aspect) -> Option<Numeric> {
        if aspect != Aspect::Ratings || self.active() >= FULL_CONFIDENCE {
            return self.average();
        }
        let mut drawn = self.total;
        for _ in self.active()..FULL_CONFIDENCE {
            drawn += Fixed::whole(UNKNOWN_RATING);
        }
        Some(drawn.tenth_to_numeric())
    }

    /// Its place in the leaderboard of its aspect; nothing where that has none, or nothing stands.
    pub(super) fn rank(&self, aspect: Aspect) -> Option<Numeric> {
        if aspect == Aspect::All || self.active() == 0 { None } else { self.score(aspect) }
    }

    /// How often it was spoken of.
    pub(super) fn touches(&self) -> i64 {
        self.ever_given + self.ever_revoked + self.responses
    }
}

/// The expression of a standing's average.
macro_rules! average {
    () => {
        "CASE WHEN given > revoked THEN div(total * 1e60, given - revoked) * 1e-60 END"
    };
}

impl Kept for Standing {
    type Key = StandingKey;
    const TABLE: &'static str = "standing";
    const VERSIONS: &'static str = "standing_version";
    const KEY: Columns = &[("deployment", Type::INT2), ("agent_id", Type::NUMERIC), ("aspect", Type::BYTEA)];
    const VALUES: Columns = &[
        ("created_block", Type::INT8),
        ("given", Type::INT8),
        ("revoked", Type::INT8),
        ("responses", Type::INT8),
        ("total", Type::NUMERIC),
        ("counts", Type::INT8_ARRAY),
        ("clients", Type::INT8),
        ("voices", Type::NUMERIC),
        ("positive", Type::INT8),
        ("negative", Type::INT8),
        ("last_at", Type::INT8),
        ("changed_at", Type::INT8),
        ("ever_given", Type::INT8),
        ("ever_revoked", Type::INT8),
        ("ever_total", Type::NUMERIC),
        ("hour_least", Type::NUMERIC),
        ("hour_greatest", Type::NUMERIC),
    ];
    const DERIVED: &'static [(&'static str, Type, &'static str)] = &[
        ("active", Type::INT8, "given - revoked"),
        ("average", Type::NUMERIC, average!()),
        ("voice_average", Type::NUMERIC, "CASE WHEN clients > 0 THEN div(voices * 1e60, clients) * 1e-60 END"),
        (
            "score",
            Type::NUMERIC,
            concat!(
                "CASE WHEN aspect = '\\x01' AND given - revoked < 10 \
                 THEN total::numeric(1000, 60) * 0.1 + 5 * (10 - (given - revoked)) ELSE ",
                average!(),
                " END"
            ),
        ),
    ];
    const IS_MARKED: bool = true;

    fn key_cells((agent, aspect): &StandingKey) -> Vec<Cell> {
        let mut cells = agent_cells(agent);
        cells.push(Box::new(aspect.bytes().to_vec()));
        cells
    }

    fn key_arrays(keys: &[StandingKey]) -> Vec<Cell> {
        let (deployments, ids) = arrays(keys.iter().map(|(agent, _)| agent));
        let aspects: Vec<Vec<u8>> = keys.iter().map(|(_, aspect)| aspect.bytes().to_vec()).collect();
        vec![Box::new(deployments), Box::new(ids), Box::new(aspects)]
    }

    fn cells(&self) -> Vec<Cell> {
        vec![
            Box::new(signed(self.created_block)),
            Box::new(self.given),
            Box::new(self.revoked),
            Box::new(self.responses),
            Box::new(self.total.to_numeric()),
            Box::new(self.counts.clone()),
            Box::new(self.clients),
            Box::new(self.voices.to_numeric()),
            Box::new(self.positive),
            Box::new(self.negative),
            Box::new(signed(self.last_at)),
            Box::new(signed(self.changed_at)),
            Box::new(self.ever_given),
            Box::new(self.ever_revoked),
            Box::new(self.ever_total.to_numeric()),
            Box::new(self.hour.map(|(least, _)| least.to_numeric())),
            Box::new(self.hour.map(|(_, greatest)| greatest.to_numeric())),
        ]
    }

    fn derived_cells((_, aspect): &StandingKey, standing: &Self) -> Vec<Cell> {
        let voices = (standing.clients > 0).then(|| standing.voices.mean(standing.clients).to_numeric());
        let (average, score) = (standing.average(), standing.score(*aspect));
        vec![Box::new(standing.active()), Box::new(average), Box::new(voices), Box::new(score)]
    }

    fn read(row: &Row) -> Result<(StandingKey, Self), StoreError> {
        let aspect =
            Aspect::read(sql::column(row, "aspect")?).ok_or_else(|| sql::corrupt("a standing is of no aspect"))?;
        let standing = Self {
            created_block: sql::number(row, "created_block")?,
            given: sql::column(row, "given")?,
            revoked: sql::column(row, "revoked")?,
            responses: sql::column(row, "responses")?,
            total: fixed(row, "total")?,
            counts: sql::column(row, "counts")?,
            clients: sql::column(row, "clients")?,
            voices: fixed(row, "voices")?,
            positive: sql::column(row, "positive")?,
            negative: sql::column(row, "negative")?,
            last_at: sql::number(row, "last_at")?,
            changed_at: sql::number(row, "changed_at")?,
            ever_given: sql::column(row, "ever_given")?,
            ever_revoked: sql::column(row, "ever_revoked")?,
            ever_total: fixed(row, "ever_total")?,
            hour: optional_fixed(row, "hour_least")?.zip(optional_fixed(row, "hour_greatest")?),
        };
        Ok(((agent_key(row)?, aspect), standing))
    }
}

/// A sum with sixty places.
pub(in crate::store::apply) fn fixed(row: &Row, name: &str) -> Result<Fixed, StoreError> {
    Fixed::from_numeric(&sql::column::<Numeric>(row, name)?).ok_or_else(|| sql::corrupt("a sum of values is too large"))
}

fn optional_fixed(row: &Row, name: &str) -> Result<Option<Fixed>, StoreError> {
    if sql::column::<Option<Numeric>>(row, name)?.is_none() {
        return Ok(None);
    }
    fixed(row, name).map(Some)
}
