-- Accounts that are gone, until nothing of them can be left or come any more.
create table erasures (
    account uuid primary key,
    erase_time timestamptz not null,
    pass smallint not null,          -- how often all of it was taken away
    next_time timestamptz not null   -- of the next pass
);
create index erasures_next on erasures (next_time);
