//! The SQL of standings: what the facts sum up to in an aspect, from the beginning or from a milestone on.
//!
//! Ingestion keeps the newest standing of each aspect, and of aspects with much feedback milestones on the way to it. The
//! statements here count, from rows of facts, what is not kept: what a rewind below finality has to restore, and what is
//! asked for as of an earlier block. Each of them says what ingestion would have kept at that block.
//!
//! They are written over the row `{k}`, which names the agent and the aspect, and for the block that `{live x}`, `{begun x}`,
//! `{reached c}` and `{block x}` stand for.

use super::aspect::is_rating;

/// The columns of a standing that are counted, of the row `s`.
pub(super) const COLUMNS: &str = "s.begin_block, s.given, s.revoked, s.responses, s.total, s.counts, s.clients, s.voices, \
     s.positive, s.negative, s.last_at, s.changed_at, s.ever_given, s.ever_revoked, s.ever_total, s.hour_least, \
     s.hour_greatest";

/// The time of a standing's last change: blocks with logs keep their headers.
const CHANGED_AT: &str =
    "(SELECT b.block_at FROM block b WHERE b.chain_id = {k}.chain_id AND b.number = n.begin_block)";

/// Facts of the agent of `{k}`.
const OF_AGENT: &str = "f.chain_id = {k}.chain_id AND f.deployment = {k}.deployment AND f.agent_id = {k}.agent_id";

/// The condition that a response `r` is filed under the aspect: by the feedback that held in its block, whatever became of
/// that. Those of all feedback are all.
fn filed(is_of_aspect: Option<&str>) -> String {
    is_of_aspect.map_or_else(String::new, |is_of_aspect| {
        format!(
            " AND EXISTS (SELECT FROM feedback f WHERE f.chain_id = r.chain_id AND f.deployment = r.deployment \
                 AND f.agent_id = r.agent_id AND f.client = r.client AND f.feedback_index = r.feedback_index \
                 AND f.begin_block <= r.begin_block AND (f.end_block IS NULL OR f.end_block > r.begin_block) \
                 AND {is_of_aspect})"
        )
    })
}

/// SELECT of the columns of a standing, counted from all of the agent's facts. It takes the condition that feedback `f` is
/// of the aspect; nothing: all is.
pub(super) fn counted(is_of_aspect: Option<&str>) -> String {
    let (is_rating, filed) = (is_rating!(), filed(is_of_aspect));
    let is_of_aspect = is_of_aspect.unwrap_or("TRUE");
    format!(
        "WITH said AS (SELECT f.client, f.begin_block, f.end_block, f.revoked_block, f.created_at, \
             f.value_decimals, trunc(f.value, 60) AS value, {{live f}} AS holds, \
             {{live f}} AND NOT {{reached f.revoked_block}} AS stands, {{reached f.revoked_block}} AS is_revoked, \
             {{reached f.end_block}} AS is_ended, {is_rating} AS is_rating \
             FROM feedback f WHERE {OF_AGENT} AND {{begun f}} AND {is_of_aspect}), \
         answered AS (SELECT count(*) AS responses, max(r.begin_block) AS block FROM feedback_response r \
             WHERE r.chain_id = {{k}}.chain_id AND r.deployment = {{k}}.deployment AND r.agent_id = {{k}}.agent_id \
             AND {{begun r}}{filed}), \
         places AS (SELECT value_decimals, count(*) AS times FROM said WHERE stands GROUP BY value_decimals), \
         voices AS (SELECT div(sum(value) * 1e60, count(*)) * 1e-60 AS mean FROM said WHERE stands GROUP BY client), \
         now AS (SELECT greatest(max(begin_block), max(revoked_block) FILTER (WHERE is_revoked), \
                 max(end_block) FILTER (WHERE is_ended), (SELECT block FROM answered)) AS begin_block, \
             count(*) FILTER (WHERE holds) AS given, count(*) FILTER (WHERE holds AND is_revoked) AS revoked, \
             (SELECT responses FROM answered) AS responses, coalesce(sum(value) FILTER (WHERE stands), 0) AS total, \
             ARRAY(SELECT coalesce((SELECT times FROM places WHERE value_decimals = place), 0) \
                 FROM generate_series(0, (SELECT max(value_decimals) FROM places)) AS place ORDER BY place) AS counts, \
             (SELECT count(*) FROM voices) AS clients, coalesce((SELECT sum(mean) FROM voices), 0) AS voices, \
             count(*) FILTER (WHERE stands AND is_rating AND value >= 80) AS positive, \
             count(*) FILTER (WHERE stands AND is_rating AND value < 50) AS negative, \
             coalesce(max(created_at), 0) AS last_at, count(*) AS ever_given, \
             count(*) FILTER (WHERE is_revoked) AS ever_revoked, coalesce(sum(value), 0) AS ever_total FROM said), \
         timed AS (SELECT n.*, coalesce({CHANGED_AT}, 0) AS changed_at FROM now n) \
         SELECT n.*, (SELECT min(value) FROM said WHERE created_at / 3600 = n.changed_at / 3600) AS hour_least, \
             (SELECT max(value) FROM said WHERE created_at / 3600 = n.changed_at / 3600) AS hour_greatest FROM timed n"
    )
}

/// SELECT of the same as of an earlier block, from the newest milestone below it and the facts since then; no row where
/// there is no milestone. Of clients who said or took back something since then, all that they say is read: their voices
/// are averages.
///
/// What happened since then is looked up by its blocks, behind an OFFSET, where no index has the agent's: it is an hour of
/// the network at most, and the planner does not know that. What a client says is looked up by the client (`+ 0`): taking
/// any block for a selective one, a plan that is kept would read all of the agent's for each.
pub(super) fn advanced(aspect: &str, is_of_aspect: Option<&str>) -> String {
    let (is_rating, filed) = (is_rating!(), filed(is_of_aspect));
    let is_of_aspect = is_of_aspect.unwrap_or("TRUE");
    let since = |column: &str| {
        format!(
            "SELECT x.client FROM (SELECT f.client, f.deployment, f.agent_id FROM feedback f \
                 WHERE f.chain_id = {{k}}.chain_id AND f.{column} BETWEEN b.end_block AND {{block f}} OFFSET 0) x \
             WHERE x.deployment = {{k}}.deployment AND x.agent_id = {{k}}.agent_id"
        )
    };
    let (revoked, ended) = (since("revoked_block"), since("end_block"));
    format!(
        "WITH base AS (SELECT s.* FROM standing_version s WHERE s.chain_id = {{k}}.chain_id \
             AND s.deployment = {{k}}.deployment AND s.agent_id = {{k}}.agent_id AND s.aspect = {aspect} \
             AND {{begun s}} ORDER BY s.begin_block DESC LIMIT 1), \
         clients AS (SELECT DISTINCT t.client FROM base b CROSS JOIN LATERAL ( \
             SELECT f.client FROM feedback f \
                 WHERE {OF_AGENT} AND f.begin_block BETWEEN b.end_block AND {{block f}} \
             UNION ALL {revoked} UNION ALL {ended}) t), \
         said AS (SELECT f.* FROM base b CROSS JOIN clients c CROSS JOIN LATERAL ( \
             SELECT f.client, f.begin_block, f.end_block, f.revoked_block, f.created_at, f.value_decimals, \
                 trunc(f.value, 60) AS value, {is_rating} AS is_rating, f.begin_block >= b.end_block AS is_new, \
                 f.begin_block < b.end_block AND (f.end_block IS NULL OR f.end_block >= b.end_block) AS held, \
                 coalesce(f.revoked_block < b.end_block, FALSE) AS was_revoked, {{live f}} AS holds, \
                 {{reached f.revoked_block}} AS is_revoked, \
                 {{reached f.end_block}} AND f.end_block >= b.end_block AS is_ended \
             FROM feedback f WHERE {OF_AGENT} AND f.client = c.client AND f.begin_block + 0 <= {{block f}} \
             AND {is_of_aspect} OFFSET 0) f), \
         moved AS (SELECT *, (holds AND NOT is_revoked)::integer AS stands, \
             (held AND NOT was_revoked)::integer AS stood FROM said), \
         answered AS (SELECT count(*) AS responses, max(r.begin_block) AS block FROM base b CROSS JOIN LATERAL ( \
             SELECT r.* FROM feedback_response r WHERE r.chain_id = {{k}}.chain_id \
             AND r.begin_block BETWEEN b.end_block AND {{block r}} OFFSET 0) r \
             WHERE r.deployment = {{k}}.deployment AND r.agent_id = {{k}}.agent_id{filed}), \
         places AS (SELECT place, sum(times) AS times FROM ( \
                 SELECT value_decimals AS place, stands - stood AS times FROM moved \
                 UNION ALL SELECT c.place - 1, c.times FROM base b, unnest(b.counts) WITH ORDINALITY c (times, place)) p \
             GROUP BY place), \
         voices AS (SELECT (sum(stands) > 0)::integer - (sum(stood) > 0)::integer AS clients, \
             CASE WHEN sum(stands) > 0 THEN div(sum(value * stands) * 1e60, sum(stands)) * 1e-60 ELSE 0 END \
             - CASE WHEN sum(stood) > 0 THEN div(sum(value * stood) * 1e60, sum(stood)) * 1e-60 ELSE 0 END AS mean \
             FROM moved GROUP BY client), \
         change AS (SELECT greatest(max(begin_block) FILTER (WHERE is_new), \
                 max(revoked_block) FILTER (WHERE is_revoked AND NOT was_revoked), \
                 max(end_block) FILTER (WHERE is_ended), (SELECT block FROM answered)) AS begin_block, \
             count(*) FILTER (WHERE holds) - count(*) FILTER (WHERE held) AS given, \
             count(*) FILTER (WHERE holds AND is_revoked) - count(*) FILTER (WHERE held AND was_revoked) AS revoked, \
             coalesce(sum(value * (stands - stood)), 0) AS total, \
             coalesce(sum(stands - stood) FILTER (WHERE is_rating AND value >= 80), 0) AS positive, \
             coalesce(sum(stands - stood) FILTER (WHERE is_rating AND value < 50), 0) AS negative, \
             coalesce(max(created_at) FILTER (WHERE is_new), 0) AS last_at, \
             count(*) FILTER (WHERE is_new) AS ever_given, \
             count(*) FILTER (WHERE is_revoked AND NOT was_revoked) AS ever_revoked, \
             coalesce(sum(value) FILTER (WHERE is_new), 0) AS ever_total FROM moved), \
         now AS (SELECT coalesce(c.begin_block, b.begin_block) AS begin_block, b.given + c.given AS given, \
             b.revoked + c.revoked AS revoked, b.responses + (SELECT responses FROM answered) AS responses, \
             b.total + c.total AS total, \
             ARRAY(SELECT coalesce((SELECT times FROM places p WHERE p.place = g.place), 0)::bigint \
                 FROM generate_series(0, (SELECT max(place) FROM places WHERE times > 0)) AS g (place) \
                 ORDER BY g.place) AS counts, \
             b.clients + coalesce((SELECT sum(clients) FROM voices), 0) AS clients, \
             b.voices + coalesce((SELECT sum(mean) FROM voices), 0) AS voices, \
             b.positive + c.positive AS positive, b.negative + c.negative AS negative, \
             greatest(b.last_at, c.last_at) AS last_at, b.ever_given + c.ever_given AS ever_given, \
             b.ever_revoked + c.ever_revoked AS ever_revoked, b.ever_total + c.ever_total AS ever_total, \
             b.changed_at / 3600 AS hour_before, b.hour_least AS least_before, b.hour_greatest AS greatest_before \
             FROM base b CROSS JOIN change c), \
         timed AS (SELECT n.*, coalesce({CHANGED_AT}, 0) AS changed_at FROM now n) \
         SELECT n.*, least(CASE WHEN n.hour_before = n.changed_at / 3600 THEN n.least_before END, \
                 (SELECT min(value) FROM said WHERE is_new AND created_at / 3600 = n.changed_at / 3600)) AS hour_least, \
             greatest(CASE WHEN n.hour_before = n.changed_at / 3600 THEN n.greatest_before END, \
                 (SELECT max(value) FROM said WHERE is_new AND created_at / 3600 = n.changed_at / 3600)) AS hour_greatest \
         FROM timed n"
    )
}
