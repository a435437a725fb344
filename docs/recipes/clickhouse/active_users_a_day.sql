-- By the day (`day_of`) of the events: who was there. A person is a user, over all devices and with the anonymous
-- past as it is known now, or else a device. After a logout one human is a user and a device.
select
    day_of(held_ms) as day,
    uniqExact(person) as people,
    uniqExact(user_now) as users,
    uniqExact(device_id) as devices,
    count() as events
from stitched
group by day
order by day;
