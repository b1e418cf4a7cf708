-- Work over many deliveries, in steps that are each one transaction: what is done and how far it
-- got are committed together.
create table delivery_operations (
    id uuid primary key,
    account uuid not null,
    kind smallint not null,        -- pq.delivery.v1.DeliveryOperationKind
    endpoint uuid not null,
    state smallint not null,       -- pq.delivery.v1.DeliveryOperationState; 1 is running
    start_time timestamptz,
    end_time timestamptz not null,
    cursor_time timestamptz,       -- the message looked at last
    cursor_id uuid,
    looked_at bigint not null,
    changed bigint not null,
    next_time timestamptz not null, -- of the next step
    create_time timestamptz not null,
    finish_time timestamptz
);
create index delivery_operations_account on delivery_operations (account, id);
create index delivery_operations_next on delivery_operations (next_time) where state = 1;

-- When lanes were closed or held for longer, and why: what timelines are told from.
create table lane_holds (
    endpoint uuid not null,
    start_time timestamptz not null,
    end_time timestamptz,          -- null: goes on
    reason text not null
);
create index lane_holds_endpoint on lane_holds (endpoint, start_time);

-- Whoever opens or closes a lane, it is on record.
create function note_lane() returns trigger language plpgsql as $$
begin
    if new.open then
        update lane_holds set end_time = now()
        where endpoint = new.endpoint and end_time is null
            and reason in ('endpoint_paused', 'endpoint_disabled', 'email_not_configured');
    else
        insert into lane_holds (endpoint, start_time, reason)
        values (new.endpoint, now(), coalesce(
            (select case state when 2 then 'endpoint_paused' else 'endpoint_disabled' end
                from endpoints where id = new.endpoint),
            'email_not_configured'
        ));
    end if;
    return null;
end
$$;
create trigger lanes_opened after update of open on lanes
    for each row when (old.open is distinct from new.open) execute function note_lane();
create trigger lanes_made after insert on lanes
    for each row when (not new.open) execute function note_lane();
