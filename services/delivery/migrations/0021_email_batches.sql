-- E-mails that were handed over together, as they were: if we die before the answer, the very same
-- request is made again, for that is what the provider's idempotency key holds for.
create table email_batches (
    id uuid primary key,           -- the key follows from it
    deliveries text[] not null,    -- the idempotency keys of its e-mails, in its order
    payload bytea not null,
    create_time timestamptz not null
);
create index email_batches_time on email_batches (create_time);

create table email_batch_sends (
    message uuid not null,
    endpoint uuid not null,        -- the address
    batch uuid not null references email_batches on delete cascade,
    primary key (message, endpoint)
);
create index email_batch_sends_batch on email_batch_sends (batch);
