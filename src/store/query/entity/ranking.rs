//! Agents in the order of what is said of them.
//!
//! The order of scores is held as of every block: by the current standings, where they have not changed since, and by what
//! scores were ([`SCORED_THEN`]). Any other order as of an earlier block is of all agents at once: who is on the page is
//! found by one pass over the facts of those that changed since ([`RANKED_THEN`]), and what the page tells is then read
//! for its rows alone.

use std::sync::LazyLock;

use super::reputation::{Joins, RANKED, agent_relation, as_of, computed, computed_of_sums, is_of_any, tag_key};
use super::{Entity, Field, Life, Template, agent_id_text, cursor_field, finality_field};
use crate::store::query::id;

/// An agent in a leaderboard, which is of one aspect.
pub(super) static LEADERBOARD_ROW: LazyLock<Entity> =
    LazyLock::new(|| row(told_of_row(), *CHANGED, Some(RANKED.template("{t}_then.given > {t}_then.revoked"))));

/// The same as of an earlier block, in the order of what scores were then.
pub(super) static SCORED_THEN: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = told_of_row();
    for field in fields.iter_mut().filter(|field| field.name == "score") {
        field.sql = Template::plain("{t}.score");
    }
    Entity {
        table: Some(
            "(SELECT s.chain_id, s.deployment, s.agent_id, s.aspect, s.score, s.begin_block, NULL::bigint AS end_block \
                 FROM standing s WHERE s.aspect <> '' AND s.given > s.revoked \
             UNION ALL SELECT v.chain_id, v.deployment, v.agent_id, v.aspect, v.score, v.begin_block, v.end_block \
                 FROM ranking_version v)",
        ),
        life: Life::Version,
        derivation: 3,
        ..row(fields, *CHANGED, None)
    }
});

static CHANGED: LazyLock<Template> = LazyLock::new(|| RANKED.template("{t}_then.begin_block"));

fn told_of_row() -> Vec<Field> {
    let mut fields = told(&RANKED, &RANKED, ["{t}_then.clients", "{t}_then.voice_average"]);
    fields.extend([finality_field(*CHANGED), cursor_field()]);
    fields
}

/// The same, as of an earlier block and of the scope's aspect, where only who is on a page is wanted: with the agent's id.
pub(super) static RANKED_THEN: LazyLock<Entity> = LazyLock::new(|| {
    let mut fields = told(&SUMS, &VOICES, ["{t}_voices.clients", "{t}_voices.voice_average"]);
    fields.push(Field::id(agent_id_text!(), "The agent's id."));
    row(fields, STANDING_THEN.template("{t}_standing.begin_block"), Some(SUMS.template("{t}_then.active > 0")))
});

/// The whole standing of a row, beside what is counted of all: only who asks for its last change needs it.
static STANDING_THEN: LazyLock<Joins> = LazyLock::new(|| Joins {
    newest: " CROSS JOIN LATERAL (SELECT {t}.*) {t}_standing".to_owned(),
    as_of: as_of("standing", "{t}.aspect", Some(is_of_any!("{k}.aspect"))),
});

/// What is counted of all agents of the aspect.
static SUMS: LazyLock<Joins> = LazyLock::new(|| {
    of_all(
        "then",
        "s.given, s.revoked, s.total, s.positive, s.negative, s.last_at",
        "SELECT k.chain_id, k.deployment, k.agent_id, count(*) FILTER (WHERE f.stands) AS given, 0::bigint AS revoked, \
             coalesce(sum(f.value) FILTER (WHERE f.stands), 0) AS total, \
             count(*) FILTER (WHERE f.stands AND f.is_rating AND f.value >= 80) AS positive, \
             count(*) FILTER (WHERE f.stands AND f.is_rating AND f.value < 50) AS negative, \
             max(f.created_at) AS last_at FROM $facts GROUP BY 1, 2, 3",
        &computed_of_sums("{aspect}"),
    )
});

/// Their clients' voices too.
static VOICES: LazyLock<Joins> = LazyLock::new(|| {
    of_all(
        "voices",
        "s.given, s.revoked, s.total, s.clients, s.voices",
        "SELECT v.chain_id, v.deployment, v.agent_id, sum(v.given)::bigint AS given, 0::bigint AS revoked, \
             sum(v.total) AS total, count(*) AS clients, sum(div(v.total * 1e60, v.given) * 1e-60) AS voices \
         FROM (SELECT k.chain_id, k.deployment, k.agent_id, f.client, count(*) AS given, sum(f.value) AS total \
             FROM $facts AND f.stands GROUP BY 1, 2, 3, 4) v GROUP BY 1, 2, 3",
        &computed("{aspect}"),
    )
});

/// The join to what all agents' standings were: as they are, where they have not changed since; else as a version has it;
/// else counted from the facts.
fn of_all(alias: &str, columns: &str, counted: &str, computed: &str) -> Joins {
    let facts = concat!(
        "standing k CROSS JOIN LATERAL (SELECT f.client, f.created_at, trunc(f.value, 60) AS value, ",
        "{live f} AND NOT {reached f.revoked_block} AS stands, ",
        crate::store::aspect::is_rating!(),
        " AS is_rating FROM feedback f WHERE f.chain_id = k.chain_id AND f.deployment = k.deployment \
             AND f.agent_id = k.agent_id AND {begun f} AND ",
        is_of_any!("{aspect}"),
        ") f WHERE {networks k} AND k.aspect = {aspect} AND NOT {begun k} AND k.created_block <= {block k} \
         AND NOT EXISTS (SELECT FROM standing_version s WHERE s.chain_id = k.chain_id AND s.deployment = k.deployment \
             AND s.agent_id = k.agent_id AND s.aspect = {aspect} AND {live s})"
    );
    let counted = counted.replace("$facts", facts);
    let key = "s.chain_id, s.deployment, s.agent_id";
    let as_of = format!(
        " JOIN (SELECT x.*, {computed} FROM ( \
             SELECT {key}, {columns} FROM standing s WHERE {{networks s}} AND s.aspect = {{aspect}} AND {{begun s}} \
             UNION ALL SELECT {key}, {columns} FROM standing_version s \
                 WHERE {{networks s}} AND s.aspect = {{aspect}} AND {{live s}} \
             UNION ALL {counted}) x) {{t}}_{alias} ON {{t}}_{alias}.chain_id = {{t}}.chain_id \
         AND {{t}}_{alias}.deployment = {{t}}.deployment AND {{t}}_{alias}.agent_id = {{t}}.agent_id"
    );
    Joins { newest: format!(" CROSS JOIN LATERAL (SELECT {{t}}.*) {{t}}_{alias}"), as_of }
}

/// The fields that are counted; `clients` and `voice_average` are columns of a join of their own.
fn told(sums: &'static Joins, voices: &'static Joins, [clients, voice_average]: [&'static str; 2]) -> Vec<Field> {
    vec![
        Field::bytes(
            "aspect",
            "{t}.aspect",
            "What the leaderboard is of: 0x01 for ratings, else the first 16 bytes of the tag's keccak256.",
        ),
        sums.field(Field::integer(
            "active",
            "{t}_then.active",
            "Feedback that stands: ratings, or of the leaderboard's tag.",
        )),
        voices.field(Field::integer("clientCount", clients, "Clients who gave it.")),
        sums.field(Field::decimal("average", "{t}_then.average", "Its average.")),
        voices.field(Field::decimal("perClientAverage", voice_average, "The average of the clients' averages.")),
        sums.field(Field::decimal(
            "score",
            "{t}_then.score",
            "Of ratings: the confidence score, their average drawn toward 50 while there are fewer than ten. Of a tag: the \
             average.",
        )),
        sums.field(Field::integer("positive", "{t}_then.positive", "Ratings of at least 80 among it.")),
        sums.field(Field::integer("negative", "{t}_then.negative", "Ratings below 50 among it.")),
        sums.field(Field::integer(
            "lastAt",
            "{t}_then.last_at",
            "When such feedback was last given, in seconds since 1970.",
        )),
    ]
}

fn row(fields: Vec<Field>, changed: Template, only: Option<Template>) -> Entity {
    Entity {
        name: "LeaderboardRow",
        doc: "An agent in a leaderboard.",
        singular: "leaderboardRow",
        plurals: &["leaderboard"],
        fields,
        relations: vec![agent_relation()],
        derivation: 1,
        table: Some("standing"),
        life: Life::Since("created_block"),
        only,
        key: tag_key(),
        parse_id: id::tag_reputation,
        changed,
        changing: &["active", "clientCount", "average", "perClientAverage", "score", "positive", "negative", "lastAt"],
    }
}
