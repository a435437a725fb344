-- By the day (`day_of`) a visit began on: visits of people who were new, and of those who had been there before on
-- any of their devices. `session_number` cannot say it: it counts from 1 on each device.
select
    day_of(start_ms) as day,
    count(*) as visits,
    count(*) filter (where visitor = 'new') as new_visitors,
    count(*) filter (where visitor = 'returning') as returning_visits,
    count(distinct person) as people
from visits
group by 1
order by 1;
