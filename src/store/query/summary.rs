//! Reputation of one agent, summed up as its contract does it, and exactly.
//!
//! The database adds up exact decimals, grouped by their number of decimal places; [`contract_summary`] then does what
//! `getSummary` does with 256-bit integers, truncation and wrap-around included, so that both agree to the last bit.

use alloy::primitives::{I256, U256, keccak256};
use serde_json::json;

use super::error::{QueryError, bad_input};
use super::id::{self, ParsedId};
use super::pin::{BoundScope, Scope};
use super::snapshot::Snapshot;
use super::sql::{Datum, SqlType, Statement};
use super::{entity, source, value};
use crate::event::{Tag, Text};
use crate::store::aspect::Aspect;

/// Decimal places to which the contract scales every value before it adds them up.
const SCALE: u8 = 18;

/// The derivation that keeps standings.
const STANDINGS: i16 = 1;

/// The longest half-life: a century.
const MAX_HALF_LIFE_HOURS: i64 = 1_000_000;

/// Which feedback is summed up.
#[derive(Debug, Clone, Default)]
pub struct SummaryQuestion {
    /// The agent's id.
    pub agent: String,
    /// Only of these clients, as hex; one that is named twice counts twice, an empty list gives nothing.
    pub clients: Option<Vec<String>>,
    /// Only with this first tag; nothing or empty: with any.
    pub tag1: Option<String>,
    /// Only with this second tag; nothing or empty: with any.
    pub tag2: Option<String>,
    /// Only given at or after this time, in seconds since 1970.
    pub since: Option<String>,
    /// Only given at or before this time, in seconds since 1970.
    pub until: Option<String>,
    /// After how many hours feedback counts half in the decayed average; nothing: no such average is asked for.
    pub half_life_hours: Option<i64>,
}

/// What the feedback sums up to. Decimals are as Postgres writes them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// How much un-revoked feedback was counted.
    pub count: i64,
    /// The average as the contract computes it, in units of 10^-`summary_value_decimals`.
    pub summary_value: i128,
    /// The most frequent number of decimal places, the smallest of several.
    pub summary_value_decimals: u8,
    /// The average, to sixty decimal places.
    pub average: Option<String>,
    /// The average of the clients' averages: one voice per client.
    pub per_client_average: Option<String>,
    /// How many clients gave it.
    pub client_count: i64,
    /// The least value.
    pub min: Option<String>,
    /// The greatest value.
    pub max: Option<String>,
    /// The average in which feedback counts half as much for each half-life that it is older; in double precision.
    pub decayed_average: Option<f64>,
}

/// Feedback with one number of decimal places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecimalsGroup {
    /// The decimal places, 0 to 18.
    pub decimals: u8,
    /// How much feedback has them.
    pub count: u64,
    /// The sum of its values in units of 10^-18.
    pub sum: I256,
}

/// What `getSummary` of the reputation registry returns: count, summaryValue, summaryValueDecimals.
///
/// The sum over 18 decimal places is divided by the count, then scaled down to the most frequent number of places (the
/// smallest on a tie); both truncate toward zero. The contract's last cast to int128 is unchecked: it wraps.
#[must_use]
pub fn contract_summary(groups: &[DecimalsGroup]) -> (u64, i128, u8) {
    let count: u64 = groups.iter().map(|group| group.count).sum();
    let frequent = groups
        .iter()
        .max_by(|one, other| one.count.cmp(&other.count).then(other.decimals.cmp(&one.decimals)))
        .filter(|_| count > 0);
    let Some(frequent) = frequent else { return (0, 0, 0) };
    let sum = groups.iter().fold(I256::ZERO, |sum, group| sum.wrapping_add(group.sum));
    let divisor = |number: u128| I256::try_from(number).expect("128 bits fit into 256");
    let average = sum.wrapping_div(divisor(count.into()));
    let places = SCALE.saturating_sub(frequent.decimals);
    let value = average.wrapping_div(divisor(10_u128.pow(places.into())));
    let [low, high, ..] = value.into_raw().into_limbs();
    let wrapped = (u128::from(high) << 64) | u128::from(low);
    (count, wrapped.cast_signed(), frequent.decimals)
}

impl Snapshot {
    /// Sums up the feedback about an agent.
    ///
    /// # Errors
    /// [`QueryError::BadInput`] for an id, a client or a time that is none.
    pub async fn summary(&self, scope: &Scope, question: &SummaryQuestion) -> Result<Summary, QueryError> {
        let agent = id::agent(&question.agent, self.contracts())
            .ok_or_else(|| bad_input("agent", "an agent's id, such as \"167000:42\""))?;
        if let Some(aspect) = question.kept_aspect()?
            && self.check_derived(scope, "reputationSummary", STANDINGS).is_ok()
            && self.check_standings(scope, "reputationSummary").is_ok()
            && let Some(summary) = self.kept_summary(scope, &agent, aspect).await?
        {
            return Ok(summary);
        }
        let mut statement = Statement::default();
        let bound = BoundScope::bind(scope, &mut statement);
        let mut conditions =
            vec![bound.of_networks("f"), bound.live("f"), format!("NOT {}", bound.reached("f.revoked_block"))];
        for (column, part) in ["chain_id", "deployment", "agent_id"].iter().zip(agent.iter().flatten()) {
            conditions.push(format!("f.{column} = {}", statement.bind_datum(part)));
        }
        for (tag, wanted) in [("tag1", &question.tag1), ("tag2", &question.tag2)] {
            if let Some(wanted) = wanted.as_deref().filter(|wanted| !wanted.is_empty()) {
                let wanted = value::text(tag, &json!(wanted))?;
                // The contract compares bytes: an unreadable tag's readable form is another tag.
                let hash = keccak256(wanted.as_bytes()).to_vec();
                let text = format!("f.{tag} = {}::text AND f.{tag}_raw IS NULL", statement.bind(wanted));
                conditions.push(match tag {
                    // Of some first tags only the hash was told.
                    "tag1" => {
                        format!("(({text} AND f.tag1_hash IS NULL) OR f.tag1_hash = {}::bytea)", statement.bind(hash))
                    }
                    _ => text,
                });
            }
        }
        for (name, sign, bound_at) in [("since", ">=", &question.since), ("until", "<=", &question.until)] {
            if let Some(time) = bound_at {
                let time = value::whole_number(name, SqlType::Integer, &json!(time))?;
                conditions.push(format!("f.created_at {sign} {}", statement.bind_datum(&time)));
            }
        }
        let (clients, times) = match &question.clients {
            None => (String::new(), "1"),
            Some(clients) => (asked_clients(clients, &mut statement)?, "asked.times"),
        };
        let half_life = match question.half_life_hours {
            None => "NULL::bigint".to_owned(),
            Some(hours) if (1..=MAX_HALF_LIFE_HOURS).contains(&hours) => format!("{}::bigint", statement.bind(hours)),
            Some(_) => return Err(bad_input("halfLifeHours", "hours, from 1 to 1000000")),
        };
        statement.push(&text_of(&clients, times, &half_life, &conditions.join(" AND ")));
        let rows = self.query(&statement).await?;
        summary_of(&rows)
    }
}

impl SummaryQuestion {
    /// The aspect of which all is asked, and nothing else: what that sums up to is kept.
    fn kept_aspect(&self) -> Result<Option<Aspect>, QueryError> {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let is_part =
            self.clients.is_some() || text(&self.tag2).is_some() || self.since.is_some() || self.until.is_some();
        if is_part || self.half_life_hours.is_some() {
            return Ok(None);
        }
        Ok(Some(match text(&self.tag1) {
            None => Aspect::All,
            Some(tag1) => Aspect::of(&Tag::Text(Text::from(value::text("tag1", &json!(tag1))?.as_str()))),
        }))
    }
}

fn asked_clients(clients: &[String], statement: &mut Statement) -> Result<String, QueryError> {
    let clients: Vec<Datum> = clients
        .iter()
        .map(|client| value::bytes("clients", &json!(client)).map(Datum::Bytes))
        .collect::<Result<_, _>>()?;
    let clients = statement.bind_array(SqlType::Bytes, clients.iter());
    Ok(format!(
        " JOIN (SELECT client, count(*) AS times FROM unnest({clients}) AS listed (client) GROUP BY client) AS asked \
         USING (client)"
    ))
}

/// One row for each number of decimal places; what is of all feedback stands in each.
fn text_of(clients: &str, times: &str, half_life_hours: &str, conditions: &str) -> String {
    format!(
        "WITH given AS MATERIALIZED (SELECT client, f.value_decimals, f.value, f.created_at, {times} AS times \
         FROM feedback f{clients} WHERE {conditions}), \
         weighted AS (SELECT value::float8 AS value, times * greatest(1e-300, power(0.5::float8, \
             least(990, ((SELECT max(created_at) FROM given) - created_at) / (3600.0::float8 * {half_life_hours})))) AS weight \
             FROM given), \
         voices AS (SELECT div(sum(trunc(value, 60)) * 1e60, count(*)) * 1e-60 AS mean FROM given GROUP BY client) \
         SELECT value_decimals::bigint, sum(times)::bigint, trunc(sum(value * times) * 1000000000000000000)::text, \
         min(value)::text, max(value)::text, \
         (SELECT div(sum(trunc(value, 60) * times) * 1e60, sum(times)) * 1e-60 FROM given)::text, \
         (SELECT count(*) FROM voices), (SELECT div(sum(mean) * 1e60, count(*)) * 1e-60 FROM voices)::text, \
         (SELECT min(value) FROM given)::text, (SELECT max(value) FROM given)::text, \
         (SELECT sum(value * weight) / sum(weight) FROM weighted) \
         FROM given GROUP BY value_decimals ORDER BY value_decimals"
    )
}

fn summary_of(rows: &[tokio_postgres::Row]) -> Result<Summary, QueryError> {
    let mut groups = Vec::with_capacity(rows.len());
    for row in rows {
        let (decimals, count, sum): (i64, i64, String) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        groups.push(DecimalsGroup {
            decimals: u8::try_from(decimals).unwrap_or(SCALE),
            count: count.unsigned_abs(),
            sum: wrapped(&sum),
        });
    }
    let Some(first) = rows.first() else { return Ok(Summary::default()) };
    let (count, summary_value, summary_value_decimals) = contract_summary(&groups);
    Ok(Summary {
        count: i64::try_from(count).unwrap_or(i64::MAX),
        summary_value,
        summary_value_decimals,
        average: first.try_get(5)?,
        client_count: first.try_get(6)?,
        per_client_average: first.try_get(7)?,
        min: first.try_get(8)?,
        max: first.try_get(9)?,
        decayed_average: first.try_get(10)?,
    })
}

/// The least or the greatest value that stands of the aspect of `{t}`: tag by tag, because an index holds the values of
/// each. Another one holds those that stand no longer, which matter as of an earlier block.
fn extreme(of_all: &str, of_one: &str, is_pinned: bool) -> String {
    let told = |condition: &str| {
        format!(
            "(SELECT {of_one}(f.value) FROM feedback f WHERE f.chain_id = s.chain_id AND f.deployment = s.deployment \
             AND f.agent_id = s.agent_id AND f.aspect = s.aspect AND {condition})"
        )
    };
    let mut values = vec![told("f.end_block IS NULL AND f.revoked_block IS NULL AND {begun f}")];
    if is_pinned {
        let fell = "(f.end_block IS NOT NULL OR f.revoked_block IS NOT NULL)";
        values.push(told(&format!("{fell} AND {{live f}} AND NOT {{reached f.revoked_block}}")));
    }
    format!(
        "(SELECT {of_one}({of_all}({})) FROM standing s \
         WHERE s.chain_id = {{t}}.chain_id AND s.deployment = {{t}}.deployment AND s.agent_id = {{t}}.agent_id \
         AND length(s.aspect) = 16 AND ({{t}}.aspect = '' OR s.aspect = {{t}}.aspect))::text",
        values.join(", ")
    )
}

impl Snapshot {
    /// Sums up an aspect by its standing; nothing where a value has more decimal places than the contract counts with.
    async fn kept_summary(
        &self,
        scope: &Scope,
        agent: &ParsedId,
        aspect: Aspect,
    ) -> Result<Option<Summary>, QueryError> {
        let mut statement = Statement::by_key();
        let bound = BoundScope::bind(scope, &mut statement);
        let (alias, columns) = (statement.alias(), ["chain_id", "deployment", "agent_id"]);
        let mut key: Vec<String> = Vec::new();
        for (column, part) in columns.iter().zip(agent.iter().flatten()) {
            key.push(format!("{} AS {column}", statement.bind_datum(part)));
        }
        key.push(format!("{}::bytea AS aspect", statement.bind(aspect.bytes().to_vec())));
        let select = format!(
            "SELECT {{t}}_then.counts, trunc({{t}}_then.total * 1e18)::text, {{t}}_then.average::text, {{t}}_then.clients, \
             {{t}}_then.voice_average::text, {}, {} FROM (SELECT {}) {{t}}{} WHERE {}",
            extreme("LEAST", "min", bound.is_pinned()),
            extreme("GREATEST", "max", bound.is_pinned()),
            key.join(", "),
            entity::standing_join(aspect, bound.is_pinned()),
            bound.of_networks(&alias)
        );
        statement.push(&source::expand(&select, &alias, &bound));
        let rows = self.query(&statement).await?;
        let Some(row) = rows.first() else { return Ok(Some(Summary::default())) };
        let counts: Vec<i64> = row.try_get::<_, Option<_>>(0)?.unwrap_or_default();
        if counts.len() > usize::from(SCALE) + 1 {
            return Ok(None);
        }
        let sum = row.try_get::<_, Option<String>>(1)?.map_or(I256::ZERO, |sum| wrapped(&sum));
        let (count, summary_value, summary_value_decimals) = contract_summary(&groups_of(&counts, sum));
        Ok(Some(Summary {
            count: i64::try_from(count).unwrap_or(i64::MAX),
            summary_value,
            summary_value_decimals,
            average: row.try_get(2)?,
            client_count: row.try_get::<_, Option<_>>(3)?.unwrap_or_default(),
            per_client_average: row.try_get(4)?,
            min: row.try_get(5)?,
            max: row.try_get(6)?,
            decayed_average: None,
        }))
    }
}

/// Groups by their number of decimal places; the contract adds up all sums, so the first one may have it all.
fn groups_of(counts: &[i64], mut sum: I256) -> Vec<DecimalsGroup> {
    let groups = (0_u8..).zip(counts).filter(|(_, count)| **count > 0);
    groups
        .map(|(decimals, count)| DecimalsGroup { decimals, count: count.unsigned_abs(), sum: std::mem::take(&mut sum) })
        .collect()
}

/// A whole number of any size as the 256 bits that a contract keeps of it. Values of earlier generations can be that large.
fn wrapped(number: &str) -> I256 {
    let (is_negative, digits) = number.strip_prefix('-').map_or((false, number), |digits| (true, digits));
    let magnitude = digits.bytes().fold(U256::ZERO, |sum, digit| {
        sum.wrapping_mul(U256::from(10)).wrapping_add(U256::from(digit.wrapping_sub(b'0')))
    });
    let value = I256::from_raw(magnitude);
    if is_negative { value.wrapping_neg() } else { value }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::I256;

    use super::{DecimalsGroup, contract_summary};

    /// Groups of values as (value, decimals), the way the database groups them.
    fn groups(values: &[(i128, u8)]) -> Vec<DecimalsGroup> {
        let mut groups: Vec<DecimalsGroup> = Vec::new();
        for (value, decimals) in values {
            let scale = I256::try_from(10_u128.pow(u32::from(18 - decimals))).expect("it fits");
            let scaled = I256::try_from(*value).expect("it fits") * scale;
            match groups.iter_mut().find(|group| group.decimals == *decimals) {
                Some(group) => {
                    group.count += 1;
                    group.sum += scaled;
                }
                None => groups.push(DecimalsGroup { decimals: *decimals, count: 1, sum: scaled }),
            }
        }
        groups
    }

    #[test]
    fn the_worked_examples_of_the_contract() {
        assert_eq!(contract_summary(&[]), (0, 0, 0));
        assert_eq!(contract_summary(&groups(&[(9977, 2), (87, 0)])), (2, 93, 0));
        assert_eq!(contract_summary(&groups(&[(9977, 2), (9977, 2)])), (2, 9977, 2));
    }

    #[test]
    fn a_huge_value_wraps_as_in_the_contract() {
        let huge = 100_000_000_000_000_000_000_000_000_000_000_000_000_i128;
        let wrapped = -886_533_759_346_574_857_640_019_685_980_940_968_i128;
        assert_eq!(contract_summary(&groups(&[(huge, 0), (5, 18), (5, 18)])), (3, wrapped, 18));
    }

    #[test]
    fn truncation_is_toward_zero_both_times() {
        assert_eq!(contract_summary(&groups(&[(-5, 0), (0, 0)])), (2, -2, 0));
        assert_eq!(contract_summary(&groups(&[(-199, 2), (0, 0), (0, 0)])), (3, 0, 0));
    }

    #[test]
    fn the_smallest_decimals_win_a_tie() {
        assert_eq!(contract_summary(&groups(&[(1, 0), (100, 2), (1000, 3)])), (3, 1, 0));
        assert_eq!(contract_summary(&groups(&[(100, 2), (1000, 3), (1000, 3), (100, 2), (1, 0)])), (5, 100, 2));
    }
}
