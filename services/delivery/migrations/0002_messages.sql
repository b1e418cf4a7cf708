-- Ids are ordered by time, so that each of these tables can be cut into partitions by `message`.

create table messages (
    id uuid primary key,
    account uuid not null,
    event_type text not null,
    payload bytea not null,        -- the body, byte for byte
    create_time timestamptz not null,
    deliver_by timestamptz,
    trace_parent text not null     -- W3C trace context of what caused it; may be empty
);
create index messages_account on messages (account, id);

-- A process that sends. It is alive while it says so; what it has taken is given back when it is not.
create table workers (
    id uuid primary key,
    name text not null,            -- host and process, for people
    start_time timestamptz not null,
    heartbeat_time timestamptz not null
);

-- A pending delivery waits (worker is null) or is leased by a worker, under a token that each
-- outcome must show.
create table deliveries (
    message uuid not null,
    endpoint uuid not null,        -- may be gone
    state smallint not null,       -- pq.delivery.v1.DeliveryState; 1 is pending
    attempt_count int not null,
    due timestamptz,               -- of the next attempt; null once settled
    deliver_by timestamptz,
    worker uuid,
    lease uuid,
    settle_time timestamptz,
    reason text not null,
    primary key (message, endpoint)
);
create index deliveries_waiting on deliveries (endpoint, due) where state = 1 and worker is null;
create index deliveries_leased on deliveries (worker) where worker is not null;
create index deliveries_deadline on deliveries (deliver_by)
    where state = 1 and worker is null and deliver_by is not null;

-- An endpoint's queue: `due` is never later than the earliest of its waiting deliveries. Who makes
-- a delivery wait locks the lane first; a closed lane is not looked at; an endpoint without a lane
-- has been deleted.
create table lanes (
    endpoint uuid primary key,
    open boolean not null,
    due timestamptz
);
create index lanes_due on lanes (due) where open and due is not null;

-- Endpoints that were deleted and may still have deliveries to cancel.
create table removals (
    endpoint uuid primary key,
    remove_time timestamptz not null
);

create table attempts (
    message uuid not null,
    id uuid not null,
    endpoint uuid not null,
    number int not null,
    start_time timestamptz not null,
    duration interval not null,
    http_status smallint,          -- null where no answer came
    code text not null,
    response_body bytea not null,  -- its first 1,024 bytes
    remote_address text not null,
    primary key (message, id)
);
