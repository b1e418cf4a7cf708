-- A list a row: the first hundred of an order and window, by place. What was ranked before is made
-- again with the next run of its day.
-- squawk-ignore ban-drop-table -- nothing but what runs make is in it
drop table movers;

-- ordering is the contract's number; prices in cents.
create table mover_lists (
    source smallint not null,
    day date not null,
    version int not null,
    window_days smallint not null,
    ordering smallint not null,
    thin boolean not null,
    cards int[] not null,
    befores int[] not null,
    prices int[] not null,
    moves int[] not null,
    primary key (source, day, version, window_days, ordering, thin)
);
