-- Moves what has arrived into the tables. Run it in the transaction that filled `arrived_...`, or at any other
-- time: each statement takes exactly the records that it sees, so nothing that arrives meanwhile is lost, and
-- what is loaded twice changes nothing.

with arrived as (
    delete from arrived_sessions returning value::jsonb as value, place
)
insert into sessions
select distinct on (value ->> 'device_id', value ->> 'session_id')
    value ->> 'device_id', value ->> 'session_id', value ->> 'session_source',
    (value ->> 'session_number')::bigint, value ->> 'session_cause',
    (value ->> 'start')::bigint, (value ->> 'end')::bigint, (value ->> 'duration_ms')::bigint,
    (value ->> 'event_count')::bigint, (value ->> 'active_count')::bigint,
    (value ->> 'view_count')::bigint, (value ->> 'is_bounce')::boolean,
    value -> 'entry_event' ->> 'id', value -> 'entry_event' ->> 'type',
    value -> 'exit_event' ->> 'id', value -> 'exit_event' ->> 'type',
    value ->> 'status', value ->> 'close_reason', value ->> 'user_id', value ->> 'merged_into',
    (value ->> 'revision')::bigint, place
from arrived
order by value ->> 'device_id', value ->> 'session_id', place desc
on conflict (device_id, session_id) do update set
    session_source = excluded.session_source,
    session_number = excluded.session_number,
    session_cause = excluded.session_cause,
    start_ms = excluded.start_ms,
    end_ms = excluded.end_ms,
    duration_ms = excluded.duration_ms,
    event_count = excluded.event_count,
    active_count = excluded.active_count,
    view_count = excluded.view_count,
    is_bounce = excluded.is_bounce,
    entry_id = excluded.entry_id,
    entry_type = excluded.entry_type,
    exit_id = excluded.exit_id,
    exit_type = excluded.exit_type,
    status = excluded.status,
    close_reason = excluded.close_reason,
    user_id = excluded.user_id,
    merged_into = excluded.merged_into,
    revision = excluded.revision,
    place = excluded.place
where excluded.place > sessions.place;

-- A tombstone (a key without a value) says that the device has expired: its timeline is deleted.
with arrived as (
    delete from arrived_identities returning key, value::jsonb as value, place
),
newest as (
    select distinct on (device_id) *
    from (select coalesce(value ->> 'device_id', key) as device_id, value, place from arrived) as named
    order by device_id, place desc
),
expired as (
    delete from identities using newest
    where newest.value is null
        and identities.device_id = newest.device_id
        and identities.place < newest.place
)
insert into identities
select
    device_id, value ->> 'user_id', (value ->> 'first_seen')::bigint, value -> 'links',
    (value ->> 'links_since')::bigint, place
from newest
where value is not null
on conflict (device_id) do update set
    user_id = excluded.user_id,
    first_seen_ms = excluded.first_seen_ms,
    links = excluded.links,
    links_since_ms = excluded.links_since_ms,
    place = excluded.place
where excluded.place > identities.place;

-- The rules hold a time at session.max_future_ms (5 minutes) after the arrival: state yours where it differs.
with arrived as (
    delete from arrived_events returning partition, place, as_jsonb(value) as value
)
insert into events
select
    partition, place, value ->> 'id', value ->> 'type', value ->> 'device_id',
    (value ->> 'timestamp')::bigint,
    case
        when (value ->> 'received_at')::bigint < (value ->> 'timestamp')::bigint - 5 * 60 * 1000
        then (value ->> 'received_at')::bigint + 5 * 60 * 1000
        else (value ->> 'timestamp')::bigint
    end,
    value ->> 'user_id', value ->> 'user_source', value ->> 'session_id', value ->> 'view_id',
    coalesce(value -> 'flags', '[]'), value -> 'data'
from arrived
on conflict (partition, place) do nothing;
