-- Sessions by the day they began on (`day_of`), with their devices, users, events and length.
-- Merged sessions do not count. An open one has the figures of when it was last published, so events and length
-- are those of closed ones. The users are those known now (`visits`): the rows of evicted sessions lack them.
select
    day_of(start_ms) as day,
    count() as sessions,
    uniqExact(device_id) as devices,
    uniqExact(user_id) as users,
    countIf(status = 'open') as still_open,
    round(avgIf(event_count, status = 'closed'), 2) as events_a_session,
    round(avgIf(duration_ms, status = 'closed') / 60000, 2) as minutes_a_session
from visits
group by day
order by day;
