"""The hub of the live page: who gets which message, what is kept, and what one gets who comes back."""

import asyncio

import pytest

from worker.live.hub import FullError, Hub, Message, Subscription


def message(number: int, device: str = "d1") -> Message:
    return Message("event", device, b'{"n":%d}' % number, 1_772_445_600_000)


def numbers(subscription: Subscription) -> list[int]:
    return [number for number, _ in subscription.backlog]


def waiting(subscription: Subscription) -> list[bytes]:
    """What the subscription has queued, up to its end."""

    async def drain() -> list[bytes]:
        subscription.close()
        return [each[1].value async for each in subscription.messages(60) if each is not None]

    return asyncio.run(drain())


def test_a_page_gets_its_devices_messages_in_order() -> None:
    hub = Hub()
    mine, other = hub.subscribe("d1"), hub.subscribe("d2")
    for number in range(3):
        hub.publish(message(number))
    assert waiting(mine) == [b'{"n":0}', b'{"n":1}', b'{"n":2}']
    assert waiting(other) == []


def test_who_comes_back_gets_what_was_missed_and_no_more() -> None:
    hub = Hub()
    hub.unsubscribe(hub.subscribe("d1"))
    for number in range(5):
        hub.publish(message(number))
    back = hub.subscribe("d1", f"{hub.epoch}-3")
    assert numbers(back) == [4, 5]
    assert not back.missed
    assert numbers(hub.subscribe("d1", f"{hub.epoch}-5")) == []


def test_who_comes_new_gets_what_is_kept() -> None:
    hub = Hub(kept=2)
    hub.subscribe("d1")
    for number in range(3):
        hub.publish(message(number))
    new = hub.subscribe("d1")
    assert numbers(new) == [2, 3]
    assert not new.missed


@pytest.mark.parametrize(
    "last_id",
    ["{epoch}-1", "{epoch}-6", "0000-3", "{epoch}-", "{epoch}--1", "{epoch}-٣", "x", "{epoch}-" + "9" * 400],
)
def test_who_asks_for_what_is_not_kept_gets_all_and_learns_it(last_id: str) -> None:
    hub = Hub(kept=3)
    hub.subscribe("d1")
    for number in range(5):
        hub.publish(message(number))
    back = hub.subscribe("d1", last_id.format(epoch=hub.epoch))
    assert back.missed
    assert numbers(back) == [3, 4, 5]


def test_the_oldest_id_that_can_be_gone_on_from_is_the_one_before_what_is_kept() -> None:
    hub = Hub(kept=3)
    hub.subscribe("d1")
    for number in range(5):
        hub.publish(message(number))
    assert not hub.subscribe("d1", f"{hub.epoch}-2").missed


def test_only_devices_that_are_watched_are_kept() -> None:
    now = [0.0]
    hub = Hub(kept=10, now=lambda: now[0])
    hub.publish(message(1))
    first = hub.subscribe("d1")
    assert numbers(first) == [], "nobody watched it"
    for number in range(1_000):
        hub.publish(message(number, device=f"other-{number}"))
    hub.publish(message(2))
    hub.unsubscribe(first)
    now[0] = 599
    hub.publish(message(3))
    assert numbers(hub.subscribe("d1", f"{hub.epoch}-1")) == [2]
    now[0] = 2_000
    hub.publish(message(4))
    assert numbers(hub.subscribe("d1", f"{hub.epoch}-2")) == [3], "its page is open, however long"


def test_a_page_that_reads_too_slowly_is_closed() -> None:
    hub = Hub(queue=4)
    slow = hub.subscribe("d1")
    for number in range(6):
        hub.publish(message(number))
    assert slow.closed
    assert len(waiting(slow)) == 4
    back = hub.subscribe("d1", f"{hub.epoch}-4")
    assert numbers(back) == [5, 6]


def test_no_more_pages_than_allowed() -> None:
    hub = Hub(subscribers=2)
    first = hub.subscribe("d1")
    hub.subscribe("d1")
    with pytest.raises(FullError):
        hub.subscribe("d2")
    hub.unsubscribe(first)
    hub.unsubscribe(first)
    hub.subscribe("d2")
    assert hub.subscribers == 2


def test_every_page_gets_to_know_that_brokers_are_away() -> None:
    hub = Hub()
    pages = [hub.subscribe("d1"), hub.subscribe("d2")]
    for connected in (True, True, False):
        hub.set_connected(connected)
    assert [waiting(page) for page in pages] == 2 * [[b'{"kafka":true}', b'{"kafka":false}']]


def test_the_newest_dead_letters_of_all_devices_are_kept() -> None:
    hub = Hub()
    for number in range(101):
        hub.publish(Message("dead_letter", "", b"%d" % number, 0))
    letters = hub.dead_letters()
    assert (len(letters), letters[0].value, letters[-1].value) == (100, b"1", b"100")
