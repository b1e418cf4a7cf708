create table accounts (
    id uuid primary key,
    display_name text not null,
    create_time timestamptz not null
);

-- A token stands for an account or for a role, never for both. The secret is not here: its digest is.
create table tokens (
    id uuid primary key,
    digest bytea not null unique,      -- SHA-256 of the secret; the secret has 160 random bits
    hint text not null,                -- its first characters, to tell tokens apart
    account uuid references accounts,
    role smallint,                     -- pq.auth.v1.Role
    read_only boolean not null,
    display_name text not null,
    create_time timestamptz not null,
    expire_time timestamptz,
    last_use_time timestamptz,
    revoke_time timestamptz,
    check ((account is null) <> (role is null))
);
create index tokens_account on tokens (account, id) where account is not null;
create index tokens_operators on tokens (id) where role is not null;
