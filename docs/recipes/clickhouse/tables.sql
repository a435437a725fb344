-- Tables for sessions, identities and enriched events, and views over them, for ClickHouse 25.3 or newer.
--
-- The project's tests do not run this recipe: they cannot ask for a ClickHouse server.
--
-- A row replaces the one with the same key when its `place`, the record's offset, is greater. That happens when
-- parts are merged, some time later; so readers say FINAL, as the views here do. Why the place and not
-- `revision`: that grows while a session is remembered, but the id of a client's session that was evicted
-- begins at 1 again, and identities have none. Records that a consumer reads again replace themselves.

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
    entry_type LowCardinality(String),
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
