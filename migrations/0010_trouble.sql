-- What keeps a network from being followed as configured, for whoever asks whether the node is ready.

ALTER TABLE network ADD COLUMN trouble text;
COMMENT ON COLUMN network.trouble IS 'What its follower lacks at the moment, in a sentence without credentials; NULL when nothing. An observation, no part of the data.';
