-- As of an earlier block, what a hot agent was answered since its milestone is counted from the responses of an hour. Their key
-- leads to all that the agent was ever answered.

CREATE INDEX feedback_response_agent ON feedback_response (deployment, agent_id, begin_block);
