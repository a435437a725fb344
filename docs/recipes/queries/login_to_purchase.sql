-- From a user's first login to the first purchase after it, on whichever device: how many bought, how many of them
-- on another device than they had signed in on, and how long it took.
with
login as (
    select distinct on (person) person, device_id, held_ms
    from stitched
    where type = 'login' and user_now is not null
    order by person, held_ms, device_id
),
purchase as (
    select distinct on (login.person)
        login.person,
        stitched.device_id <> login.device_id as is_elsewhere,
        (stitched.held_ms - login.held_ms) / 60000.0 as minutes
    from login
    join stitched on stitched.person = login.person
    where stitched.type = 'purchase' and stitched.held_ms >= login.held_ms
    order by login.person, stitched.held_ms, stitched.device_id
)
select
    (select count(*) from login) as logged_in,
    count(*) as bought,
    count(*) filter (where is_elsewhere) as on_another_device,
    round(cast(percentile_cont(0.5) within group (order by minutes) as numeric(30, 9)), 2) as median_minutes,
    round(cast(avg(minutes) as numeric(30, 9)), 2) as mean_minutes
from purchase;
