-- Fewer and shorter indexes of standings: each feedback moves its agent in every one of them, and that was half of what
-- writing it took. A partition is of one network, so keys need not name it; and a tag's leaderboard is in the order of its
-- score, while other orders of it are sorted when somebody asks.

DROP INDEX standing_score, standing_active, standing_clients, standing_average, standing_voices, standing_last;
CREATE INDEX standing_score ON standing (aspect, score, deployment, agent_id) WHERE aspect <> '' AND given > revoked;
CREATE INDEX standing_active ON standing (active, deployment, agent_id) WHERE aspect = '\x01' AND given > revoked;
CREATE INDEX standing_clients ON standing (clients, deployment, agent_id) WHERE aspect = '\x01' AND given > revoked;
CREATE INDEX standing_average ON standing (average, deployment, agent_id) WHERE aspect = '\x01' AND given > revoked;
CREATE INDEX standing_voices ON standing (voice_average, deployment, agent_id) WHERE aspect = '\x01' AND given > revoked;
CREATE INDEX standing_last ON standing (last_at, deployment, agent_id) WHERE aspect = '\x01' AND given > revoked;
