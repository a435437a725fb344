-- How many visits a person had, over all devices: of users, and of devices that nobody has signed in on.
select
    kind,
    count(*) as people,
    sum(visits) as visits,
    round(avg(visits), 2) as visits_a_person,
    round(cast(percentile_cont(0.5) within group (order by visits) as numeric(30, 9)), 2) as median_visits,
    max(visits) as most_visits
from (
    select person, case when user_id is null then 'device' else 'user' end as kind, count(*) as visits
    from visits
    group by person, user_id
) as people
group by kind
order by kind;
