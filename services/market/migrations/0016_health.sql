-- How a day looked when it came, by how many of its prices had moved; the contract's number, 0 where
-- it was not judged. A blocked day is no news until it is released.
alter table snapshots
    add column health smallint not null default 0,
    add column usual_share double precision,
    add column release_time timestamptz;
