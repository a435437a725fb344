-- Loads what `sessionizer replay` wrote into the directory that psql is run in, and replaces what was there.
-- The odd delimiter and quote are characters that a line of JSON never holds: a line is one value as it is.
\set ON_ERROR_STOP on
begin;
truncate sessions, identities, events, arrived_sessions, arrived_identities, arrived_events;
\copy arrived_sessions (value) from 'sessions.ndjson' with (format csv, delimiter e'\x01', quote e'\x02')
\copy arrived_identities (value) from 'identities.ndjson' with (format csv, delimiter e'\x01', quote e'\x02')
\copy arrived_events (value) from 'enriched.ndjson' with (format csv, delimiter e'\x01', quote e'\x02')
\ir upsert.sql
commit;
