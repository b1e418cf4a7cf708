-- Who entered an index on a day on which it was made up anew: card numbers, ascending. A basket that
-- comes out otherwise after a correction is a row of its own; the one with the highest data version
-- counts.
create table index_baskets (
    source smallint not null references sources,
    index_id text collate "C" not null,
    start date not null,
    data_version bigint not null,
    equal_value boolean not null,  -- else one copy of each
    cards int[] not null,
    primary key (source, index_id, start, data_version)
);
