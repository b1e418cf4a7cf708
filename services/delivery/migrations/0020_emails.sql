-- Addresses of accounts. Each is a target with a lane, as an endpoint is; the id is the lane's.
create table email_addresses (
    id uuid primary key,
    account uuid not null,
    email text not null,           -- as it is shown
    email_key text not null,       -- case folded: what suppressions go by
    description text not null,
    event_types text[] not null,   -- empty: all
    -- pq.delivery.v1.EmailAddressState less SUPPRESSED, which follows from email_suppressions
    state smallint not null,
    state_reason text not null,
    role_account boolean not null,
    disposable boolean not null,
    revision bigint not null,      -- the etag; grows with every change
    create_time timestamptz not null,
    update_time timestamptz not null,
    confirm_time timestamptz,
    confirmation_send_time timestamptz
);
create unique index email_addresses_account on email_addresses (account, email_key);
create index email_addresses_key on email_addresses (email_key);

-- When confirmations were asked for, so that nobody can have a stranger's mailbox filled with them.
create table email_confirmations (
    email_key text not null,
    message uuid not null,
    create_time timestamptz not null,
    primary key (email_key, message)
);

-- Mailboxes that nothing is sent to.
create table email_suppressions (
    id uuid primary key,
    email_key text not null unique,
    reason smallint not null,      -- pq.delivery.v1.SuppressionReason
    detail text not null,
    source text not null,          -- a provider, or who asked for it
    create_time timestamptz not null
);

-- An e-mail on its way, from the moment before a provider is asked: that provider alone is asked
-- again while it may have taken it. `stage` is the highest pq.delivery.v1.EmailEventKind reached.
create table email_sends (
    message uuid not null,
    endpoint uuid not null,        -- the address; may be gone
    provider text not null,
    provider_id text not null,     -- the provider's own; empty until it answered
    uncertain boolean not null,    -- asked, and not answered: it may have been taken
    stage smallint not null,
    ask_time timestamptz not null,
    accept_time timestamptz,
    primary key (message, endpoint)
);
create index email_sends_provider on email_sends (provider, provider_id) where provider_id <> '';

-- What providers told, each once.
create table email_events (
    id uuid primary key,
    provider text not null,
    provider_event text not null,  -- the provider's id of it
    kind smallint not null,        -- pq.delivery.v1.EmailEventKind; 0 is one that is not known
    provider_kind text not null,
    message uuid,                  -- the delivery, where it could be told
    endpoint uuid,
    recipient text not null,
    code text not null,
    detail text not null,
    payload bytea not null,        -- what was sent to us of it
    occur_time timestamptz not null,
    receive_time timestamptz not null,
    unique (provider, provider_event)
);
create index email_events_delivery on email_events (message, endpoint) where message is not null;
