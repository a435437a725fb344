-- Whose events are: as it was known when they went out, and as it is known now.
-- `nobody` that became `somebody` is the anonymous past of users, claimed by a later login.
select
    coalesce(user_source, 'nobody') as as_delivered,
    case when user_now is null then 'nobody' else 'somebody' end as as_known_now,
    count(*) as events,
    count(distinct device_id) as devices
from stitched
group by as_delivered, as_known_now
order by as_delivered, as_known_now;
