-- The circuit breakers of mail providers, shared by all processes. None is there for a provider that
-- has not failed of late.
create table provider_breakers (
    provider text primary key,
    state smallint not null,       -- services.delivery.domain.breaker.BreakerState
    recent bigint[] not null,      -- the window's buckets: start, successes, failures, start, …
    opens int not null,
    until timestamptz,             -- open until then
    change_time timestamptz,
    probed int not null,
    busy int not null,
    failing_since timestamptz,
    warned boolean not null,
    -- A probe is under way until its answer comes, or until this time: its process may be dead.
    probe_until timestamptz
);
