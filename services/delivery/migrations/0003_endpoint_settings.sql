alter table endpoints
    add column metadata jsonb not null default '{}',        -- text to text
    add column headers_key_id text,                         -- null: no headers of its own
    add column headers_sealed bytea,                        -- JSON, text to text, sealed as secrets are
    add column cards text[] not null default '{}',          -- names; with `portfolios` empty: all
    add column portfolios text[] not null default '{}',
    add column rate_limit float8,                           -- attempts a second; null: no limit
    add column max_in_flight int,                           -- null: the operator's
    add column ordering smallint not null default 1,        -- pq.delivery.v1.EndpointOrdering
    add column retry_delays float8[],                       -- seconds; null: the operator's
    add column deliver_within float8,                       -- seconds; null: for ever
    add column signatures smallint[] not null default '{}', -- pq.delivery.v1.SignatureKind; empty: all
    add column verification smallint not null default 1,    -- pq.delivery.v1.VerificationState
    add column verification_reason text not null default '',
    add column verify_time timestamptz,
    add column state_time timestamptz;                      -- null: since it was made

-- The key pair of v1a; null until it is made, which a background task does for what is there already.
alter table endpoint_secrets
    add column signer_sealed bytea,     -- the 32 bytes of the private key, sealed as `sealed` is
    add column public_key bytea,        -- 32 bytes
    add column create_time timestamptz; -- null: not noted
