-- Which program derived the tables: a newer one may derive from the same logs what an older one did not.

ALTER TABLE network ADD COLUMN derivation smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN network.derivation IS 'The number of the program that derived all rows of the network from its raw logs; it rises whenever a newer one derives more or otherwise. A writer that knows a higher number derives everything anew, and sets it in the transaction that ends that.';

ALTER TABLE reindex ADD COLUMN derivation smallint NOT NULL DEFAULT 0;
COMMENT ON COLUMN reindex.derivation IS 'The number of the program that began it, which network.derivation is at the end of one from the store: whoever knows a higher one does not go on with it but starts over.';
