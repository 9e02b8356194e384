-- up
CREATE TABLE "auth_tokens" (
    "token_hash" TEXT PRIMARY KEY NOT NULL,
    "client_id" TEXT NOT NULL,
    "created_at" TEXT,
    "expires_at" TEXT
);
CREATE TABLE "revoked_tokens" (
    "token_hash" TEXT PRIMARY KEY NOT NULL,
    "revoked_at" TEXT NOT NULL
);
-- import the token file: the SHA-256 of each token, its client and its times in UTC
-- adds rows to auth_tokens
-- adds rows to revoked_tokens
-- down
DROP TABLE "revoked_tokens";
DROP TABLE "auth_tokens";
