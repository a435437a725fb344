-- By the first event of a visit: how many sessions had that one event and no other.
-- Only closed sessions: an open one may still go on. Passive events count as events.
select
    entry_type,
    count() as sessions,
    countIf(event_count = 1) as bounces,
    round(100 * countIf(event_count = 1) / count(), 1) as bounce_percent
from sessions final
where status = 'closed'
group by entry_type
order by sessions desc, entry_type;
