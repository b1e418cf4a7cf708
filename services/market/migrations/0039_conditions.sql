-- Of copies in which condition a source quotes; empty until the market says so as it starts.
alter table sources add column condition text not null default '';
