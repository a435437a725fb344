-- Where people came first: landing page and referrer of each person's first visit, on whichever device, and how
-- many of them have bought since. '(none)': the first event of that visit has no such property.
select
    coalesce(v.landing_page, '(none)') as landing_page,
    coalesce(v.referrer, '(none)') as referrer,
    count() as people,
    count(v.user_id) as known_users,
    countIf(v.person in (select person from stitched where type = 'purchase')) as buyers
from visits as v
where v.visit_number = 1
group by 1, 2
order by people desc, 1, 2;
