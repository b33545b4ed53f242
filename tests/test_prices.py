"""Prices: the campaign's own, else one flat price that was looked up, else unknown."""

from __future__ import annotations

from datetime import UTC, datetime

from harness.models.openai import Settings
from harness.models.scripted import Settings as Scripted
from harness.prices import look_up, price_of
from harness.records import Price

JUNE = datetime(2026, 6, 10, 12, tzinfo=UTC)


def test_the_campaigns_own_price_comes_before_any_list() -> None:
    own = Price(input=1.5, output=2.5)
    settings = Settings(name="x", model="gpt-4o", base_url="https://api.openai.com/v1", price=own)
    assert price_of(settings, JUNE) == (own, "the campaign's own")


def test_a_flat_price_is_found_by_address_and_model_with_its_source() -> None:
    settings = Settings(name="x", model="gpt-4o", base_url="https://api.openai.com/v1")
    price, source = price_of(settings, JUNE)
    assert price == Price(input=2.5, cached=1.25, output=10.0)
    assert source.startswith("genai-prices ")
    assert source.endswith("OpenAI, gpt-4o, at 2026-06-10")


def test_a_price_without_a_rate_for_cached_tokens_leaves_that_rate_unknown() -> None:
    price, _ = look_up("mistral-large-latest", "https://api.mistral.ai/v1", JUNE)
    assert price is not None
    assert price.cached is None


def test_a_price_with_tiers_is_unknown() -> None:
    google = "https://generativelanguage.googleapis.com/v1beta/openai"
    price, why = look_up("gemini-2.5-pro", google, JUNE)
    assert price is None
    assert "is not flat" in why


def test_a_price_that_changes_with_the_hour_is_unknown() -> None:
    price, why = look_up("deepseek-v4-flash", "https://api.deepseek.com/v1", JUNE)
    assert price is None
    assert "changes within the day" in why


def test_a_price_that_also_charges_for_what_no_transcript_records_is_unknown() -> None:
    price, _ = look_up("claude-sonnet-4-5", "https://api.anthropic.com/v1", JUNE)  # cache writes
    assert price is None


def test_a_well_known_name_at_an_unknown_address_has_no_price() -> None:
    price, why = look_up("gpt-4o", "http://127.0.0.1:8080/v1", JUNE)
    assert price is None
    assert "does not list 'gpt-4o' at http://127.0.0.1:8080/v1" in why


def test_an_unknown_model_of_a_known_provider_has_no_price() -> None:
    price, why = look_up("no-such-model", "https://api.groq.com/openai/v1", JUNE)
    assert price is None
    assert "does not list 'no-such-model'" in why


def test_a_kind_without_an_endpoint_has_no_price() -> None:
    price, why = price_of(Scripted(name="oracle", script="oracle"), JUNE)
    assert price is None
    assert why == "unknown: a model of kind 'scripted' has no price list"
