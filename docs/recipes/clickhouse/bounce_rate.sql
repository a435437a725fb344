-- By the first event of a visit: how many sessions were bounces (`is_bounce`: at most one active event).
-- Only closed sessions: an open one may still go on. Passive events make no bounce a visit.
select
    entry_type,
    count() as sessions,
    countIf(is_bounce) as bounces,
    round(100 * countIf(is_bounce) / count(), 1) as bounce_percent
from sessions final
where status = 'closed'
group by entry_type
order by sessions desc, entry_type;
