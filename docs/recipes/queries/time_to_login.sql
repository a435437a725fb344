-- How long users were known before they signed in: from the first event that is theirs as known now, on whichever
-- device, to their first login. `at_once`: the login was the first that was seen of them.
with
login as (
    select person, min(held_ms) as at_ms from stitched where type = 'login' and user_now is not null group by person
),
waited as (
    select login.person, (login.at_ms - min(stitched.held_ms)) / 60000.0 as minutes
    from login
    join stitched on stitched.person = login.person
    group by login.person, login.at_ms
)
select
    count(*) as users,
    count(*) filter (where minutes = 0) as at_once,
    round(cast(percentile_cont(0.5) within group (order by minutes) as numeric(30, 9)), 2) as median_minutes,
    round(cast(avg(minutes) as numeric(30, 9)), 2) as mean_minutes
from waited;
