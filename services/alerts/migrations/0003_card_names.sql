-- What a card is called, as the market said when somebody last made an alert of it; null before.
alter table watched_cards add column display_name text;
