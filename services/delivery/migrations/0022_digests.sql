-- Alerts once a day: at which hour, where, and when next. The time stays set while anything waits.
alter table email_addresses
    add column digest_hour smallint,
    add column digest_zone text,
    add column digest_time timestamptz;
-- The column is new, so the index is of nothing, and built in no time.
-- squawk-ignore require-concurrent-index-creation
create index email_addresses_digest on email_addresses (digest_time) where digest_time is not null;

-- Messages that wait for an address's next digest. They are gone with it, in one transaction.
create table email_digest_items (
    address uuid not null,
    message uuid not null,
    primary key (address, message)
);
