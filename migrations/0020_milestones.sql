-- What an agent with much feedback summed up to, at milestones: so that nobody adds up a million rows to answer as of an
-- earlier block, or to draw how it developed.

ALTER TABLE network
    ADD COLUMN hot_feedback    integer NOT NULL DEFAULT 256 CHECK (hot_feedback > 0),
    ADD COLUMN milestone_every integer NOT NULL DEFAULT 64 CHECK (milestone_every > 0);
COMMENT ON COLUMN network.hot_feedback IS 'From how much feedback on an aspect has milestones: below, counting its facts is as quick. Which milestones there are follows from it, so it stays what it is.';
COMMENT ON COLUMN network.milestone_every IS 'How often feedback is given, revoked or answered from one milestone of an hour to the next: so much is counted, at most, to answer as of an earlier block.';

ALTER TABLE standing
    ADD COLUMN changed_at    bigint NOT NULL DEFAULT 0,
    ADD COLUMN ever_given    bigint NOT NULL DEFAULT 0,
    ADD COLUMN ever_revoked  bigint NOT NULL DEFAULT 0,
    ADD COLUMN ever_total    numeric(1000, 60) NOT NULL DEFAULT 0,
    ADD COLUMN hour_least    numeric(1000, 60),
    ADD COLUMN hour_greatest numeric(1000, 60);
COMMENT ON COLUMN standing.changed_at IS 'The time of begin_block, in seconds since 1970.';
COMMENT ON COLUMN standing.ever_given IS 'Feedback ever given, what was superseded among it.';
COMMENT ON COLUMN standing.ever_revoked IS 'How much of it was ever revoked.';
COMMENT ON COLUMN standing.ever_total IS 'The sum of its values, each cut toward zero at 60 decimal places, whatever became of it.';
COMMENT ON COLUMN standing.hour_least IS 'The least value that was given in the hour of changed_at so far; NULL where none was. hour_greatest likewise.';

ALTER TABLE standing_version
    ADD COLUMN changed_at    bigint NOT NULL DEFAULT 0,
    ADD COLUMN ever_given    bigint NOT NULL DEFAULT 0,
    ADD COLUMN ever_revoked  bigint NOT NULL DEFAULT 0,
    ADD COLUMN ever_total    numeric(1000, 60) NOT NULL DEFAULT 0,
    ADD COLUMN hour_least    numeric(1000, 60),
    ADD COLUMN hour_greatest numeric(1000, 60),
    ADD COLUMN is_milestone  boolean NOT NULL DEFAULT FALSE;
CREATE INDEX standing_version_passing ON standing_version (chain_id, end_block) WHERE NOT is_milestone;
COMMENT ON TABLE standing_version IS 'Superseded standings: all that ended above finality, so that a rewind restores them without counting again, and milestones, which stay.';
COMMENT ON COLUMN standing_version.is_milestone IS 'Whether it had much feedback (network.hot_feedback) and was the last one of its hour, or the last one before milestone_every more was given, revoked or answered. The standing at any later block is the newest milestone below it and the facts of at most an hour.';

-- The least and the greatest value as of an earlier block: of what still stands, and of what no longer does.
CREATE INDEX feedback_fallen ON feedback (chain_id, deployment, agent_id, aspect, value)
    INCLUDE (begin_block, end_block, revoked_block)
    WHERE end_block IS NOT NULL OR revoked_block IS NOT NULL;
