-- Levels of indices. A level that comes out otherwise after a correction is a row of its own; the
-- one with the highest data version counts.
create table index_levels (
    source smallint not null references sources,
    index_id text collate "C" not null,
    day date not null,
    data_version bigint not null,
    level double precision not null,
    divisor double precision not null,
    members int not null,
    primary key (source, index_id, day, data_version)
);

-- What indices there are, as of the newest run.
create table indices (
    source smallint not null references sources,
    index_id text collate "C" not null,
    title text not null,
    methodology text not null,
    primary key (source, index_id)
);
