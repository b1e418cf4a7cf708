-- From which, with a key that is not in the database, the secret of an answer is found again; null
-- where the answer shows none.
alter table request_keys add column salt bytea;
