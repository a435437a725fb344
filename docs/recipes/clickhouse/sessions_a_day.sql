-- Sessions by the day (UTC) they began on, with their devices, users, events and length.
-- Merged sessions do not count. An open one has the figures of when it was last published, so events and length
-- are those of closed ones.
select
    toDate(fromUnixTimestamp64Milli(start_ms, 'UTC'), 'UTC') as day,
    count() as sessions,
    uniqExact(device_id) as devices,
    uniqExact(user_id) as users,
    countIf(status = 'open') as still_open,
    round(avgIf(event_count, status = 'closed'), 2) as events_a_session,
    round(avgIf(duration_ms, status = 'closed') / 60000, 2) as minutes_a_session
from sessions final
where status != 'merged'
group by day
order by day;
