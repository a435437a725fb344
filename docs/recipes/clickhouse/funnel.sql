-- How many people saw a product, then put one into the cart, then bought: in this order, over all sessions and
-- devices. The anonymous past of a user is his: someone who looked before he signed in is one person.
-- An event that was sent twice changes nothing here, but where it links the device to its user again.
with
viewed as (
    select person, min(held_ms) as at_ms from stitched where type = 'product_view' group by person
),
carted as (
    select person, min(held_ms) as at_ms
    from stitched join viewed using (person)
    where type = 'add_to_cart' and held_ms >= viewed.at_ms
    group by person
),
bought as (
    select person, min(held_ms) as at_ms
    from stitched join carted using (person)
    where type = 'purchase' and held_ms >= carted.at_ms
    group by person
),
steps as (
    select 1 as step, 'product_view' as type, person from viewed
    union all
    select 2, 'add_to_cart', person from carted
    union all
    select 3, 'purchase', person from bought
)
select
    step,
    type,
    count() as people,
    countIf(startsWith(person, 'user ')) as known_users,
    round(100.0 * count() / (select count() from viewed), 1) as percent_of_first
from steps
group by step, type
order by step;
