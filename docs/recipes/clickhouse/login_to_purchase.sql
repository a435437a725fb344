-- From a user's first login to the first purchase after it, on whichever device: how many bought, how many of them
-- on another device than they had signed in on, and how long it took.
with
login as (
    select person, argMin(device_id, (held_ms, device_id)) as device_id, min(held_ms) as at_ms
    from stitched
    where type = 'login' and user_now is not null
    group by person
),
purchase as (
    select
        l.person as person,
        argMin(s.device_id, (s.held_ms, s.device_id)) != any(l.device_id) as is_elsewhere,
        (min(s.held_ms) - any(l.at_ms)) / 60000 as minutes
    from login as l
    join stitched as s on s.person = l.person
    where s.type = 'purchase' and s.held_ms >= l.at_ms
    group by person
)
select
    (select count() from login) as logged_in,
    count() as bought,
    countIf(is_elsewhere) as on_another_device,
    round(quantileExactInclusive(0.5)(minutes), 2) as median_minutes,
    round(avg(minutes), 2) as mean_minutes
from purchase;
