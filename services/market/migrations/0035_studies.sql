-- Factor reports and backtests: computed one after the other by a process of their own.
create table studies (
    study uuid primary key,
    kind smallint not null,        -- services.market.domain.studies.Kind
    source smallint not null references sources,
    account uuid,                  -- whose backtest; null for reports
    asked jsonb not null,
    state smallint not null,       -- pq.market.v1.StudyState
    error text not null default '',
    create_time timestamptz not null,
    -- Whoever computes it says so now and then; who has said nothing for a while is dead.
    claim_time timestamptz,
    end_time timestamptz,
    first_day date,
    last_day date,
    data_version bigint,
    code_version text,
    seconds double precision,
    result jsonb
);
create index studies_waiting on studies (create_time) where state in (1, 2);
create index studies_of_source on studies (kind, source, study);
create index studies_of_account on studies (account, study) where account is not null;
