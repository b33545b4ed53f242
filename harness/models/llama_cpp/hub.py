"""Files of Hugging Face, through huggingface_hub: its cache, its token, its resumed downloads.

A file that is in the cache is used as it is, with no look at the network: a campaign goes on with
the file it began with although the repository moved on, and works offline.
"""

from __future__ import annotations

import errno
import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import httpx2

from harness.errors import BadInput

_NAME = re.compile(r"(?P<repo>[^/:@\s]+/[^/:@\s]+)(@(?P<revision>[^:\s]+))?:(?P<file>[^:]+)")
_SHOWN = 12
_NOBODY_ANSWERS = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError)


@dataclass(frozen=True)
class Fetched:
    """Files in the cache of huggingface_hub, and the repository's commit they are of."""

    files: tuple[Path, ...]
    commit: str


def fetch(name: str, where: str, parts: Callable[[str], Sequence[str]]) -> Fetched:
    """The files that ``owner/repo[@revision]:file`` names; ``parts`` tells, of a file's name,
    those of all its parts. Raises BadInput saying what is wrong and how to mend it."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise BadInput(
            f"{where}: 'hf:{name}' names no file; write hf:owner/repo:file.gguf, or "
            "hf:owner/repo@revision:file.gguf"
        )
    if importlib.util.find_spec("huggingface_hub") is None:
        raise BadInput(f"{where}: huggingface_hub is not installed; pip install huggingface_hub")
    repo, revision, file = match["repo"], match["revision"], PurePosixPath(match["file"])
    if file.is_absolute() or ".." in file.parts:
        raise BadInput(
            f"{where}: 'hf:{name}' names a file outside the repository; mend the file's name"
        )
    with _explained(f"{where}: hf:{name}", repo, revision, file.name):
        names = [str(file.with_name(part)) for part in parts(file.name)]
        first, *more = (Path(_download(repo, each, revision)) for each in names)
    # <cache>/models--owner--repo/snapshots/<commit>/<file>
    commit = first.parents[len(file.parts) - 1].name
    return Fetched((first, *more), commit)


def _download(repo: str, file: str, revision: str | None) -> str:
    from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache

    # Not hf_hub_download(local_files_only=True), which asks the Hub for something else first.
    cached = try_to_load_from_cache(repo, file, revision=revision)
    if isinstance(cached, str):
        return cached
    _knock(hf_hub_url(repo, file, revision=revision))
    return hf_hub_download(repo, file, revision=revision)


def _knock(url: str) -> None:
    """Raises httpx2.TransportError where nobody answers at ``url``. hf_hub_download would say so
    too, but only after half a minute of tries, each of them told on stderr; its patience with a
    line that is merely slow, and with one that breaks off later, is left to it."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(url, timeout=constants.HF_HUB_ETAG_TIMEOUT, follow_redirects=False)
    except _NOBODY_ANSWERS:
        raise
    except httpx2.TransportError:
        pass


@contextmanager
def _explained(what: str, repo: str, revision: str | None, file: str) -> Iterator[None]:
    """Every error of huggingface_hub as a sentence that says what to do."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise BadInput(
            f"{what}: one must be let in to this repository; ask for access on its page, then run "
            "hf auth login, or set HF_TOKEN"
        ) from None
    except errors.RepositoryNotFoundError:
        raise BadInput(
            f"{what}: there is no repository {repo!r}, or it is private; mend its name, or run "
            "hf auth login, or set HF_TOKEN"
        ) from None
    except errors.RevisionNotFoundError:
        raise BadInput(f"{what}: the repository has no revision {revision!r}; mend it") from None
    except errors.LocalEntryNotFoundError as error:
        cause = error.__cause__
        if isinstance(cause, errors.RevisionNotFoundError):
            raise BadInput(f"{what}: there is no revision {revision!r}; mend it") from None
        raise _unreachable(what, _words(cause or error)) from None
    except errors.OfflineModeIsEnabled:
        raise _unreachable(what, "HF_HUB_OFFLINE is set") from None
    except httpx2.UnsupportedProtocol as error:
        raise BadInput(
            f"{what}: HF_ENDPOINT is no address ({_words(error)}); write one such as "
            "https://hub.example.org, or unset it"
        ) from None
    except ImportError:
        raise BadInput(
            f"{what}: a SOCKS proxy takes the package socksio; pip install socksio, or unset "
            "ALL_PROXY and HTTPS_PROXY"
        ) from None
    except httpx2.TransportError as error:
        raise _unreachable(what, f"{error.request.url.host}: {_words(error)}") from None
    except errors.EntryNotFoundError:
        raise BadInput(
            f"{what}: the repository has no file {file!r}; {_there(repo, revision)}"
        ) from None
    except errors.HFValidationError as error:
        raise BadInput(f"{what}: {_words(error)}; mend the repository's name") from None
    except errors.HfHubHTTPError as error:
        raise BadInput(f"{what}: {_words(error)}; try again later") from None
    except ValueError as error:
        raise BadInput(f"{what}: {_words(error)}; mend the file's name") from None
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space, or set HF_HOME to another disk" if full else "try again"
        raise BadInput(f"{what}: {_words(error)}; {advice}") from None


def _unreachable(what: str, why: str) -> BadInput:
    return BadInput(
        f"{what}: it is not in the cache, and Hugging Face cannot be reached ({why}); go online "
        "once, or give the path of a file"
    )


def _there(repo: str, revision: str | None) -> str:
    """The GGUF files of a repository, for the end of a sentence."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        files = HfApi().list_repo_files(repo, revision=revision)
    except (HfHubHTTPError, httpx2.TransportError, OSError):
        return "look at its page for the right name"
    found = [file for file in files if file.endswith(".gguf")]
    if not found:
        return "it has no .gguf file at all; choose one whose name ends with GGUF"
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"it has {', '.join(map(repr, found[:_SHOWN]))}{more}"


def _words(error: BaseException) -> str:
    """The first line of what an error says, which may quote a server."""
    lines = str(error).strip().splitlines()
    return "".join(c if c.isprintable() else " " for c in (lines or [type(error).__name__])[0])[
        :200
    ]
