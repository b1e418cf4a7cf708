-- Alerts that were deleted. An evaluation that had read one may yet write what it found, for it waits
-- for nobody: that is taken away when no such evaluation can be left.
create table removed_alerts (
    alert uuid primary key,
    remove_time timestamptz not null
);
create index removed_alerts_time on removed_alerts (remove_time);
