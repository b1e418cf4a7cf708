-- Cards that somebody watches: a small key for the rule index, and how far each was evaluated, so
-- that a late batch cannot undo a newer one.
create table watched_cards (
    id int generated always as identity primary key,
    name text not null unique,      -- the card's id, without "cards/"
    source text,                    -- whose price was evaluated last
    day date,                       -- of which day,
    version int                     -- and in which version of that day
) with (fillfactor = 70);           -- day and version move daily: room for them in the page

-- What owners say. Evaluation only reads it: it waits for nobody, and nobody for it.
create table alerts (
    id uuid primary key,            -- time-ordered
    account uuid not null,
    card int not null references watched_cards,
    kind smallint not null check (kind between 1 and 5), -- domain.conditions.Kind
    value int not null check (value > 0), -- hundredths of the currency, or 1/10,000 %
    currency text,                  -- of a level
    active boolean not null,
    note text not null,
    deliver_within interval,
    snooze_time timestamptz,
    create_time timestamptz not null,
    watch_time timestamptz not null, -- since then; prices accepted before are no news to it
    update_time timestamptz not null,
    revision int not null,          -- counts the owner's changes
    check ((currency is null) = (kind > 2))
);

-- The rule index: a price change is a few ranges in it.
create index alerts_rules on alerts (card, kind, value) where active;
create index alerts_account on alerts (account, id);

-- What evaluation found. No foreign keys: checking one locks, and so writes, each alert's row, and
-- the ids come from a read of alerts in the same transaction.
create table firings (
    alert uuid not null,
    day date not null,              -- of the price: one day never fires an alert twice
    number bigint not null,         -- 1 for the alert's first, one more with each
    currency text not null,
    price bigint not null,          -- hundredths
    previous_price bigint,
    previous_day date,
    reason text not null,
    import text not null,
    fire_time timestamptz not null,
    primary key (alert, day)
);

-- When percentages were last reached; no row for one that never was.
create table holds (
    alert uuid primary key,
    day date,                       -- the last day,
    before date                     -- and the last before that one
) with (fillfactor = 80);
