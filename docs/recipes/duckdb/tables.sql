-- Views over what `sessionizer replay` and `sessionizer demo` write, in the directory it is run in.
-- sessions.ndjson and identities.ndjson hold the last record of each session and device there, so nothing has
-- to be picked by `revision`. Column types are stated, not guessed: a field that no line has is there all the
-- same, and an id of digits stays text.

-- The day of a time, in ms. This is the one place that names the time zone: put yours here, as 'Europe/Berlin'.
create or replace macro day_of(time_ms) as cast(make_timestamptz(time_ms * 1000) at time zone 'UTC' as date);

create or replace view sessions as
select
    device_id, session_id, session_source, session_number, session_cause,
    "start" as start_ms, "end" as end_ms, duration_ms,
    event_count, active_count, view_count, is_bounce,
    entry_event.id as entry_id, entry_event.type as entry_type,
    exit_event.id as exit_id, exit_event.type as exit_type,
    status, close_reason, user_id, merged_into
from read_json('sessions.ndjson', format = 'newline_delimited', columns = {
    device_id: 'VARCHAR', session_id: 'VARCHAR', session_source: 'VARCHAR', session_number: 'BIGINT',
    session_cause: 'VARCHAR', "start": 'BIGINT', "end": 'BIGINT', duration_ms: 'BIGINT',
    event_count: 'BIGINT', active_count: 'BIGINT', view_count: 'BIGINT', is_bounce: 'BOOLEAN',
    entry_event: 'STRUCT(id VARCHAR, type VARCHAR)', exit_event: 'STRUCT(id VARCHAR, type VARCHAR)',
    status: 'VARCHAR', close_reason: 'VARCHAR', user_id: 'VARCHAR', merged_into: 'VARCHAR'
});

-- `held_ms` is the time that the rules use: at most session.max_future_ms (5 minutes) after the arrival.
create or replace view events as
select
    id, type, device_id, "timestamp" as timestamp_ms,
    case when received_at < "timestamp" - 5 * 60 * 1000 then received_at + 5 * 60 * 1000 else "timestamp" end as held_ms,
    user_id, user_source, session_id, view_id, flags, data,
    row_number() over () as place  -- in order of arrival
from read_json('enriched.ndjson', format = 'newline_delimited', columns = {
    id: 'VARCHAR', type: 'VARCHAR', device_id: 'VARCHAR', "timestamp": 'BIGINT', received_at: 'BIGINT',
    user_id: 'VARCHAR', user_source: 'VARCHAR', session_id: 'VARCHAR', view_id: 'VARCHAR',
    flags: 'VARCHAR[]', data: 'JSON'
});

create or replace view identities as
select device_id, first_seen as first_seen_ms, links, links_since as links_since_ms
from read_json('identities.ndjson', format = 'newline_delimited', columns = {
    device_id: 'VARCHAR', first_seen: 'BIGINT', links: 'STRUCT(since BIGINT, user_id VARCHAR)[]',
    links_since: 'BIGINT'
});

-- One row a link: from `since_ms` on the device is `user_id`'s, or nobody's. The first one claims the past,
-- unless links before it were given up: then that is nobody's.
create or replace view links as
select
    device_id,
    case
        when place = 1 and links_since_ms is null then least(first_seen_ms, links[place].since)
        else links[place].since
    end as since_ms,
    links[place].user_id as user_id
from (select *, unnest(range(1, len(links) + 1)) as place from identities)
union all
select device_id, first_seen_ms, null from identities where first_seen_ms < links_since_ms;

-- Events, each with the user that it belongs to as known now (`user_now`) and who did it (`person`): that user,
-- or else the device. An event's own user stays. What is older than all the timeline knows stays as delivered.
create or replace view stitched as
select *, coalesce('user ' || user_now, 'device ' || device_id) as person
from (
    select
        events.*,
        case
            when events.user_source = 'event' then events.user_id
            when links.since_ms is not null then links.user_id
            else events.user_id
        end as user_now
    from events
    asof left join links on links.device_id = events.device_id and links.since_ms <= events.held_ms
);

-- For every session id on an event, the session that the event belongs to now: merges followed to their end.
create or replace view living as
with recursive followed(device_id, session_id, living_id) as (
    select device_id, session_id, session_id from sessions where status <> 'merged'
    union all
    select sessions.device_id, sessions.session_id, followed.living_id
    from sessions
    join followed on followed.device_id = sessions.device_id and followed.session_id = sessions.merged_into
    where sessions.status = 'merged'
)
select * from followed;

-- Every session that counts, as a visit of a person. The user is that of the row where one of its events has it as
-- its own, else whom the timeline has now at its end, else at its start: so evicted sessions have theirs, too.
-- Number and visitor count a person's visits on all devices. Pages and referrer are the properties `url` and
-- `referrer` of the events that begin and end it, put yours in their place; where an id was sent more than once,
-- of the event with the session's times.
create or replace view visits as
with
entry as (
    select distinct on (sessions.device_id, sessions.session_id)
        sessions.device_id, sessions.session_id,
        events.data ->> 'url' as landing_page, events.data ->> 'referrer' as referrer
    from sessions
    join events on events.device_id = sessions.device_id and events.id = sessions.entry_id
    order by
        sessions.device_id, sessions.session_id,
        events.type = sessions.entry_type desc, events.held_ms = sessions.start_ms desc, events.place
),
exit as (
    select distinct on (sessions.device_id, sessions.session_id)
        sessions.device_id, sessions.session_id, events.data ->> 'url' as exit_page
    from sessions
    join events on events.device_id = sessions.device_id and events.id = sessions.exit_id
    order by
        sessions.device_id, sessions.session_id,
        events.type = sessions.exit_type desc, events.held_ms = sessions.end_ms desc, events.place desc
),
owned as (
    select distinct sessions.device_id, sessions.session_id
    from sessions
    join living on living.device_id = sessions.device_id and living.living_id = sessions.session_id
    join events on events.device_id = living.device_id and events.session_id = living.session_id
    where events.user_source = 'event' and events.user_id = sessions.user_id
),
stitched_sessions as (
    select
        sessions.* exclude (user_id),
        case
            when owned.session_id is not null or at_end.since_ms is null then sessions.user_id
            else coalesce(at_end.user_id, at_start.user_id)
        end as user_id
    from sessions
    asof left join links as at_end
        on at_end.device_id = sessions.device_id and at_end.since_ms <= sessions.end_ms
    asof left join links as at_start
        on at_start.device_id = sessions.device_id and at_start.since_ms <= sessions.start_ms
    left join owned on owned.device_id = sessions.device_id and owned.session_id = sessions.session_id
    where sessions.status <> 'merged'
),
persons as (
    select *, coalesce('user ' || user_id, 'device ' || device_id) as person from stitched_sessions
),
numbered as (
    select *, row_number() over (partition by person order by start_ms, device_id, session_id) as visit_number
    from persons
)
select
    person, visit_number, case when visit_number = 1 then 'new' else 'returning' end as visitor,
    device_id, session_id, user_id, status, start_ms, end_ms, duration_ms,
    event_count, active_count, view_count, is_bounce,
    entry_id, entry_type, landing_page, referrer, exit_id, exit_type, exit_page
from numbered
left join entry using (device_id, session_id)
left join exit using (device_id, session_id);
