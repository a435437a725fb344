"""The demo's shop: its products, pages and visitors' names.

Data only. What visitors do is decided in ``personas`` and ``device``.
"""

from typing import NamedTuple


class Product(NamedTuple):
    """One thing on sale. ``price`` in euros."""

    number: str
    title: str
    price: float


PRODUCTS = (
    Product("p-101", "Trail running shoes", 119.0),
    Product("p-102", "Rain jacket, packable", 89.9),
    Product("p-103", "Merino base layer", 64.5),
    Product("p-104", "Two-person tent", 249.0),
    Product("p-105", "Camp stove", 54.95),
    Product("p-106", "Head torch, 400 lm", 39.9),
    Product("p-107", "Sleeping bag, -5 °C", 179.0),
    Product("p-108", "Trekking poles", 74.0),
    Product("p-109", "Water filter", 44.9),
    Product("p-110", "Down vest", 129.0),
    Product("p-111", "Dry bag, 20 l", 24.5),
    Product("p-112", "Children's backpack", 49.0),
)

CATEGORIES = ("shoes", "jackets", "tents", "sleeping", "cooking", "kids", "sale", "new")

SEARCHES = ("tent", "rain jacket women", "waterproof", "gift", "head torch", "size 43", "zelt", "sac à dos")

REFERRERS = (
    "https://www.google.com/",
    "https://duckduckgo.com/",
    "https://news.ycombinator.com/",
    "https://mail.example/newsletter/47",
    None,
    None,
)

FIRST_NAMES = (
    *("ada", "ben", "cleo", "dario", "emma", "farid", "greta", "hugo"),
    *("ines", "jonas", "kim", "lena", "mia", "noah", "olga", "pavel"),
    *("quinn", "rosa", "sami", "tara", "umut", "vera", "wim", "yuki"),
)
