"""A TOML file into a frozen pydantic record, with one clear sentence for what is wrong in it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.errors import BadInput, did_you_mean

M = TypeVar("M", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The file's tables; raises BadInput where it is missing, unreadable or no TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: not valid TOML: {error}") from None


def validate(
    model: type[M], data: dict[str, Any], where: str, context: dict[str, Any] | None = None
) -> M:
    """``data`` as ``model``; the first thing wrong becomes a BadInput that names the key.

    ``context`` is what the model's own validators are told."""
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        raise BadInput(f"{where}: {_sentence(model, error)}") from None


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    errors = error.errors(include_url=False)
    # A key that is spelled wrong is missing too, and the misspelling is what to mend.
    first = min(errors, key=lambda e: e["type"] != "extra_forbidden")
    location = [str(part) for part in first["loc"]]
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        return f"unknown key {key!r}; {did_you_mean(location[-1], known)}"
    if first["type"] == "missing":
        return f"the key {key!r} is missing"
    if first["type"] == "value_error" and not key:
        return str(first["ctx"]["error"])  # a sentence of the model's own, that names the key
    return f"{key or 'it'}: {first['msg'][0].lower()}{first['msg'][1:]} (got {first['input']!r})"


def _keys_at(model: type[BaseModel], location: list[str]) -> list[str]:
    """The keys known at a place in ``model``, following the fields that are models themselves."""
    for name in location:
        field = model.model_fields.get(name)
        kinds = (
            [] if field is None else [field.annotation, *getattr(field.annotation, "__args__", ())]
        )
        nested = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if not nested:
            break
        model = nested[0]
    return list(model.model_fields)
