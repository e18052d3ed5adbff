-- A series is made of the last standings of hours: among the milestones of a busy hour they are one in many.

ALTER TABLE standing_version ADD COLUMN ends_hour boolean NOT NULL DEFAULT FALSE;
CREATE INDEX standing_version_hour ON standing_version (deployment, agent_id, aspect, begin_block) WHERE ends_hour;
COMMENT ON COLUMN standing_version.ends_hour IS 'Whether it was the last one of its hour.';
