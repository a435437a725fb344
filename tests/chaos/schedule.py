"""What is going to be done to a deployment, and when: a function of a seed.

Four lanes run beside each other, each one fault after the other: to workers, to brokers, to their network,
and by who administers them.
Knows names of faults and nothing of how they are carried out. Invariant: the same seed, duration and sizes
give the same schedule; a longer one begins with the shorter.
"""

import random
from collections.abc import Mapping, Sequence

from msgspec import Struct

from testing.kafka.proxy import Api
from tests.chaos.administration import RIGHTS
from tests.chaos.crashing_worker import POINTS
from tests.chaos.damage import DAMAGES


class Fault(Struct, frozen=True, kw_only=True):
    """One fault. ``pause_s`` passes before it, in its lane; it lasts ``seconds`` where that means something.

    ``target`` is the number of a worker or broker; ``detail`` says which of many, ``chance`` is for what is
    chosen only when it happens, ``rate`` is in bytes a second and broker.
    """

    kind: str
    pause_s: float
    target: int = 0
    seconds: float = 0.0
    detail: str = ""
    chance: int = 0
    rate: int = 0


Lanes = Mapping[str, Sequence[Fault]]

_WORKERS = {"kill": 40, "crash": 15, "stop": 10, "zombie": 8, "scale": 12, "damage": 15, "disk full": 8}
_BROKERS = {"broker kill": 55, "broker pause": 35, "outage": 10}
_NETWORK = {"cut": 20, "reset": 10, "silence": 15, "request lost": 15, "answer lost": 15, "answer eaten": 10}
_HELD = {"EndTxn held": 15}
_ADMINISTRATION = {"rights": 35, "password": 25, "quota": 25, "records deleted": 15}


def schedule(seed: int, duration_s: float, *, mortals: int, brokers: int) -> Lanes:
    """Faults for so long. ``mortals`` is how many workers may be killed."""
    lanes = (
        ("workers", 5.0, _WORKERS, mortals),
        ("brokers", 40.0, _BROKERS, brokers),
        ("network", 8.0, {**_NETWORK, **_HELD}, brokers),
        ("administration", 10.0, _ADMINISTRATION, brokers),
    )
    return {
        name: lane(f"{seed}/{name}", duration_s, mean_pause_s, weights, targets)
        for name, mean_pause_s, weights, targets in lanes
    }


def lane(
    seed: str, duration_s: float, mean_pause_s: float, weights: Mapping[str, int], targets: int
) -> list[Fault]:
    """One fault after the other, each kind as often as its weight says; ``targets``: how many there are."""
    rng = random.Random(seed)
    faults: list[Fault] = []
    passed_s = 0.0
    while passed_s < duration_s:
        fault = _fault(rng, rng.choices(list(weights), list(weights.values()))[0], mean_pause_s, targets)
        passed_s += fault.pause_s
        faults.append(fault)
    return faults


def _fault(rng: random.Random, kind: str, mean_pause_s: float, targets: int) -> Fault:
    pause_s, target, chance = rng.expovariate(1 / mean_pause_s), rng.randrange(targets), rng.getrandbits(32)
    seconds, detail, rate = 0.0, "", 0
    if kind in ("kill", "broker kill", "collector kill"):
        seconds = rng.expovariate(1 / 2.0)  # how long it stays down
    elif kind == "crash":
        detail = rng.choice(POINTS)
    elif kind == "collector pause":
        seconds = rng.uniform(0.5, 8.0)
    elif kind == "zombie":
        seconds = rng.uniform(7.0, 12.0)
    elif kind == "damage":
        detail = rng.choice(list(DAMAGES))
    elif kind == "disk full":
        seconds = rng.uniform(5.0, 20.0)
    elif kind == "broker pause":
        seconds = rng.uniform(10.0, 30.0)
    elif kind == "outage":
        seconds = rng.uniform(20.0, 60.0)
    elif kind == "silence":
        seconds = rng.uniform(2.0, 12.0)
    elif kind == "EndTxn held":
        seconds = rng.uniform(0.2, 8.0)
    elif kind in ("request lost", "answer lost", "answer eaten"):
        detail = rng.choice([api.name for api in Api])
    elif kind == "rights":
        seconds, detail = rng.uniform(5.0, 30.0), rng.choice(RIGHTS)
    elif kind == "password":
        seconds, detail = rng.uniform(0.0, 8.0), rng.choice(("file first", "brokers first"))
    elif kind == "quota":
        seconds, detail = rng.uniform(10.0, 30.0), rng.choice(("producer_byte_rate", "consumer_byte_rate"))
        rate = round(10_000 * 20 ** rng.random())
    elif kind == "records deleted":
        detail = rng.choice(("raw", "repartition"))
    return Fault(
        kind=kind, pause_s=pause_s, target=target, seconds=seconds, detail=detail, chance=chance, rate=rate
    )
