-- Rows that are dead and that a kept snapshot keeps from being removed lie in front of what is due,
-- in both indexes. Nothing that waits in a lane is due before its `low_due` (null: not known), and a
-- lane that is opened is due from then on, not from when it was closed.
alter table lanes add column low_due timestamptz;

create function open_lane() returns trigger language plpgsql as $$
begin
    if new.due is not null then
        new.due := greatest(new.due, now());
    end if;
    return new;
end
$$;
create trigger lanes_opening before update of open on lanes
    for each row when (new.open and not old.open) execute function open_lane();
