"""The keys of a ``[[models]]`` table of kind ``openai``."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, HttpUrl, TypeAdapter, ValidationError, field_validator, model_validator

from harness.errors import BadInput
from harness.models import ModelSettings

_ADDRESS = TypeAdapter(HttpUrl)


class Settings(ModelSettings):
    """Where the endpoint is, and what it does and does not take.

    ``top_k`` and ``min_p`` of the sampling are not part of this protocol; an endpoint that has
    them takes them in ``extra_body``.
    """

    kind: Literal["openai"] = "openai"

    WORLD = frozenset(
        {
            "api_key_env",
            "api_key_file",
            "connect_seconds",
            "first_token_seconds",
            "stall_seconds",
            "heartbeat_seconds",
        }
    )

    model: str = Field(description="the model's name at the endpoint")
    base_url: str = Field(description="what stands before /chat/completions")
    api_key_env: str | None = Field(
        default=None, description="environment variable with the key; local servers need none"
    )
    api_key_file: str | None = Field(
        default=None, description="instead: a file that holds the key and nothing else"
    )
    context_window: int | None = Field(
        default=None, ge=1, description="tokens; where unset, what the endpoint says of itself"
    )
    connect_seconds: float = Field(default=20.0, gt=0, description="to connect, once")
    first_token_seconds: float = Field(
        default=600.0, gt=0, description="silence before the first token; slow prompts are no fault"
    )
    stall_seconds: float = Field(default=120.0, gt=0, description="silence after the first token")
    heartbeat_seconds: float = Field(
        default=60.0, gt=0, description="idle time after which an empty request keeps a tunnel up"
    )
    token_limit: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens", description="what the endpoint calls the budget of tokens"
    )
    omit: tuple[Literal["temperature", "top_p", "seed", "tool_choice", "stream_options"], ...] = (
        Field(default=(), description="parameters the endpoint does not take")
    )
    null_content: bool = Field(
        default=False, description="send null, not '', where a reply had tool calls and no text"
    )
    reasoning_key: Literal["reasoning_content", "reasoning"] | None = Field(
        default=None,
        description="key under which the endpoint wants its reasoning back with tool calls",
    )
    extra_body: dict[str, Any] = Field(default={}, description="sent as it is in every request")

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.api_key_env and self.api_key_file:
            raise ValueError("only one of 'api_key_env' and 'api_key_file' may be given")
        return self

    @field_validator("base_url")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        # BadInput, because a ValueError would be reported together with the value, and the
        # value is refused for the secrets it may hold.
        try:
            address = _ADDRESS.validate_python(value)
            (address.host or "").encode("idna")  # or the resolver would stumble on it later
        except (ValidationError, UnicodeError):
            raise BadInput(
                "base_url: not an address; write http://host:port/v1 or https://host/v1"
            ) from None
        if address.username or address.password or address.query or address.fragment:
            raise BadInput(
                "base_url: no user, password or query here, since evidence shows the address; "
                "put the key into an environment variable and its name into api_key_env"
            )
        return value.rstrip("/")
