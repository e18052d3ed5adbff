-- A backfill rewrites an agent's totals with each event that names it, too. They are counted at its end, in front of the
-- standings (store::apply::late).

COMMENT ON COLUMN network.has_standings IS 'FALSE while a backfill writes without agent_total, standing, standing_version and ranking_version; some rows may be there already.';
COMMENT ON TABLE agent_total IS 'Current totals of each agent, kept in the ingest transaction, or counted at the end of a backfill; begin_block is the block of their last change.';
COMMENT ON VIEW analytics.agents IS 'Agents as they are now, with their totals and what their registration file says. A network that is backfilled for the first time has no rows before the end of that.';

CREATE VIEW agent_milestone AS
SELECT chain_id, deployment, agent_id, begin_block, end_block, given, revoked FROM standing_version WHERE aspect = '';
COMMENT ON VIEW agent_milestone IS 'How much feedback about an agent was given and revoked, from block to block: true of these blocks whether or not all standings are counted yet.';
