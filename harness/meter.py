"""What a campaign has cost so far, and whether its budgets of money and time still last.

The bill is for every attempt, those that the world spoiled too. It is read from the transcripts
at every start, so that it holds whatever became of earlier sittings.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from harness.config import Infrastructure
from harness.errors import BadInput
from harness.records import ModelRecord, Price, Reply
from harness.store import CampaignFolder, read_header, read_transcript

_FREE = Price(input=0, output=0)


class Meter:
    """Adds up US dollars by model; says when a budget is used up."""

    def __init__(self, budgets: Infrastructure) -> None:
        self._most_usd = budgets.max_cost_usd
        self._most_seconds = None if budgets.max_hours is None else 3600 * budgets.max_hours
        self._began = time.monotonic()
        self._prices: dict[str, Price | None] = {}
        self.usd = 0.0
        self._uncounted: str | None = None

    def open(self, models: Mapping[str, ModelRecord], folder: CampaignFolder) -> None:
        """Take in the prices, and what was spent already.

        Raises BadInput where there is a budget of money and no price to hold it against.
        """
        self._prices = {name: model.price for name, model in models.items()}
        if self._most_usd is None:
            return
        for name, model in models.items():
            if model.kind == "openai" and model.price is None:
                raise BadInput(
                    f"model {name!r}: its price is {model.observed.get('price_source')}, so "
                    "max_cost_usd cannot be kept; give it price = { input = ..., output = ... } "
                    "(US dollars per million tokens; 0 for a server of your own)"
                )
        for path in folder.transcript_paths():
            if path.stat().st_size == 0:
                continue
            name = read_header(path).model.name
            for event in read_transcript(path):
                if isinstance(event, Reply):
                    self.add(name, event)

    def add(self, model: str, reply: Reply) -> None:
        """Count one reply."""
        price = self._prices.get(model)
        if price is None or price == _FREE:
            return
        usage = reply.usage
        if usage.input is None or usage.output is None:
            self._uncounted = model
            return
        self.usd += price.usd(
            tokens_in=usage.input, cached=usage.cached or 0, tokens_out=usage.output
        )

    def used_up(self) -> str | None:
        """Which budget is used up, in words; None while all last."""
        if self._most_usd is not None:
            if self._uncounted is not None:
                return (
                    f"{self._uncounted} does not say how many tokens it used, so "
                    "max_cost_usd cannot be kept; take it out of campaign.toml to go on"
                )
            if self.usd >= self._most_usd:
                return (
                    f"max_cost_usd = {self._most_usd:g} is reached ({self.usd:.4f} US dollars); "
                    "raise it in campaign.toml to go on"
                )
        hours = (time.monotonic() - self._began) / 3600
        if self._most_seconds is not None and hours * 3600 >= self._most_seconds:
            return f"max_hours = {self._most_seconds / 3600:g} are over ({hours:.2f} hours)"
        return None
