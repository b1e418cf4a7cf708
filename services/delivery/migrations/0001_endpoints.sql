create table endpoints (
    id uuid primary key,
    account uuid not null,
    url text not null,
    description text not null,
    event_types text[] not null,   -- empty: all
    state smallint not null,       -- pq.delivery.v1.EndpointState
    state_reason text not null,    -- empty where it is active
    revision bigint not null,      -- the etag; grows with every change
    create_time timestamptz not null,
    update_time timestamptz not null
);
create index endpoints_account on endpoints (account, id);

-- Signing keys, sealed with a key of the operator's that is not in the database.
create table endpoint_secrets (
    endpoint uuid not null references endpoints on delete cascade,
    version int not null,
    key_id text not null,          -- the operator's key it is sealed with
    sealed bytea not null,         -- AES-256-GCM: 12 bytes of nonce, then the sealed key and its tag
    expire_time timestamptz,       -- null: the current one; else it signs along until then
    primary key (endpoint, version)
);
create index endpoint_secrets_key on endpoint_secrets (key_id);
