-- By the day (UTC) a session began on: how many had a purchase.
-- Events keep the id of a session that was merged away later, so ids are looked up in `living`. Events without
-- a session (passive ones that are near none) belong to no row.
select
    day,
    count(*) as sessions,
    count(bought.session_id) as with_purchase,
    round(100.0 * count(bought.session_id) / count(*), 1) as conversion_percent
from sessions
left join (
    select distinct living.device_id, living.living_id as session_id
    from events
    join living on living.device_id = events.device_id and living.session_id = events.session_id
    where events.type = 'purchase'
) as bought on bought.device_id = sessions.device_id and bought.session_id = sessions.session_id
where status = 'closed'
group by day
order by day;
