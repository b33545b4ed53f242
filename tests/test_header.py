"""What a GGUF file says of itself, and whether it is all there, before any engine is asked."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import BadInput
from harness.models.llama_cpp.header import Header, read_header
from tests.gemma import gemma
from tests.llama_server import smollm2
from tests.tiny_mamba import write_mamba

DAMAGED = "the file is cut short or damaged; fetch it again"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small model's file."""
    return write_mamba(tmp_path_factory.mktemp("header") / "mamba.gguf").read_bytes()


@pytest.fixture(scope="session")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where one may be written, again and again."""
    path = tmp_path_factory.mktemp("header") / "m.gguf"
    yield path
    path.unlink(missing_ok=True)


def read(content: bytes, file: Path) -> Header:
    file.write_bytes(content)
    return read_header(file, "m")


def test_a_file_says_what_it_was_trained_for_and_whether_it_has_a_template(tmp_path: Path) -> None:
    chat, base = read_header(smollm2(), "m"), read_header(gemma(tmp_path), "m")
    assert (chat.has_template, chat.trained_context) == (True, 8192)
    assert (base.has_template, base.trained_context) == (False, 32768)
    assert chat.values["general.architecture"] == "llama"
    assert base.values["gemma3.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)


def test_a_file_cut_anywhere_before_its_last_tensor_is_refused(whole: bytes, file: Path) -> None:
    assert read(whole, file).has_template
    last = 4 * 64 * 32  # floats of the last tensor
    for length in [*range(8, 4000, 37), *range(4000, len(whole) - last, 3001), len(whole) - last]:
        with pytest.raises(BadInput, match=rf"^m: {file}: {DAMAGED}$"):
            read(whole[:length], file)


@pytest.mark.parametrize(
    "hostile",
    [
        struct.pack("<QQ", 0, 2**63),
        struct.pack("<QQ", 2**63, 0),
        struct.pack("<QQ", 0, 2**40) + bytes(1 << 20),
        struct.pack("<QQQ", 0, 1, 2**64 - 1),
        struct.pack("<QQQI", 0, 1, 0, 99),
        struct.pack("<QQQIIQ", 0, 1, 0, 9, 8, 2**62),
        struct.pack("<QQQIIQ", 0, 1, 0, 9, 12, 2**62),
        struct.pack("<QQQIIQ", 0, 1, 0, 9, 9, 1) + bytes(64),
        struct.pack("<QQQ17sII", 1, 1, 17, b"general.alignment", 4, 0) + bytes(64),
        struct.pack("<QQ", 0, 10_001)
        + b"".join(struct.pack("<Q5sIB", 5, b"%05d" % n, 0, 0) for n in range(10_001)),
        struct.pack("<QQQIIQ", 0, 1, 0, 9, 0, 4_000_001) + bytes(4_000_001),
    ],
    ids=[
        "values without end",
        "tensors without end",
        "the same value for ever",
        "a key without end",
        "no such type",
        "texts without end",
        "numbers without end",
        "a list of lists",
        "an alignment of 0",
        "more values than any model has",
        "a longer list than any model has",
    ],
)
def test_what_a_hostile_header_claims_costs_nothing(hostile: bytes, file: Path) -> None:
    with pytest.raises(BadInput, match=DAMAGED):
        read(b"GGUF\x03\0\0\0" + hostile, file)


@given(data=st.data())
def test_whatever_is_changed_in_a_file_it_is_read_or_refused(
    data: st.DataObject, whole: bytes, file: Path
) -> None:
    changed = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for _ in range(data.draw(st.integers(0, 20))):
        if changed:
            changed[data.draw(st.integers(0, min(4000, len(changed)) - 1))] = data.draw(
                st.integers(0, 255)
            )
    with suppress(BadInput):
        read(bytes(changed), file)
