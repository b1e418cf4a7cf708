-- Answers to mutations that came with a request id, kept for a day so that a repeat gets the same.
create table request_keys (
    scope text not null,        -- whose: an account or another subject
    method text not null,       -- the full name of the RPC
    request_id text not null,
    fingerprint bytea not null, -- SHA-256 of the request without its id
    response bytea not null,    -- the serialised answer, less what is secret in it
    create_time timestamptz not null,
    primary key (scope, method, request_id)
);
create index request_keys_create_time on request_keys (create_time);
