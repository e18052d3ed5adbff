-- Milestones lie nearer to each other in networks that begin now: what a hot agent was at an earlier block is counted from
-- sixteen facts at most. Where milestones lie follows from the number, so networks that have some keep theirs.

ALTER TABLE network ALTER COLUMN milestone_every SET DEFAULT 16;
