-- Cards that accounts keep an eye on, in their own order.
create table watchlists (
    id uuid primary key,
    account uuid not null,
    display_name text not null,
    create_time timestamptz not null,
    update_time timestamptz not null,
    revision int not null
);

create index watchlists_account on watchlists (account, id desc);

create table watchlist_items (
    watchlist uuid not null references watchlists on delete cascade,
    place int not null,
    card int not null,
    note text not null,
    primary key (watchlist, place)
);
