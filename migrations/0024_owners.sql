-- Agents of an owner and of a wallet stand side by side in the order of their ids: a page of them, as of any block, is one
-- stretch of an index, and the server needs no plan of its own for each owner.

DROP INDEX agent_owner, agent_wallet;
CREATE INDEX agent_owner ON agent (owner, deployment, agent_id);
CREATE INDEX agent_wallet ON agent (agent_wallet, deployment, agent_id) WHERE agent_wallet IS NOT NULL;
