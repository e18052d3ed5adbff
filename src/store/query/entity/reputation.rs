//! What the feedback about an agent sums up to: of the agent, of each first tag, and ranked.
//!
//! The newest state is the row of `standing`. As of an earlier block it is that row where it has not changed since, else
//! the version that held then, else the newest milestone with the facts since then, else counted from all facts: the first
//! of the four that there is.

use std::sync::LazyLock;

use super::trust::{of_payments, of_trust};
use super::{
    Cardinality, Entity, Field, KeyPart, Life, Relation, Template, agent_id_text, agent_key, agent_links, cursor_field,
    finality_field,
};
use crate::store::aspect::{Aspect, is_of_tag, is_rating};
use crate::store::query::id;
use crate::store::query::sql::SqlType;
use crate::store::standing::{COLUMNS, advanced, counted};

/// What a standing's other columns are computed by, over the row `x` of an aspect: as in the table.
pub(super) fn computed(aspect: &str) -> String {
    format!(
        "{}, CASE WHEN x.clients > 0 THEN div(x.voices * 1e60, x.clients) * 1e-60 END AS voice_average",
        computed_of_sums(aspect)
    )
}

/// Those of them that do not need the clients' voices.
pub(super) fn computed_of_sums(aspect: &str) -> String {
    format!(
        "x.given - x.revoked AS active, \
         CASE WHEN x.given > x.revoked THEN div(x.total * 1e60, x.given - x.revoked) * 1e-60 END AS average, \
         CASE WHEN {aspect} = '\\x01' AND x.given - x.revoked < 10 THEN x.total * 0.1 + 5 * (10 - (x.given - x.revoked)) \
             WHEN x.given > x.revoked THEN div(x.total * 1e60, x.given - x.revoked) * 1e-60 END AS score"
    )
}

const OF_AGENT: &str = "s.chain_id = {t}.chain_id AND s.deployment = {t}.deployment AND s.agent_id = {t}.agent_id";

/// The standing of an agent in an aspect as of an earlier block; with the condition that feedback `f` is of the aspect.
pub(super) fn as_of(alias: &str, aspect: &str, is_of_aspect: Option<&str>) -> String {
    let of = format!("{OF_AGENT} AND s.aspect = {aspect}");
    let [advanced, counted] =
        [advanced(aspect, is_of_aspect), counted(is_of_aspect)].map(|text| text.replace("{k}", "{t}"));
    let computed = computed(aspect);
    format!(
        " LEFT JOIN LATERAL (SELECT x.*, {computed} FROM ( \
             SELECT {COLUMNS} FROM standing s WHERE {of} AND {{begun s}} \
             UNION ALL SELECT {COLUMNS} FROM (SELECT * FROM standing_version s WHERE {of} AND {{begun s}} \
                 ORDER BY s.begin_block DESC LIMIT 1) s WHERE {{live s}} \
             UNION ALL SELECT {COLUMNS} FROM ({advanced}) s \
             UNION ALL SELECT {COLUMNS} FROM ({counted}) s LIMIT 1) x) {{t}}_{alias} ON TRUE"
    )
}

/// The standing of an agent in an aspect, if it has one.
fn newest(alias: &str, aspect: &str) -> String {
    format!(
        " LEFT JOIN standing {{t}}_{alias} ON {{t}}_{alias}.chain_id = {{t}}.chain_id \
         AND {{t}}_{alias}.deployment = {{t}}.deployment AND {{t}}_{alias}.agent_id = {{t}}.agent_id \
         AND {{t}}_{alias}.aspect = {aspect}"
    )
}

/// The condition that feedback `f` is of an aspect that is no longer than one of a tag.
macro_rules! is_of_any {
    ($aspect:literal) => {
        concat!("((", $aspect, " = '\\x01' AND ", $crate::store::aspect::is_rating!(), ") OR f.aspect = ", $aspect, ")")
    };
}
pub(super) use is_of_any;

/// The joins of an agent to one of its standings: of the newest state, and as of an earlier block.
pub(super) struct Joins {
    pub(super) newest: String,
    pub(super) as_of: String,
}

static ALL: LazyLock<Joins> = LazyLock::new(|| Joins { newest: newest("all", "''"), as_of: as_of("all", "''", None) });

static RATINGS: LazyLock<Joins> = LazyLock::new(|| Joins {
    newest: newest("ratings", "'\\x01'"),
    as_of: as_of("ratings", "'\\x01'", Some(is_rating!())),
});

/// The row itself, and as of an earlier block what it was.
static OF_ROW: LazyLock<Joins> = LazyLock::new(|| Joins {
    newest: " CROSS JOIN LATERAL (SELECT {t}.*) {t}_then".to_owned(),
    as_of: as_of("then", "{t}.aspect", Some(is_of_tag!())),
});

/// As [`OF_ROW`], of ratings or of a tag.
pub(super) static RANKED: LazyLock<Joins> = LazyLock::new(|| Joins {
    newest: OF_ROW.newest.clone(),
    as_of: as_of("then", "{t}.aspect", Some(is_of_any!("{k}.aspect"))),
});

/// Joins a row that names an agent and an aspect, `{t}`, to that standing, `{t}_then`, if there is one.
pub(in crate::store::query) fn standing_join(aspect: Aspect, is_pinned: bool) -> &'static str {
    static ANY_NEWEST: LazyLock<String> = LazyLock::new(|| newest("then", "{t}.aspect"));
    static ALL_AS_OF: LazyLock<String> = LazyLock::new(|| as_of("then", "{t}.aspect", None));
    match (is_pinned, aspect) {
        (false, _) => &ANY_NEWEST,
        (true, Aspect::All) => &ALL_AS_OF,
        (true, Aspect::Tag(_)) => &OF_ROW.as_of,
        (true, Aspect::Ratings) => &RANKED.as_of,
    }
}

impl Joins {
    pub(super) fn field(&'static self, field: Field) -> Field {
        field.joined_as_of(&self.newest, &self.as_of)
    }

    pub(super) fn template(&'static self, sql: &'static str) -> Template {
        Template { latest: sql, join: Some(&self.newest), pinned: None, pinned_join: Some(&self.as_of) }
    }
}

/// Feedback `f` about the agent of `{t}` that stands now, and was given by the block that is read.
macro_rules! stands {
    () => {
        "FROM feedback f WHERE f.chain_id = {t}.chain_id AND f.deployment = {t}.deployment \
         AND f.agent_id = {t}.agent_id AND f.end_block IS NULL AND f.revoked_block IS NULL AND {begun f} AND "
    };
}

pub(super) use stands;

/// Feedback `f` about the agent of `{t}` that stood at an earlier block and no longer does: an index has what fell.
macro_rules! fell {
    () => {
        "FROM feedback f WHERE f.chain_id = {t}.chain_id AND f.deployment = {t}.deployment \
         AND f.agent_id = {t}.agent_id AND (f.end_block IS NOT NULL OR f.revoked_block IS NOT NULL) \
         AND {live f} AND NOT {reached f.revoked_block} AND "
    };
}

pub(super) use fell;

/// Feedback `f` about the agent of `{t}` that stands at the block that is read.
macro_rules! stood {
    () => {
        "FROM feedback f WHERE f.chain_id = {t}.chain_id AND f.deployment = {t}.deployment \
         AND f.agent_id = {t}.agent_id AND {live f} AND NOT {reached f.revoked_block} AND "
    };
}

/// The least or greatest rating: of one tag, then of the other, so that an index tells both.
macro_rules! rating_extreme {
    ($of_all:literal, $of_one:literal, $($feedback:expr),+) => {
        concat!(
            $of_all,
            "(NULL"
            $(, ", (SELECT ", $of_one, "(f.value) ", $feedback, is_rating!(),
                " AND f.aspect = '\\xc5d2460186f7233c927e7db2dcc703c0'), (SELECT ", $of_one, "(f.value) ", $feedback,
                is_rating!(), " AND f.aspect = '\\xd6be4ef8f6e81499fcacb6176a8acae1')")+,
            ")"
        )
    };
}

/// The least or greatest value of a tag.
macro_rules! tag_extreme {
    ($of_all:literal, $of_one:literal, $($feedback:expr),+) => {
        concat!(
            $of_all,
            "(NULL"
            $(, ", (SELECT ", $of_one, "(f.value) ", $feedback, "f.aspect = {t}.aspect)")+,
            ")"
        )
    };
}

/// An agent's reputation.
pub(super) static AGENT_REPUTATION: LazyLock<Entity> = LazyLock::new(|| {
    let changed = ALL.template("COALESCE({t}_all.begin_block, {t}.created_block)");
    let mut fields = vec![
        Field::id(agent_id_text!(), "The agent's id."),
        Field::numeric("agentId", "{t}.agent_id", "The agent's token id."),
    ];
    fields.extend(of_all_feedback());
    fields.extend(of_ratings());
    fields.extend(of_trust().into_iter().map(|field| RATINGS.field(field)));
    fields.extend(of_payments());
    fields.extend([finality_field(changed), cursor_field()]);
    Entity {
        name: "AgentReputation",
        doc: "What the feedback about an agent sums up to. Grades are of its ratings only: feedback whose first tag is \
              empty or `starred`, with a value from 0 to 100.",
        singular: "agentReputation",
        plurals: &["agentReputations"],
        fields,
        relations: vec![agent_relation()],
        derivation: 1,
        table: Some("agent"),
        life: Life::Version,
        only: None,
        key: agent_key(),
        parse_id: id::agent,
        changed,
        changing: &[
            "given",
            "revoked",
            "active",
            "responses",
            "clientCount",
            "lastAt",
            "ratings",
            "raters",
            "average",
            "perClientAverage",
            "min",
            "max",
            "lastRating",
            "positive",
            "negative",
            "confidenceScore",
            "trustLevel",
            "trustReason",
            "payments",
            "failedPayments",
            "paymentSuccess",
            "lastPaymentAt",
        ],
    }
});

fn of_all_feedback() -> Vec<Field> {
    vec![
        Field::integer("given", "COALESCE({t}_all.given, 0)", "Feedback of any kind, revoked or not."),
        Field::integer("revoked", "COALESCE({t}_all.revoked, 0)", "How much of it was revoked."),
        Field::integer("active", "COALESCE({t}_all.active, 0)", "How much of it stands."),
        Field::integer("responses", "COALESCE({t}_all.responses, 0)", "Responses to feedback about the agent."),
        Field::integer("clientCount", "COALESCE({t}_all.clients, 0)", "Clients whose feedback of any kind stands."),
        Field::integer(
            "lastAt",
            "NULLIF({t}_all.last_at, 0)",
            "When feedback was last given, in seconds since 1970; null when there never was any.",
        )
        .nullable(),
    ]
    .into_iter()
    .map(|field| ALL.field(field))
    .collect()
}

fn of_ratings() -> Vec<Field> {
    let kept = vec![
        Field::integer("ratings", "COALESCE({t}_ratings.active, 0)", "Ratings that stand."),
        Field::integer("raters", "COALESCE({t}_ratings.clients, 0)", "Clients who gave them."),
        Field::decimal("average", "{t}_ratings.average", "The average of the ratings; null while there are none.")
            .nullable(),
        Field::decimal(
            "perClientAverage",
            "{t}_ratings.voice_average",
            "The average of the clients' averages, one voice each; null while there are no ratings.",
        )
        .nullable(),
        Field::integer("positive", "COALESCE({t}_ratings.positive, 0)", "Ratings of at least 80."),
        Field::integer("negative", "COALESCE({t}_ratings.negative, 0)", "Ratings below 50."),
        Field::decimal(
            "confidenceScore",
            "COALESCE({t}_ratings.score, 50)",
            "The average, drawn toward 50 while there are fewer than ten ratings: with n of them and c = min(n / 10, 1), \
             average · c + 50 · (1 - c).",
        ),
    ];
    let kept = kept.into_iter().map(|field| RATINGS.field(field));
    let asked = vec![
        Field::decimal(
            "min",
            rating_extreme!("LEAST", "min", stands!()),
            "The least rating; null while there are none.",
        )
        .pinned(rating_extreme!("LEAST", "min", stands!(), fell!()))
        .nullable(),
        Field::decimal(
            "max",
            rating_extreme!("GREATEST", "max", stands!()),
            "The greatest rating; null while there are none.",
        )
        .pinned(rating_extreme!("GREATEST", "max", stands!(), fell!()))
        .nullable(),
        Field::decimal(
            "lastRating",
            concat!(
                "(SELECT f.value ",
                stood!(),
                is_rating!(),
                " ORDER BY f.begin_block DESC, f.log_index DESC LIMIT 1)"
            ),
            "The newest rating; null while there are none.",
        )
        .nullable(),
    ];
    kept.chain(asked).collect()
}

pub(super) fn tag_key() -> Vec<KeyPart> {
    let mut key = agent_key();
    key.push(KeyPart { sql: "{t}.aspect", ty: SqlType::Bytes });
    key
}

/// The tag of a standing's aspect, once its text was told.
const TAG_JOIN: &str =
    " LEFT JOIN tag {t}_tag ON {t}_tag.chain_id = {t}.chain_id AND {t}_tag.aspect = {t}.aspect AND {begun {t}_tag}";

/// The reputation of an agent under one first tag.
pub(super) static TAG_REPUTATION: LazyLock<Entity> = LazyLock::new(|| {
    let changed = OF_ROW.template("{t}_then.begin_block");
    let mut fields = vec![
        Field::id(
            concat!(
                agent_id_text!(),
                " || ':' || CASE WHEN {t}_tag.tag1 IS NOT NULL AND {t}_tag.tag1_raw IS NULL THEN {t}_tag.tag1 \
                 ELSE 'keccak256:0x' || encode({t}.aspect, 'hex') END"
            ),
            "`agentId:tag1`; `agentId:keccak256:` and the first 16 bytes of the hash of a tag that is no clean text, or \
             whose text was not told. Ids of one agent sort by the hash of the tag.",
        )
        .joined_as_of(TAG_JOIN, TAG_JOIN),
        Field::text("tag1", "{t}_tag.tag1", "The first tag; null while only its hash was told.")
            .nullable()
            .joined_as_of(TAG_JOIN, TAG_JOIN),
    ];
    fields.extend(of_one_tag());
    fields.extend([finality_field(changed), cursor_field()]);
    Entity {
        name: "TagReputation",
        doc: "What the feedback about an agent with one first tag sums up to. Values of different tags are not of one \
              scale: a rating, milliseconds, percent, a yield.",
        singular: "tagReputation",
        plurals: &["tagReputations"],
        fields,
        relations: vec![agent_relation()],
        derivation: 1,
        table: Some("standing"),
        life: Life::Since("created_block"),
        only: Some(Template::plain("length({t}.aspect) = 16")),
        key: tag_key(),
        parse_id: id::tag_reputation,
        changed,
        changing: &[
            "tag1",
            "given",
            "revoked",
            "active",
            "responses",
            "clientCount",
            "lastAt",
            "average",
            "perClientAverage",
            "min",
            "max",
            "lastValue",
            "positive",
            "negative",
        ],
    }
});

pub(super) fn agent_relation() -> Relation {
    Relation::new("agent", Cardinality::One, || &super::agent::AGENT, agent_links(), "The agent that it is about.")
}

fn of_one_tag() -> Vec<Field> {
    let kept = vec![
        Field::integer("given", "{t}_then.given", "Feedback with the tag, revoked or not."),
        Field::integer("revoked", "{t}_then.revoked", "How much of it was revoked."),
        Field::integer("active", "{t}_then.active", "How much of it stands."),
        Field::integer("responses", "{t}_then.responses", "Responses to it."),
        Field::integer("clientCount", "{t}_then.clients", "Clients whose feedback with the tag stands."),
        Field::integer(
            "lastAt",
            "{t}_then.last_at",
            "When feedback with the tag was last given, in seconds since 1970.",
        ),
        Field::decimal("average", "{t}_then.average", "The average of the values; null while none stands.").nullable(),
        Field::decimal(
            "perClientAverage",
            "{t}_then.voice_average",
            "The average of the clients' averages, one voice each; null while none stands.",
        )
        .nullable(),
        Field::integer("positive", "{t}_then.positive", "Ratings of at least 80 among it."),
        Field::integer("negative", "{t}_then.negative", "Ratings below 50 among it."),
    ];
    let kept = kept.into_iter().map(|field| OF_ROW.field(field));
    let extreme = |name, sql, doc| Field::decimal(name, sql, doc).nullable();
    let asked = vec![
        extreme("min", tag_extreme!("LEAST", "min", stands!()), "The least value; null while none stands.")
            .pinned(tag_extreme!("LEAST", "min", stands!(), fell!())),
        extreme("max", tag_extreme!("GREATEST", "max", stands!()), "The greatest value; null while none stands.")
            .pinned(tag_extreme!("GREATEST", "max", stands!(), fell!())),
        extreme(
            "lastValue",
            concat!(
                "(SELECT f.value ",
                stood!(),
                "f.aspect = {t}.aspect ORDER BY f.begin_block DESC, f.log_index DESC LIMIT 1)"
            ),
            "The newest value; null while none stands.",
        ),
    ];
    kept.chain(asked).collect()
}
