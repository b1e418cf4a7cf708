-- Which targets of deliveries were e-mail addresses that are deleted by now; forgotten when the
-- messages of their time are.
create table former_email_addresses (
    id uuid primary key,
    delete_time timestamptz not null
);
