-- Whether the indices have been followed through a version: those made before were.
alter table pipeline_runs add column followed boolean not null default true;
alter table pipeline_runs alter column followed set default false;
-- squawk-ignore require-concurrent-index-creation -- a run a day: there are some thousands
create index pipeline_runs_unfollowed on pipeline_runs (source, day) where not followed;
