-- How long users were known before they signed in: from the first event that is theirs as known now, on whichever
-- device, to their first login. `at_once`: the login was the first that was seen of them.
with waited as (
    select (minIf(held_ms, type = 'login') - min(held_ms)) / 60000 as minutes
    from stitched
    where user_now is not null
    group by person
    having countIf(type = 'login') > 0
)
select
    count() as users,
    countIf(minutes = 0) as at_once,
    round(quantileExactInclusive(0.5)(minutes), 2) as median_minutes,
    round(avg(minutes), 2) as mean_minutes
from waited;
