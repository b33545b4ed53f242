"""A model that another program asked: ``fairtrial import`` writes such a campaign.

Its runs are there to be counted, compared and reported; none can be played here.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from harness.errors import BadInput
from harness.models import ModelSettings, Request
from harness.models._telling import Say, silent
from harness.records import Completion


class Settings(ModelSettings):
    PLAYS: ClassVar[bool] = False

    kind: Literal["imported"] = "imported"
    program: str = Field(description="which program played it, with its version")
    log: str = Field(description="the name of the file that was imported")
    log_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="of that file")


class Model:
    """Refuses whatever it is asked."""

    parallel: int | None = None
    rehearses = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def open(self, say: Say = silent) -> dict[str, Any]:
        """Raises BadInput: there is nothing here to be opened."""
        raise self._refusal()

    async def probe(self) -> None:
        """Raises BadInput."""
        raise self._refusal()

    async def reply(self, request: Request) -> Completion:
        """Raises BadInput."""
        raise self._refusal()

    async def close(self) -> None:
        """Nothing is held."""

    def _refusal(self) -> BadInput:
        return BadInput(
            f"{self._settings.name} was played by {self._settings.program} and imported from "
            f"{self._settings.log}; it cannot be asked anything here"
        )
