-- Tables for sessions, identities and enriched events, and views over them, for ClickHouse 25.3 or newer.
--
-- The project's tests run this recipe only where the package chdb is installed.
--
-- A row replaces the one with the same key when its `place`, the record's offset, is greater. That happens when
-- parts are merged, some time later; so readers say FINAL, as the views here do. Why the place and not
-- `revision`: that grows while a session is remembered, but the id of a client's session that was evicted
-- begins at 1 again, and identities have none. Records that a consumer reads again replace themselves.

-- The day of a time, in ms. This is the one place that names the time zone: put yours here, as 'Europe/Berlin'.
create function day_of as (time_ms) -> toDate(fromUnixTimestamp64Milli(time_ms, 'UTC'));

create table sessions (
    device_id String,
    session_id String,
    session_source LowCardinality(String),
    session_number UInt64,
    session_cause LowCardinality(String),
    start_ms Int64,
    end_ms Int64,
    duration_ms Int64,
    event_count UInt64,
    active_count UInt64,
    view_count UInt64,
    is_bounce Bool,
    entry_id String,
    entry_type LowCardinality(String),
    exit_id String,
    exit_type LowCardinality(String),
    status LowCardinality(String),
    close_reason LowCardinality(Nullable(String)),
    user_id Nullable(String),
    merged_into Nullable(String),
    revision UInt64,
    place UInt64
) engine = ReplacingMergeTree(place) order by (device_id, session_id);

create table identities (
    device_id String,
    user_id Nullable(String),
    first_seen_ms Int64,
    links Array(Tuple(since Int64, user_id Nullable(String))),
    links_since_ms Nullable(Int64),
    place UInt64
) engine = ReplacingMergeTree(place) order by device_id;

-- Keyed by where the record stands, so that one that is read again is no second event; the device comes first
-- because most questions go by it.
create table events (
    partition UInt32,
    place UInt64,
    id String,
    type LowCardinality(String),
    device_id String,
    timestamp_ms Int64,
    held_ms Int64,  -- the time that the rules use
    user_id Nullable(String),
    user_source LowCardinality(Nullable(String)),
    session_id Nullable(String),
    view_id Nullable(String),
    flags Array(LowCardinality(String)),
    data String
) engine = ReplacingMergeTree order by (device_id, partition, place);

-- One row a link: from `since_ms` on the device is `user_id`'s, or nobody's. The first one claims the past,
-- unless links before it were given up: then that is nobody's.
create view links as
select
    device_id,
    if(number = 1 and links_since_ms is null, least(first_seen_ms, link.since), link.since) as since_ms,
    link.user_id as user_id
from identities final
array join links as link, arrayEnumerate(links) as number
union all
select device_id, first_seen_ms as since_ms, null as user_id
from identities final
where first_seen_ms < links_since_ms;

-- Events, each with the user that it belongs to as known now (`user_now`) and who did it (`person`): that user,
-- or else the device. An event's own user stays. What is older than all the timeline knows stays as delivered.
create view stitched as
select *, coalesce('user ' || user_now, 'device ' || device_id) as person
from (
    select
        e.id as id, e.type as type, e.device_id as device_id, e.held_ms as held_ms, e.session_id as session_id,
        e.user_id as user_id, e.user_source as user_source,
        multiIf(e.user_source = 'event', e.user_id, l.since_ms is not null, l.user_id, e.user_id) as user_now
    from (select * from events final) as e
    asof left join (
        select device_id, since_ms, user_id from links
    ) as l on l.device_id = e.device_id and l.since_ms <= e.held_ms
    settings join_use_nulls = 1
);

-- For every session id on an event, the session that the event belongs to now: merges followed to their end.
create view living as
with recursive followed as (
    select device_id, session_id, session_id as living_id from sessions final where status != 'merged'
    union all
    select s.device_id as device_id, s.session_id as session_id, f.living_id as living_id
    from (select * from sessions final where status = 'merged') as s
    join followed as f on f.device_id = s.device_id and f.session_id = s.merged_into
)
select * from followed;

-- Every session that counts, as a visit of a person. The user is that of the row where one of its events has it as
-- its own, else whom the timeline has now at its end, else at its start: so evicted sessions have theirs, too.
-- Number and visitor count a person's visits on all devices. Pages and referrer are the properties `url` and
-- `referrer` of the events that begin and end it, put yours in their place; where an id was sent more than once,
-- of the event with the session's times.
create view visits as
with
entry as (
    select
        s.device_id as device_id, s.session_id as session_id,
        JSONExtract(e.data, 'url', 'Nullable(String)') as landing_page,
        JSONExtract(e.data, 'referrer', 'Nullable(String)') as referrer
    from (select * from sessions final) as s
    join (select * from events final) as e on e.device_id = s.device_id and e.id = s.entry_id
    order by e.type = s.entry_type desc, e.held_ms = s.start_ms desc, e.place
    limit 1 by device_id, session_id
),
exit as (
    select
        s.device_id as device_id, s.session_id as session_id,
        JSONExtract(e.data, 'url', 'Nullable(String)') as exit_page
    from (select * from sessions final) as s
    join (select * from events final) as e on e.device_id = s.device_id and e.id = s.exit_id
    order by e.type = s.exit_type desc, e.held_ms = s.end_ms desc, e.place desc
    limit 1 by device_id, session_id
),
owned as (
    select distinct s.device_id as device_id, s.session_id as session_id, 1 as is_owned
    from (select * from sessions final) as s
    join living as l on l.device_id = s.device_id and l.living_id = s.session_id
    join (select * from events final where user_source = 'event') as e
        on e.device_id = l.device_id and e.session_id = l.session_id and e.user_id = s.user_id
),
ended as (
    select s.*, l.since_ms as known_since_ms, l.user_id as end_user
    from (select * from sessions final where status != 'merged') as s
    asof left join (select device_id, since_ms, user_id from links) as l
        on l.device_id = s.device_id and l.since_ms <= s.end_ms
),
begun as (
    select e.*, l.user_id as start_user
    from ended as e
    asof left join (select device_id, since_ms, user_id from links) as l
        on l.device_id = e.device_id and l.since_ms <= e.start_ms
),
persons as (
    select
        b.* except (user_id),
        if(o.is_owned = 1 or b.known_since_ms is null, b.user_id, coalesce(b.end_user, b.start_user)) as user_id,
        coalesce('user ' || user_id, 'device ' || device_id) as person
    from begun as b
    left join owned as o on o.device_id = b.device_id and o.session_id = b.session_id
)
select
    person,
    row_number() over (partition by person order by start_ms, device_id, session_id) as visit_number,
    if(visit_number = 1, 'new', 'returning') as visitor,
    device_id, session_id, user_id, status, start_ms, end_ms, duration_ms,
    event_count, active_count, view_count, is_bounce,
    entry_id, entry_type, landing_page, referrer, exit_id, exit_type, exit_page
from persons
left join entry using (device_id, session_id)
left join exit using (device_id, session_id)
settings join_use_nulls = 1;
