-- Signals and quality of up to 512 cards, whose numbers ascend: float32 values and reasons, packed.
-- A day of 58,000 cards is 114 rows.
create table signal_blocks (
    source smallint not null,
    day date not null,
    version int not null,
    first_card int not null,
    last_card int not null,
    data bytea not null,
    primary key (source, day, version, first_card)
);

-- The first hundred of each order and window. ordering is the contract's number; prices in cents.
create table movers (
    source smallint not null,
    day date not null,
    version int not null,
    window_days smallint not null,
    ordering smallint not null,
    thin boolean not null,
    place smallint not null,
    card int not null,
    before int not null,
    price int not null,
    moves int not null,
    primary key (source, day, version, window_days, ordering, thin, place)
);

-- Prices that moved unusually far; move, typical and limit are log returns. What an operator made
-- of one stays when its day is computed again.
create table anomalies (
    anomaly uuid primary key,
    source smallint not null references sources,
    day date not null,
    version int not null,
    card int not null,
    kind smallint not null,
    before int not null,
    price int not null,
    score double precision not null,
    explanation text not null,
    resolution text not null default '',
    resolve_time timestamptz,
    unique (source, day, version, card)
);

create index anomalies_day on anomalies (day desc, anomaly desc);
create index anomalies_card on anomalies (card, day);

-- Falls below what anybody asked; settled by later quotes, as of the run that saw them.
create table suspect_ticks (
    source smallint not null,
    day date not null,
    version int not null,
    card int not null,
    before int not null,
    price int not null,
    low int not null,
    verdict smallint not null,
    verdict_day date,
    primary key (card, source, day, version)
);

create index suspect_ticks_open on suspect_ticks (source, day) where verdict = 0;
