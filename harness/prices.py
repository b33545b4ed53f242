"""What a model costs, in US dollars per million tokens: from the campaign, or looked up offline.

Only a price that holds for every token of a run is given. Where it depends on the length of the
prompt, on the hour, or on something no transcript records, the cost is unknown, and that is
null, never 0.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from importlib.metadata import version

from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice

from harness.models import ModelSettings
from harness.records import Price

_NEVER_USED = ("audio", "image", "video", "document", "search")
"""Words in the keys of what a run never buys: media, documents, searches."""


def price_of(settings: ModelSettings, at: datetime) -> tuple[Price | None, str]:
    """The price of a model's tokens at a time, and where it comes from (or why it is unknown)."""
    if settings.price is not None:
        return settings.price, "the campaign's own"
    model, base_url = getattr(settings, "model", None), getattr(settings, "base_url", None)
    if not isinstance(model, str) or not isinstance(base_url, str):
        return None, f"unknown: a model of kind {settings.kind!r} has no price list"
    return look_up(model, base_url, at)


def look_up(model: str, base_url: str, at: datetime) -> tuple[Price | None, str]:
    """The price that the endpoint's provider asks for a model, from the data of genai-prices."""
    source = f"genai-prices {version('genai-prices')}"
    try:
        provider, info = get_snapshot().find_provider_model(model, None, None, base_url)
    except LookupError:
        return None, f"unknown: {source} does not list {model!r} at {base_url}"
    prices = _prices_during_the_day(info, at)
    if any(price != prices[0] for price in prices):
        return None, f"unknown: {provider.name}'s price changes within the day ({source})"
    price = _flat(prices[0])
    if price is None:
        return None, f"unknown: {provider.name}'s price for {info.id} is not flat ({source})"
    return price, f"{source}: {provider.name}, {info.id}, at {at.date().isoformat()}"


def _prices_during_the_day(info: ModelInfo, at: datetime) -> list[ModelPrice]:
    """The prices in force at ``at`` and at each half hour of the day that follows.

    A run's tokens are not bought at one moment, so a price that is due to change counts as one
    that has no single value.
    """
    if not info.prices:
        return [ModelPrice()]
    return [info.get_prices(at + timedelta(minutes=30 * step)) for step in range(48)]


def _flat(price: ModelPrice) -> Price | None:
    """The price where all that a run buys has one rate; None where it has not."""
    rates: dict[str, object] = {
        key: rate
        for key, rate in vars(price).items()
        if rate is not None and not any(word in key for word in _NEVER_USED)
    }
    tokens_in, tokens_out = rates.pop("input_mtok", None), rates.pop("output_mtok", None)
    cached = rates.pop("cache_read_mtok", None)
    if rates or not isinstance(tokens_in, Decimal) or not isinstance(tokens_out, Decimal):
        return None
    if not isinstance(cached, Decimal):
        return None if cached else Price(input=float(tokens_in), output=float(tokens_out))
    return Price(input=float(tokens_in), cached=float(cached), output=float(tokens_out))
