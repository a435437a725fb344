-- Sessions by the day they began on (`day_of`), with their devices, users, events and length.
-- Merged sessions do not count. An open one has the figures of when it was last published, so events and length
-- are those of closed ones. The users are those known now (`visits`): the rows of evicted sessions lack them.
select
    day_of(start_ms) as day,
    count(*) as sessions,
    count(distinct device_id) as devices,
    count(distinct user_id) as users,
    count(*) filter (where status = 'open') as still_open,
    round(avg(event_count) filter (where status = 'closed'), 2) as events_a_session,
    round(avg(duration_ms) filter (where status = 'closed') / 60000, 2) as minutes_a_session
from visits
group by 1
order by 1;
