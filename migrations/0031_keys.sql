-- API keys: who may do how much. A key is kept for good, so that who had which rights when can be told.

CREATE TABLE api_key (
    id            text PRIMARY KEY CHECK (id ~ '^[0-9a-f]{12}$'),
    secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
    tier          text NOT NULL CHECK (tier IN ('free', 'pro', 'enterprise')),
    owner         bytea NOT NULL CHECK (octet_length(owner) = 20),
    created_at    timestamptz NOT NULL DEFAULT now(),
    revoked_at    timestamptz
);
COMMENT ON TABLE api_key IS 'The API keys that were made; a row is never deleted.';
COMMENT ON COLUMN api_key.id IS 'What names the key in lists and logs: 12 hexadecimal digits, drawn at random.';
COMMENT ON COLUMN api_key.secret_sha256 IS 'The SHA-256 of the secret, which is 256 random bits and is kept nowhere.';
COMMENT ON COLUMN api_key.tier IS 'Whose limits of the configuration apply: free, pro or enterprise.';
COMMENT ON COLUMN api_key.owner IS 'The address of who answers for what is done with the key.';
COMMENT ON COLUMN api_key.created_at IS 'When the key was made.';
COMMENT ON COLUMN api_key.revoked_at IS 'When the key was revoked; NULL while it holds.';
