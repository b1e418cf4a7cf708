-- One version of a day on its way to being published with its signals. state and mode are the
-- contract's numbers. What waits is tried at next_time.
create table pipeline_runs (
    run uuid primary key,
    source smallint not null references sources,
    day date not null,
    version int not null,
    mode smallint not null,
    state smallint not null,
    create_time timestamptz not null,
    end_time timestamptz,
    next_time timestamptz,
    attempts int not null default 0,
    error text not null default '',
    data_version bigint not null default 0,
    steps jsonb not null default '[]',
    unique (source, day, version)
);

create index pipeline_runs_waiting on pipeline_runs (source, day) where state = 1;
create index pipeline_runs_day on pipeline_runs (day desc, run desc);

-- What readers see: a row comes with all results of its run, in one transaction.
create table published (
    source smallint not null references sources,
    day date not null,
    version int not null,
    run uuid not null references pipeline_runs,
    data_version bigint not null,
    code_version text not null,
    publish_time timestamptz not null,
    primary key (source, day, version)
);
