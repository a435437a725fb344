-- Where people came first: landing page and referrer of each person's first visit, on whichever device, and how
-- many of them have bought since. '(none)': the first event of that visit has no such property.
select
    coalesce(visits.landing_page, '(none)') as landing_page,
    coalesce(visits.referrer, '(none)') as referrer,
    count(*) as people,
    count(visits.user_id) as known_users,
    count(buyers.person) as buyers
from visits
left join (select distinct person from stitched where type = 'purchase') as buyers
    on buyers.person = visits.person
where visits.visit_number = 1
group by 1, 2
order by people desc, 1, 2;
