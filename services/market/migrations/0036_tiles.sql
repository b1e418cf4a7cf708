-- Closed months: 32 neighbouring cards of a source in a row, each field packed as domain/tiles.py
-- says. What is packed already is not compressed again.
create table quote_tiles (
    first_card int not null check (first_card % 32 = 0),
    month date not null check (extract(day from month) = 1),
    source smallint not null references sources,
    market bytea storage external not null,
    low bytea storage external not null,
    mid bytea storage external not null,
    high bytea storage external not null,
    direct_low bytea storage external not null,
    primary key (first_card, month, source)
);

create index quote_tiles_month on quote_tiles (source, month);

-- Where quotes are: those of earlier days in quote_tiles, the others in quotes. One row.
create table quote_storage (
    only_one boolean primary key default true check (only_one),
    rows_from date not null
);

insert into quote_storage (rows_from) values ('0001-01-01');
