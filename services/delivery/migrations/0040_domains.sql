-- Domains that we send e-mail from, and what their last check found.
create table domains (
    name text primary key,
    envelope text not null,            -- the domain of MAIL FROM; empty: the same
    senders text[] not null,           -- SPF terms
    keys jsonb not null,               -- DKIM: [{selector, domain, public_key, algorithm}]
    reports text not null,             -- the address for DMARC's reports; may be empty
    revision bigint not null,          -- the etag; grows with every change of the above
    create_time timestamptz not null,
    update_time timestamptz not null,
    verdict smallint not null,         -- pq.delivery.v1.DomainVerdict; 0 before the first check
    report jsonb,                      -- what the last check found; null before the first
    settled jsonb not null,            -- of each check, what was found when DNS last answered
    check_time timestamptz,            -- when the last check began
    drift_time timestamptz,
    next_check_time timestamptz not null -- whoever checks puts it off first: that is the lease
);
create index domains_next_check on domains (next_check_time);
