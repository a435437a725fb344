-- By the day (UTC) a session began on: how many had a purchase.
-- Events keep the id of a session that was merged away later, so ids are looked up in `living`. Events without
-- a session (passive ones that are near none) belong to no row.
select
    toDate(fromUnixTimestamp64Milli(start_ms, 'UTC'), 'UTC') as day,
    count() as sessions,
    countIf((device_id, session_id) in (
        select living.device_id, living.living_id
        from (
            select device_id, session_id from events final where type = 'purchase' and session_id is not null
        ) as bought
        join living on living.device_id = bought.device_id and living.session_id = bought.session_id
    )) as with_purchase,
    round(100 * with_purchase / count(), 1) as conversion_percent
from sessions final
where status = 'closed'
group by day
order by day;
