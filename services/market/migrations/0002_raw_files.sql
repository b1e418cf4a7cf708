-- Where the file's bytes are kept; null where it came before files were kept.
alter table imports add column raw text;
