-- By the day (`day_of`) a visit began on: how long visits were that were no bounces. Only closed ones count: the end
-- of an open session is that of when it was last published.
select
    day_of(start_ms) as day,
    count(*) filter (where not is_bounce) as visits,
    count(*) filter (where is_bounce) as bounces,
    round(cast(
        percentile_cont(0.5) within group (order by duration_ms / 60000.0) filter (where not is_bounce) as numeric
    ), 2) as median_minutes,
    round(cast(avg(duration_ms / 60000.0) filter (where not is_bounce) as numeric(30, 9)), 2) as mean_minutes
from visits
where status = 'closed'
group by 1
order by 1;
