-- Mails that say what became of ours, each once, and what was read from them.
create table bounces (
    id uuid primary key,
    content_hash bytea not null unique,   -- SHA-256 of the whole mail
    source text not null,                 -- lmtp, smtp or raw
    raw bytea not null,                   -- its first 256 KiB
    size integer not null,                -- of the whole, in bytes
    recipients jsonb not null,            -- a list: recipient, status, reply, reason, hard, ...
    receive_time timestamptz not null
);
create index bounces_receive_time on bounces (receive_time);
