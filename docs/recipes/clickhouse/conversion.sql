-- By the day a session began on (`day_of`): how many had a purchase, and how many purchases there were in them.
-- Every purchase is in one row: those of open sessions, which may still go on, and those outside any session
-- (passive events that are near none, on the day they happened) have rows of their own, without a rate.
-- Events keep the id of a session that was merged away later, so ids are looked up in `living`.
with
bought as (
    select e.device_id as device_id, e.held_ms as held_ms, l.living_id as session_id
    from (select * from events final where type = 'purchase') as e
    left join living as l on l.device_id = e.device_id and l.session_id = e.session_id
),
bought_in as (
    select device_id, session_id, count() as purchases
    from bought where session_id is not null group by device_id, session_id
),
counted as (
    select
        s.status || ' sessions' as counted_in,
        day_of(s.start_ms) as day,
        count() as sessions,
        countIf(b.purchases > 0) as with_purchase,
        sum(coalesce(b.purchases, 0)) as purchases
    from (select * from sessions final where status != 'merged') as s
    left join bought_in as b on b.device_id = s.device_id and b.session_id = s.session_id
    group by counted_in, day
    union all
    select 'no session', day_of(held_ms) as day, 0, 0, count() from bought where session_id is null group by day
)
select
    counted_in,
    day,
    sessions,
    with_purchase,
    if(counted_in = 'closed sessions', round(100 * with_purchase / sessions, 1), null) as conversion_percent,
    purchases
from counted
order by counted_in, day
settings join_use_nulls = 1;
