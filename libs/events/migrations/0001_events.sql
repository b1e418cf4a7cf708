-- Events waiting to be appended to the log. Rows live for milliseconds; ids are given under the
-- publishers' advisory locks, so that the ids of one key are in the order of their commits.
create table event_outbox (
    id bigint generated always as identity primary key,
    event_id uuid not null,
    topic text not null,
    partition int not null,
    key text not null,
    type text not null,
    time timestamptz not null,
    source text not null,
    payload bytea not null,
    headers jsonb
) with (
    -- It is scanned from its low end all the time: dead rows must go at once.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_insert_threshold = -1,
    autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0,
    autovacuum_analyze_threshold = 10000
);
-- Short-lived bytes are not worth compressing.
alter table event_outbox alter column payload set storage external;

-- Who this database is to the log: relays of one source are fenced by epochs of this id.
create table event_source (
    only_one boolean primary key default true check (only_one),
    id uuid not null default gen_random_uuid()
);
insert into event_source default values;

create table event_consumers (
    id int generated always as identity primary key,
    name text not null unique
);

-- How far each consumer is. This is the authority: what the log was told is a hint.
create table event_positions (
    consumer int not null references event_consumers,
    topic text not null,
    partition int not null,
    position bigint,                   -- the next offset to handle; null: start at the beginning
    halt text,                         -- why it stands still; null where it goes on
    resume_time timestamptz,           -- dead letters before this no longer count to the limit
    caught_up_time timestamptz,        -- everything appended before this was handled
    primary key (consumer, topic, partition)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Events that were handled: the same event never is twice. Not partitioned by time: derived ids
-- carry the time of what they derive from, which may be long ago, and an event handled yesterday
-- must still be found today.
create table event_inbox (
    consumer int not null,
    event_id uuid not null,
    handle_time timestamptz not null,
    primary key (consumer, event_id)
);
-- Rows are in the order of this column, so that pruning needs a few blocks of index only.
create index event_inbox_handle_time on event_inbox using brin (handle_time);

create table event_dead_letters (
    id uuid primary key,
    consumer int not null references event_consumers,
    topic text not null,
    partition int not null,
    "offset" bigint not null,
    event_id uuid not null,
    key text not null,
    type text not null,
    time timestamptz not null,
    source text not null,
    payload bytea not null,
    headers jsonb,
    error text not null,
    create_time timestamptz not null,
    redrive_time timestamptz
);
create index event_dead_letters_partition
    on event_dead_letters (consumer, topic, partition, create_time);
