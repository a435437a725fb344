-- How many visits a person had, over all devices: of users, and of devices that nobody has signed in on.
select
    kind,
    count() as people,
    sum(number) as visits,
    round(avg(number), 2) as visits_a_person,
    round(quantileExactInclusive(0.5)(number), 2) as median_visits,
    max(number) as most_visits
from (
    select person, if(user_id is null, 'device', 'user') as kind, count() as number
    from visits
    group by person, user_id
)
group by kind
order by kind;
