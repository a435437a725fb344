-- By the day (`day_of`) a visit began on: how long visits were that were no bounces. Only closed ones count: the end
-- of an open session is that of when it was last published.
select
    day_of(start_ms) as day,
    countIf(not is_bounce) as visits,
    countIf(is_bounce) as bounces,
    round(quantileExactInclusiveIf(0.5)(duration_ms / 60000, not is_bounce), 2) as median_minutes,
    round(avgIf(duration_ms / 60000, not is_bounce), 2) as mean_minutes
from visits
where status = 'closed'
group by day
order by day;
