"""A model's tokens: text to tokens, tokens to text, and which of them are special."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator
from typing import Any

from llama_cpp import llama_cpp as C  # noqa: N812 - the C interface

from harness.dialects import Segment

_ALONE = "\x01"
"""A character of which no token is made but its own."""


class Vocabulary:
    """The vocabulary of a loaded model.

    ``control`` are the texts of tokens that a text cannot spell unless it is markup,
    ``user_defined`` of those that llama.cpp finds in any text. ``bos`` and ``eos`` are texts,
    empty where there is none. ``template`` is the file's own chat template for prompts with
    tools, and ``template_name`` what the file calls it: ``tool_use`` or ``default``.
    """

    def __init__(self, model: Any) -> None:
        self._vocab = C.llama_model_get_vocab(model)
        self.size: int = C.llama_vocab_n_tokens(self._vocab)
        self.control, self.user_defined = self._special()
        self.bos = self._text(C.llama_vocab_bos(self._vocab))
        self.eos = self._text(C.llama_vocab_eos(self._vocab))
        self.template_name, self.template = _chat_template(model)
        self._pieces: dict[int, tuple[bytes, bool]] = {}
        self._buffer = ctypes.create_string_buffer(256)
        self._delimiter: re.Pattern[str] | None = None
        self._prefixes = self._bytes_of(self._tokens("a", markup=False)).startswith(b" ")

    @property
    def handle(self) -> Any:
        """The vocabulary as the C interface wants it."""
        return self._vocab

    def guard(self, delimiters: Iterable[str]) -> None:
        """Have these user-defined tokens be plain characters in text that is no markup."""
        ordered = sorted(delimiters, key=len, reverse=True)
        self._delimiter = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def prompt(self, segments: Iterable[Segment]) -> list[list[int]]:
        """The tokens of a prompt's segments, with the BOS token before them where the file asks
        for one and the text does not begin with it. A segment without tokens is left out."""
        tokens: list[list[int]] = []
        for segment in segments:
            if found := self._tokenize(segment, tokens[-1][-1] if tokens else None):
                tokens.append(found)
        bos = C.llama_vocab_bos(self._vocab)
        if C.llama_vocab_get_add_bos(self._vocab) and (not tokens or tokens[0][0] != bos):
            tokens[:1] = [[bos, *(tokens[0] if tokens else [])]]
        return tokens

    def piece(self, token: int) -> tuple[bytes, bool]:
        """A token's bytes, and whether it ends a reply."""
        if token not in self._pieces:
            ends = bool(C.llama_vocab_is_eog(self._vocab, token))
            self._pieces[token] = self._bytes(token), ends
        return self._pieces[token]

    def special(self, text: str) -> int | None:
        """The one token that a text is as markup; None where it is none, or several."""
        tokens = self._tokens(text, markup=True)
        return tokens[0] if len(tokens) == 1 and self._is_special(tokens[0]) else None

    def characters(self, token: int) -> bytes:
        """A token's bytes, if it is nothing more than its characters."""
        return b"" if self._is_special(token) else self.piece(token)[0]

    def _is_special(self, token: int) -> bool:
        attributes = C.llama_vocab_get_attr(self._vocab, token)
        special = C.LLAMA_TOKEN_ATTR_CONTROL | C.LLAMA_TOKEN_ATTR_USER_DEFINED
        return bool(attributes & special)

    def _tokenize(self, segment: Segment, before: int | None) -> list[int]:
        """A segment's tokens; ``before`` is the token that stands before it. Delimiters count only
        in its markup: in what a tool or a person wrote, ``<|im_end|>`` is ten characters and no
        end of anything."""
        tokens: list[int] = []
        for piece in segment:
            for text in [piece.text] if piece.markup else self._cut(piece.text):
                last = tokens[-1] if tokens else before
                follows = last is not None and not self._is_special(last)
                read = self._following if follows and self._prefixes else self._tokens
                tokens += read(text, markup=piece.markup)
        return tokens

    def _cut(self, text: str) -> Iterator[str]:
        """A text in parts, none of which holds a delimiter: llama.cpp finds user-defined tokens in
        every text, so it is cut behind the first character of each."""
        start = 0
        for found in self._delimiter.finditer(text) if self._delimiter else ():
            yield text[start : found.start() + 1]
            start = found.start() + 1
        yield text[start:]

    def _following(self, text: str, *, markup: bool) -> list[int]:
        """The tokens of a text that goes on where another ended, for a vocabulary that has a blank
        before every text: it is put before a character that joins with nothing, which is then
        taken away with it."""
        tokens = self._tokens(_ALONE + text, markup=markup)
        for at, token in enumerate(tokens[:3]):
            if self._bytes(token) == _ALONE.encode():
                return tokens[at + 1 :]
        return self._tokens(text, markup=markup)

    def _tokens(self, text: str, *, markup: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        room = len(data) + 2
        found = (C.llama_token * room)()
        count = C.llama_tokenize(self._vocab, data, len(data), found, room, False, markup)
        if count < 0:
            raise RuntimeError(f"{len(data)} bytes became more than {room} tokens")
        return found[:count]

    def _bytes(self, token: int) -> bytes:
        buffer = self._buffer
        length = C.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, True)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = C.llama_token_to_piece(self._vocab, token, buffer, len(buffer), 0, True)
        return buffer.raw[:length]

    def _bytes_of(self, tokens: Iterable[int]) -> bytes:
        return b"".join(map(self._bytes, tokens))

    def _text(self, token: int) -> str:
        if token < 0:
            return ""
        return (C.llama_vocab_get_text(self._vocab, token) or b"").decode(errors="replace")

    def _special(self) -> tuple[frozenset[str], frozenset[str]]:
        control: set[str] = set()
        user_defined: set[str] = set()
        for token in range(self.size):
            attributes = C.llama_vocab_get_attr(self._vocab, token)
            if attributes & C.LLAMA_TOKEN_ATTR_CONTROL:
                control.add(self._text(token))
            elif attributes & C.LLAMA_TOKEN_ATTR_USER_DEFINED:
                user_defined.add(self._text(token))
        return frozenset(control), frozenset(user_defined)


def _chat_template(model: Any) -> tuple[str | None, str | None]:
    """The name and the text of the chat template that the file has for prompts with tools, as
    llama.cpp (``common_chat_templates_init``) and transformers choose it."""
    for name in ("tool_use", "default"):
        key = None if name == "default" else name.encode()
        text: bytes | None = C.llama_model_chat_template(model, key)
        if text:
            return name, text.decode(errors="replace")
    return None, None
