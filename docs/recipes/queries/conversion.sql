-- By the day a session began on (`day_of`): how many had a purchase, and how many purchases there were in them.
-- Every purchase is in one row: those of open sessions, which may still go on, and those outside any session
-- (passive events that are near none, on the day they happened) have rows of their own, without a rate.
-- Events keep the id of a session that was merged away later, so ids are looked up in `living`.
with
bought as (
    select living.device_id, living.living_id as session_id, events.held_ms
    from events
    left join living on living.device_id = events.device_id and living.session_id = events.session_id
    where events.type = 'purchase'
),
counted as (
    select
        sessions.status || ' sessions' as counted_in,
        day_of(sessions.start_ms) as day,
        count(*) as sessions,
        count(purchases.purchases) as with_purchase,
        coalesce(sum(purchases.purchases), 0) as purchases
    from sessions
    left join (
        select device_id, session_id, count(*) as purchases from bought group by device_id, session_id
    ) as purchases on purchases.device_id = sessions.device_id and purchases.session_id = sessions.session_id
    where sessions.status <> 'merged'
    group by 1, 2
    union all
    select 'no session', day_of(held_ms), 0, 0, count(*) from bought where session_id is null group by 2
)
select
    counted_in,
    day,
    sessions,
    with_purchase,
    case when counted_in = 'closed sessions' then round(100.0 * with_purchase / sessions, 1) end
        as conversion_percent,
    purchases
from counted
order by counted_in, day;
