-- The event log in PostgreSQL: append-only segments.

create table log_topics (
    topic text primary key,
    partitions int not null
);

-- One row a partition. Appenders lock these rows in the order of `part`, so that the offsets of a
-- partition become visible in order.
create table log_parts (
    part int generated always as identity primary key,
    topic text not null references log_topics,
    partition int not null,
    first bigint not null default 0,   -- the lowest offset that is still there
    next bigint not null default 0,    -- the offset of the next record
    unique (topic, partition)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

create table log_segments (
    seg int primary key,
    open_time timestamptz not null default clock_timestamp(),
    close_time timestamptz
);

create table log_records (
    part int not null,
    "offset" bigint not null,
    seg int not null,
    event_id uuid not null,
    key text not null,
    type text not null,
    time timestamptz not null,
    source text not null,
    payload bytea not null,
    headers jsonb,
    append_time timestamptz not null default clock_timestamp(),
    primary key (part, "offset", seg)
) partition by list (seg);
alter table log_records alter column payload set storage external;

-- One row a source: the epoch of its newest relay. Appenders hold it shared until they commit.
create table log_epochs (
    source uuid primary key,
    epoch bigint not null
);

-- Consumers' members, by heartbeat, and who owns which partition.
create table log_members (
    consumer text not null,
    member uuid not null,
    heartbeat timestamptz not null,
    primary key (consumer, member)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

create table log_claims (
    consumer text not null,
    part int not null references log_parts,
    member uuid not null,
    primary key (consumer, part)
);

-- How far registered consumers said they are: nothing at or past it is dropped.
create table log_positions (
    consumer text not null,
    part int not null references log_parts,
    position bigint not null,
    update_time timestamptz not null default clock_timestamp(),
    primary key (consumer, part)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Adds a segment. Attached rather than created in place: that waits for no reader.
create function log_open_segment() returns int language plpgsql as $$
declare
    fresh int := coalesce((select max(seg) from log_segments), 0) + 1;
    name text := format('log_records_%s', fresh);
begin
    execute format('create table %I (like log_records including defaults including storage)', name);
    execute format('alter table %I add primary key (part, "offset", seg)', name);
    execute format('alter table %I add constraint seg_is check (seg = %s)', name, fresh);
    execute format('alter table log_records attach partition %I for values in (%s)', name, fresh);
    execute format('alter table %I drop constraint seg_is', name);
    update log_segments set close_time = clock_timestamp() where close_time is null;
    insert into log_segments (seg) values (fresh);
    return fresh;
end
$$;

select log_open_segment();

-- Appends a batch. Every statement has its own snapshot (READ COMMITTED), so that the segment is
-- read after the locks are held: a later offset is never in an earlier segment.
create function log_append(
    p_source uuid, p_epoch bigint, p_parts int[], p_ids uuid[], p_keys text[], p_types text[],
    p_times timestamptz[], p_sources text[], p_payloads bytea[], p_headers jsonb[]
) returns void language plpgsql as $$
declare
    current int;
begin
    perform 1 from log_epochs where source = p_source and epoch = p_epoch for share;
    if not found then
        raise exception 'a newer relay of this source is at work' using errcode = 'PQ001';
    end if;
    perform 1 from log_parts where part = any (p_parts) order by part for no key update;
    select max(seg) into current from log_segments;
    with counted as (
        select part, count(*) as n from unnest(p_parts) as part group by part
    ), moved as (
        update log_parts p set next = p.next + c.n from counted c where p.part = c.part
        returning p.part, p.next - c.n as start
    )
    insert into log_records
        (part, "offset", seg, event_id, key, type, time, source, payload, headers)
    select r.part, moved.start + row_number() over (partition by r.part order by r.ord) - 1,
        current, r.id, r.key, r.type, r.time, r.source, r.payload, r.headers
    from unnest(
        p_parts, p_ids, p_keys, p_types, p_times, p_sources, p_payloads, p_headers
    ) with ordinality as r(part, id, key, type, time, source, payload, headers, ord)
    join moved on moved.part = r.part;
end
$$;
