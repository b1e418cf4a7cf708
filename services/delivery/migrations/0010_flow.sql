-- A migration is one transaction, in which no index can be built concurrently; what ran before this
-- keeps a few days of deliveries, and waits for them a moment.
-- squawk-ignore-file require-concurrent-index-creation,require-concurrent-index-deletion

-- Nothing is taken from a lane before `hold_until`; `due` is never earlier. Tokens are those of the
-- endpoint's rate limit, as they were at `tokens_time`; null where it was never reached.
alter table lanes
    add column hold_until timestamptz,
    add column hold_reason text,
    add column tokens float8,
    add column tokens_time timestamptz;

-- Endpoints that failed of late: written with failures only, gone when all has been well again for
-- a while. Who writes one holds its lane's lock.
create table breakers (
    endpoint uuid primary key,
    state smallint not null,       -- services.delivery.domain.breaker.BreakerState
    recent bigint[] not null,      -- the window's buckets: start, successes, failures, start, …
    opens int not null,
    until timestamptz,             -- open until then
    change_time timestamptz,
    probed int not null,
    busy int not null,             -- how often in a row it answered 429 or 503
    failing_since timestamptz,     -- the first failure after which nothing arrived
    warned boolean not null        -- whether the owner was told
);

-- How many each worker has under way at one endpoint.
drop index deliveries_leased;
create index deliveries_leased on deliveries (worker, endpoint) where worker is not null;

-- Ids of messages have the time of what caused them, which for an alert is its own creation.
drop index messages_account;
create index messages_account on messages (account, create_time desc, id desc);
create index messages_time on messages using brin (create_time);

alter table messages
    add column order_key text,     -- null: none, or for an alert's message its alert
    add column coalesce_key text;

-- Deliveries of one key to an ordered endpoint go out one at a time, by `order_number`. Those behind
-- the first are due at 'infinity' until it is their turn. Redelivery begins another round: attempts
-- count from `attempts_before` then. All are null for most.
create sequence delivery_order;
alter table deliveries
    add column order_key text,
    add column order_number bigint,
    add column coalesce_key text,
    add column round int,
    add column attempts_before int;
create index deliveries_order on deliveries (endpoint, order_key, order_number)
    where state = 1 and order_key is not null;
create index deliveries_coalesce on deliveries (endpoint, coalesce_key)
    where state = 1 and coalesce_key is not null;
