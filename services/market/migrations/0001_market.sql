-- Who quotes. A card is known by the quote of its source with the lowest number: its headline.
create table sources (
    source smallint generated always as identity primary key,
    name text not null unique,
    currency text not null check (currency ~ '^[A-Z]{3}$')
);

-- What catalogues say of products.
create table products (
    category text collate "C" not null,
    product_id bigint not null,
    set_id bigint not null,
    set_name text not null,
    published date,
    name text not null,
    number text not null,
    rarity text not null,
    sealed boolean not null,
    image_uri text not null,
    primary key (category, product_id)
);

-- One product in one printing. Rows are never deleted and never change their id: other tables, and
-- processes, hold on to the number. What a catalogue says of the product is copied here for lists.
create table cards (
    card int generated always as identity primary key,
    id text collate "C" not null unique,
    category text collate "C" not null,
    product_id bigint not null,
    printing text not null,
    display_name text collate "C" not null,
    set_id bigint not null,
    set_name text not null default '',
    number text not null default '',
    rarity text not null default '',
    sealed boolean,
    image_uri text not null default ''
);

create index cards_product on cards (product_id, id);
create index cards_set on cards (set_id, id);
create index cards_display_name on cards (display_name, id);

-- What a source quoted for a card on a day, in cents; null where there was none. Eight columns, so
-- that the null bitmap costs no room. In monthly partitions, made as days come in.
create table quotes (
    card int not null,
    day date not null,
    market int,
    low int,
    mid int,
    high int,
    direct_low int,
    source smallint not null,
    primary key (card, day, source)
) partition by range (day);

-- The newest quote of each card and source, and the newest market price that is known. Each day
-- updates nearly every row: the room in the pages keeps those updates off the indexes (HOT).
create table card_latest (
    card int not null,
    source smallint not null,
    headline boolean not null,
    day date,
    market int,
    low int,
    mid int,
    high int,
    direct_low int,
    known_day date,
    known int,
    primary key (card, source)
) with (fillfactor = 45, autovacuum_vacuum_scale_factor = 0.5);

create unique index card_latest_headline on card_latest (card) where headline;
create index card_latest_market on card_latest ((coalesce(market, -1)), card) where headline;

-- Files that were taken in. kind and mode are the numbers of the contract's enums.
create table imports (
    import uuid primary key,
    kind smallint not null,
    source smallint not null references sources,
    day date,
    file_name text not null,
    sha256 text not null,
    size bigint not null,
    create_time timestamptz not null,
    row_count int not null,
    accepted_count int not null,
    rejected_count int not null,
    faults jsonb not null,
    change_count int not null,
    version int,
    mode smallint not null,
    unique (source, kind, sha256)
);

-- Versions of days, as they were published.
create table snapshots (
    source smallint not null references sources,
    day date not null,
    version int not null,
    publish_time timestamptz not null,
    quote_count int not null,
    change_count int not null,
    rejected_count int not null,
    import uuid not null references imports,
    mode smallint not null,
    primary key (source, day, version)
);

create index snapshots_newest on snapshots (day desc, version desc, source desc);

-- What a correction of a day replaced, so that any version can be read back. old and new hold
-- market, low, mid, high and direct_low; null where the version has no such row.
create table corrections (
    card int not null,
    day date not null,
    source smallint not null,
    from_version int not null,
    to_version int not null,
    old int[],
    new int[],
    import uuid not null references imports,
    primary key (card, day, source, to_version)
);
