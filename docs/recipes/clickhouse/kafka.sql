-- Fills the tables from Kafka: one table with the Kafka engine a topic, and a view that turns what it reads into
-- rows. Name your brokers and topics. Only what was committed is read, as it must be (read_committed is the
-- default of librdkafka, which the engine uses). Its offsets are committed after the rows are in, so that some
-- may come twice; `place` makes nothing of it.
--
-- The engine passes over tombstones, so the timeline of a device that has expired stays in `identities`.

create table sessions_queue (
    device_id String,
    session_id String,
    session_source String,
    session_number UInt64,
    session_cause String,
    `start` Int64,
    `end` Int64,
    duration_ms Int64,
    event_count UInt64,
    active_count UInt64,
    view_count UInt64,
    is_bounce Bool,
    entry_event Tuple(id String, type String),
    exit_event Tuple(id String, type String),
    status String,
    close_reason Nullable(String),
    user_id Nullable(String),
    merged_into Nullable(String),
    revision UInt64
) engine = Kafka settings
    kafka_broker_list = 'localhost:9092', kafka_topic_list = 'events.sessions',
    kafka_group_name = 'clickhouse-sessions', kafka_format = 'JSONEachRow';

create materialized view sessions_fed to sessions as
select
    device_id, session_id, session_source, session_number, session_cause,
    `start` as start_ms, `end` as end_ms, duration_ms,
    event_count, active_count, view_count, is_bounce,
    entry_event.id as entry_id, entry_event.type as entry_type,
    exit_event.id as exit_id, exit_event.type as exit_type,
    status, close_reason, user_id, merged_into, revision, _offset as place
from sessions_queue;

create table identities_queue (
    device_id String,
    user_id Nullable(String),
    first_seen Int64,
    links Array(Tuple(since Int64, user_id Nullable(String))),
    links_since Nullable(Int64)
) engine = Kafka settings
    kafka_broker_list = 'localhost:9092', kafka_topic_list = 'events.identities',
    kafka_group_name = 'clickhouse-identities', kafka_format = 'JSONEachRow';

create materialized view identities_fed to identities as
select device_id, user_id, first_seen as first_seen_ms, links, links_since as links_since_ms, _offset as place
from identities_queue;

-- `data` comes as it was sent: the engine takes an object as text where the column is a String.
create table events_queue (
    id String,
    type String,
    device_id String,
    `timestamp` Int64,
    received_at Nullable(Int64),
    user_id Nullable(String),
    user_source Nullable(String),
    session_id Nullable(String),
    view_id Nullable(String),
    flags Array(String),
    data String
) engine = Kafka settings
    kafka_broker_list = 'localhost:9092', kafka_topic_list = 'events.enriched',
    kafka_group_name = 'clickhouse-events', kafka_format = 'JSONEachRow';

-- The rules hold a time at session.max_future_ms (5 minutes) after the arrival: state yours where it differs.
create materialized view events_fed to events as
select
    _partition as partition, _offset as place, id, type, device_id, `timestamp` as timestamp_ms,
    if(received_at < `timestamp` - 5 * 60 * 1000, received_at + 5 * 60 * 1000, `timestamp`) as held_ms,
    user_id, user_source, session_id, view_id, flags, data
from events_queue;
