-- A backfill rewrites an agent's standings with each feedback about it. A new network that is far behind is filled without
-- them, and they are counted at its end, agent by agent (store::apply::late).

ALTER TABLE network ADD COLUMN has_standings boolean NOT NULL DEFAULT TRUE;
COMMENT ON COLUMN network.has_standings IS 'FALSE while a backfill writes without standing, standing_version and ranking_version; some rows may be there already.';

CREATE OR REPLACE VIEW analytics.reputation AS
SELECT
    a.chain_id AS chain_id,
    n.name AS network,
    a.deployment AS deployment,
    a.agent_id AS agent_id,
    coalesce(s.given, 0) AS given,
    coalesce(s.revoked, 0) AS revoked,
    coalesce(s.active, 0) AS active,
    coalesce(s.responses, 0) AS responses,
    coalesce(s.clients, 0) AS clients,
    to_timestamp(nullif(s.last_at, 0)) AS last_at,
    coalesce(r.active, 0) AS ratings,
    coalesce(r.clients, 0) AS raters,
    trim_scale(r.average) AS mean,
    trim_scale(r.voice_average) AS mean_per_client,
    coalesce(r.positive, 0) AS positive,
    coalesce(r.negative, 0) AS negative,
    coalesce(trim_scale(r.score), 50) AS confidence_score
FROM agent a JOIN network n USING (chain_id)
LEFT JOIN standing s ON s.chain_id = a.chain_id AND s.deployment = a.deployment AND s.agent_id = a.agent_id
    AND s.aspect = ''
LEFT JOIN standing r ON r.chain_id = a.chain_id AND r.deployment = a.deployment AND r.agent_id = a.agent_id
    AND r.aspect = '\x01'
WHERE a.end_block IS NULL AND n.has_standings;
COMMENT ON VIEW analytics.reputation IS 'What the feedback about each agent sums up to; grades are of its ratings only: first tag empty or starred, value from 0 to 100. A network that is backfilled for the first time has no rows before the end of that.';

CREATE OR REPLACE VIEW analytics.tag_reputation AS
SELECT
    s.chain_id AS chain_id,
    n.name AS network,
    s.deployment AS deployment,
    s.agent_id AS agent_id,
    t.tag1 AS tag1,
    analytics.hex(s.aspect) AS tag1_hash,
    s.given AS given,
    s.revoked AS revoked,
    s.active AS active,
    s.responses AS responses,
    s.clients AS clients,
    to_timestamp(s.last_at) AS last_at,
    trim_scale(s.average) AS mean,
    trim_scale(s.voice_average) AS mean_per_client
FROM standing s JOIN network n USING (chain_id) LEFT JOIN tag t USING (chain_id, aspect)
WHERE length(s.aspect) = 16 AND n.has_standings;
COMMENT ON VIEW analytics.tag_reputation IS 'What the feedback about each agent sums up to under each first tag. Values of different tags are of different scales. A network that is backfilled for the first time has no rows before the end of that.';
