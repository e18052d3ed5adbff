//! How what is said of an agent developed: what was given in each hour, day or week, and how it stood at its end.
//!
//! Each feedback comes with its time, and goes when it is revoked or superseded. What stands at the end of an interval is
//! the running sum of what came and went; a client's voice there is the average of what it then says. Of an aspect with much
//! feedback ingestion keeps the standing at the end of each hour: then an interval is what one adds to the one before.

use serde_json::json;

use super::error::{QueryError, bad_input};
use super::id;
use super::pin::{BoundScope, Scope};
use super::snapshot::Snapshot;
use super::source::expand;
use super::sql::{SqlType, Statement};
use super::{entity, value};
use crate::event::{Tag, Text};
use crate::store::aspect::{Aspect, is_rating};
use crate::store::standing::COLUMNS;

/// The derivation that names the aspect of each feedback.
pub(super) const ASPECTS: i16 = 1;
/// The derivation that keeps milestones, and says which of them end their hour.
const MILESTONES: i16 = 3;

/// Most points of one answer.
const MAX_POINTS: i64 = 5_000;

/// How long an interval is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesInterval {
    /// From one full hour to the next.
    Hour,
    /// A day in UTC.
    Day,
    /// A week from Monday in UTC.
    Week,
}

impl SeriesInterval {
    /// Seconds of the interval, and how far the first one began before 1970.
    fn seconds(self) -> (i64, i64) {
        match self {
            Self::Hour => (3_600, 0),
            Self::Day => (86_400, 0),
            // 1970 began on a Thursday.
            Self::Week => (7 * 86_400, 3 * 86_400),
        }
    }
}

/// Whose series, of what, and from when to when.
#[derive(Debug, Clone)]
pub struct SeriesQuestion {
    /// The agent's id.
    pub agent: String,
    /// The intervals.
    pub interval: SeriesInterval,
    /// The first tag; nothing or empty: ratings.
    pub tag1: Option<String>,
    /// Only intervals that hold this time or a later one, in seconds since 1970.
    pub since: Option<String>,
    /// Only intervals that hold this time or an earlier one, in seconds since 1970.
    pub until: Option<String>,
}

/// An interval in which something was said. Decimals are as Postgres writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesPoint {
    /// When it begins, in seconds since 1970.
    pub start: i64,
    /// Feedback given in it.
    pub given: i64,
    /// Feedback revoked in it.
    pub revoked: i64,
    /// The average, the least and the greatest of what was given in it, whatever became of it.
    pub given_average: Option<String>,
    /// See `given_average`.
    pub given_min: Option<String>,
    /// See `given_average`.
    pub given_max: Option<String>,
    /// What stands at its end.
    pub active: i64,
    /// The average of that.
    pub average: Option<String>,
    /// The clients who then say something.
    pub client_count: i64,
    /// The average of their averages.
    pub per_client_average: Option<String>,
}

/// The points of an agent: `$agent` and `$aspect` are conditions on feedback `f`, `$states` the states of the aspect that
/// are kept, `$start(x)` is the interval of a time. Facts count up to the first of those states, and from there on what
/// each added to the one before: whoever is spoken of little has no such state but the newest.
const POINTS: &str = "WITH states AS (SELECT * FROM $states), \
     cut AS (SELECT min(begin_block) AS block FROM states), \
     said AS ( \
         SELECT f.client, trunc(f.value, 60) AS value, f.created_at, \
             CASE WHEN f.revoked_block <= cut.block THEN f.revoked_at END AS revoked_at, \
             CASE WHEN f.end_block <= cut.block THEN (SELECT n.created_at FROM feedback n WHERE n.chain_id = f.chain_id \
                 AND n.deployment = f.deployment AND n.agent_id = f.agent_id AND n.client = f.client \
                 AND n.feedback_index = f.feedback_index AND n.begin_block = f.end_block) END AS superseded_at \
         FROM cut CROSS JOIN LATERAL (SELECT * FROM feedback f WHERE $agent AND f.begin_block <= cut.block AND $aspect \
             OFFSET 0) f), \
     moves AS ( \
         SELECT client, $start(created_at) AS start, value, 1 AS more, value AS told, 1 AS given, 0 AS revoked FROM said \
         UNION ALL SELECT client, $start(revoked_at), -value, -1, NULL, 0, 1 FROM said WHERE revoked_at IS NOT NULL \
         UNION ALL SELECT client, $start(superseded_at), -value, -1, NULL, 0, 0 FROM said \
             WHERE superseded_at IS NOT NULL AND revoked_at IS NULL), \
     clients AS ( \
         SELECT client, start, sum(value) AS value, sum(more) AS more, sum(given) AS given, sum(revoked) AS revoked, \
             sum(told) AS told, min(told) AS least, max(told) AS greatest FROM moves GROUP BY client, start), \
     running AS ( \
         SELECT *, sum(value) OVER own AS total, sum(more) OVER own AS count FROM clients \
         WINDOW own AS (PARTITION BY client ORDER BY start)), \
     voiced AS (SELECT *, CASE WHEN count > 0 THEN div(total * 1e60, count) * 1e-60 ELSE 0 END AS voice FROM running), \
     changed AS ( \
         SELECT *, voice - coalesce(lag(voice) OVER own, 0) AS voice_more, \
             (count > 0)::integer - coalesce((lag(count) OVER own > 0)::integer, 0) AS clients_more FROM voiced \
         WINDOW own AS (PARTITION BY client ORDER BY start)), \
     counted AS ( \
         SELECT start, sum(given) AS given, sum(revoked) AS revoked, sum(told) AS told, min(least) AS least, \
             max(greatest) AS greatest, sum(sum(more)) OVER so_far AS active, sum(sum(value)) OVER so_far AS total, \
             sum(sum(clients_more)) OVER so_far AS clients, sum(sum(voice_more)) OVER so_far AS voices \
         FROM changed GROUP BY start WINDOW so_far AS (ORDER BY start)), \
     ends AS ( \
         SELECT DISTINCT ON ($start(changed_at)) $start(changed_at) AS start, ever_given, ever_revoked, ever_total, \
             given - revoked AS active, total, clients, voices \
         FROM states ORDER BY $start(changed_at), begin_block DESC), \
     first AS (SELECT s.* FROM states s, cut WHERE s.begin_block = cut.block LIMIT 1), \
     extremes AS ( \
         SELECT $start(s.changed_at) AS start, min(s.hour_least) AS least, max(s.hour_greatest) AS greatest \
         FROM states s, first f WHERE s.ever_given > f.ever_given GROUP BY 1), \
     added AS ( \
         SELECT e.*, e.ever_given - coalesce(lag(e.ever_given) OVER so_far, f.ever_given) AS given, \
             e.ever_revoked - coalesce(lag(e.ever_revoked) OVER so_far, f.ever_revoked) AS revoked, \
             e.ever_total - coalesce(lag(e.ever_total) OVER so_far, f.ever_total) AS told, \
             e.active - coalesce(lag(e.active) OVER so_far, f.given - f.revoked) AS more \
         FROM ends e CROSS JOIN first f WINDOW so_far AS (ORDER BY e.start)), \
     points AS ( \
         SELECT start, sum(given) AS given, sum(revoked) AS revoked, sum(told) AS told, min(least) AS least, \
             max(greatest) AS greatest, (array_agg(active ORDER BY part DESC))[1] AS active, \
             (array_agg(total ORDER BY part DESC))[1] AS total, (array_agg(clients ORDER BY part DESC))[1] AS clients, \
             (array_agg(voices ORDER BY part DESC))[1] AS voices \
         FROM (SELECT 1 AS part, * FROM counted \
             UNION ALL SELECT 2, a.start, a.given, a.revoked, a.told, x.least, x.greatest, a.active, a.total, a.clients, \
                 a.voices FROM added a LEFT JOIN extremes x USING (start) \
                 WHERE (a.given, a.revoked, a.more) <> (0, 0, 0)) p \
         GROUP BY start) \
     SELECT start::bigint, given::bigint, revoked::bigint, \
         CASE WHEN given > 0 THEN (div(told * 1e60, given) * 1e-60)::text END, least::text, greatest::text, \
         active::bigint, CASE WHEN active > 0 THEN (div(total * 1e60, active) * 1e-60)::text END, clients::bigint, \
         CASE WHEN clients > 0 THEN (div(voices * 1e60, clients) * 1e-60)::text END FROM points WHERE $within \
     ORDER BY start LIMIT $limit";

/// The states of the aspect of the row `{t}` that the series is made of: the first one that is kept, those that ended an hour,
/// and the newest one, `{t}_then`, which `$standing` joins.
const STATES: &str = "(SELECT x.* FROM (SELECT $key) {t}$standing CROSS JOIN LATERAL ( \
         SELECT $columns FROM standing_version s WHERE $version AND s.ends_hour AND {begun s} \
         UNION ALL SELECT $columns FROM (SELECT * FROM standing_version s WHERE $version AND {begun s} \
             ORDER BY s.begin_block LIMIT 1) s \
         UNION ALL SELECT $columns FROM (SELECT {t}_then.*) s) x WHERE $networks) states";

/// The condition that a version `s` is of that aspect.
const VERSION: &str = "s.chain_id = {t}.chain_id AND s.deployment = {t}.deployment AND s.agent_id = {t}.agent_id \
     AND s.aspect = {t}.aspect";

impl Snapshot {
    /// The intervals in which something was said of an agent, or taken back, in order.
    ///
    /// # Errors
    /// [`QueryError::BadInput`] for an id, a tag or a time that is none, and where there are more points than one answer has.
    pub async fn series(&self, scope: &Scope, question: &SeriesQuestion) -> Result<Vec<SeriesPoint>, QueryError> {
        let agent = id::agent(&question.agent, self.contracts())
            .ok_or_else(|| bad_input("agent", "an agent's id, such as \"167000:42\""))?;
        self.check_derived(scope, "reputationSeries", MILESTONES)?;
        self.check_standings(scope, "reputationSeries")?;
        let mut statement = Statement::by_key();
        let bound = BoundScope::bind(scope, &mut statement);
        let (mut of_agent, mut key) = (bound.of_networks("f"), Vec::new());
        for (column, part) in ["chain_id", "deployment", "agent_id"].iter().zip(agent.iter().flatten()) {
            let part = statement.bind_datum(part);
            of_agent = format!("{of_agent} AND f.{column} = {part}");
            key.push(format!("{part} AS {column}"));
        }
        let aspect = aspect(question.tag1.as_deref())?;
        let bytes = statement.bind(aspect.bytes().to_vec());
        key.push(format!("{bytes}::bytea AS aspect"));
        let is_of_aspect = match aspect {
            Aspect::All | Aspect::Ratings => is_rating!().to_owned(),
            Aspect::Tag(_) => format!("f.aspect = {bytes}::bytea"),
        };
        let alias = statement.alias();
        let states = STATES
            .replace("$key", &key.join(", "))
            .replace("$standing", entity::standing_join(aspect, bound.is_pinned()))
            .replace("$version", VERSION)
            .replace("$columns", COLUMNS)
            .replace("$networks", &bound.of_networks(&alias));
        let (length, before) = question.interval.seconds();
        let mut within = vec!["TRUE".to_owned()];
        for (name, time) in [("since", &question.since), ("until", &question.until)] {
            let Some(time) = time else { continue };
            let time = statement.bind_datum(&value::whole_number(name, SqlType::Integer, &json!(time))?);
            within.push(if name == "since" {
                format!("start + {length} > {time}")
            } else {
                format!("start <= {time}")
            });
        }
        let text = POINTS
            .replace("$states", &states)
            .replace("$agent", &of_agent)
            .replace("$aspect", &is_of_aspect)
            .replace("$within", &within.join(" AND "))
            .replace("$limit", &(MAX_POINTS + 1).to_string());
        let times = ["created_at", "revoked_at", "superseded_at", "changed_at", "s.changed_at"];
        let text = times.iter().fold(text, |text, time| {
            text.replace(&format!("$start({time})"), &format!("({time} - ({time} + {before}) % {length})"))
        });
        statement.push(&expand(&text, &alias, &bound));
        let rows = self.query(&statement).await?;
        if rows.len() > usize::try_from(MAX_POINTS).unwrap_or(usize::MAX) {
            let many =
                format!("more than {MAX_POINTS} points: ask for longer intervals, or part of the time with `since`");
            return Err(QueryError::BadInput(many));
        }
        self.count_rows(rows.len())?;
        rows.iter().map(|row| Ok(read(row)?)).collect()
    }
}

/// The condition that feedback `f` is a rating, or has a first tag.
pub(super) fn aspect_condition(tag1: Option<&str>, statement: &mut Statement) -> Result<String, QueryError> {
    Ok(match aspect(tag1)? {
        Aspect::All | Aspect::Ratings => is_rating!().to_owned(),
        tag => format!("f.aspect = {}::bytea", statement.bind(tag.bytes().to_vec())),
    })
}

/// Ratings, or a first tag.
pub(super) fn aspect(tag1: Option<&str>) -> Result<Aspect, QueryError> {
    Ok(match tag1.filter(|tag1| !tag1.is_empty()) {
        None => Aspect::Ratings,
        Some(tag1) => Aspect::of(&Tag::Text(Text::from(value::text("tag1", &json!(tag1))?.as_str()))),
    })
}

fn read(row: &tokio_postgres::Row) -> Result<SeriesPoint, tokio_postgres::Error> {
    Ok(SeriesPoint {
        start: row.try_get(0)?,
        given: row.try_get(1)?,
        revoked: row.try_get(2)?,
        given_average: row.try_get(3)?,
        given_min: row.try_get(4)?,
        given_max: row.try_get(5)?,
        active: row.try_get(6)?,
        average: row.try_get(7)?,
        client_count: row.try_get(8)?,
        per_client_average: row.try_get(9)?,
    })
}
