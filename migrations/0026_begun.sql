-- What stands unchanged since an earlier block is found for one aspect at a time: a leaderboard of the past begins with it.

DROP INDEX standing_begin;
CREATE INDEX standing_begin ON standing (begin_block, aspect);
