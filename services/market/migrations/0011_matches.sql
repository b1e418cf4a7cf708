-- What a source that has ids of its own sells, and which card that is: said by a person or taken from
-- a list, never guessed. A product without a card waits for one, and its quotes are left out.
create table source_products (
    quotes text not null,          -- the source that the quotes are of, such as "cardmarket"
    product text collate "C" not null,
    printing text collate "C" not null,
    display_name text not null,
    url text not null,
    first_day date not null,       -- on which it was quoted first,
    last_day date not null,        -- and last
    card text collate "C",         -- the card's id; null: it waits
    matched_by text not null default '',
    note text not null default '',
    match_time timestamptz,
    primary key (quotes, product, printing)
);
create index source_products_waiting on source_products (quotes, product, printing)
    where card is null;
