-- Parts of a source's day as they were fetched, so that a day that broke off is gone on with. raw is
-- where the bytes are kept.
create table fetched_parts (
    adapter text not null,
    day date not null,
    part text not null,
    raw text not null,
    sha256 text not null,
    fetch_time timestamptz not null,
    primary key (adapter, day, part)
);

-- What fetching a day came to; state is the contract's number.
create table fetches (
    adapter text not null,
    day date not null,
    state smallint not null,
    attempts int not null,
    start_time timestamptz not null,
    end_time timestamptz,
    next_time timestamptz,
    error text not null default '',
    import uuid,
    primary key (adapter, day)
);
