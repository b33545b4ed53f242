"""Reading a folder that hostile code wrote."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InfrastructureFault
from harness.workspace import (
    LIST_LIMIT,
    READ_LIMIT,
    WorkspaceError,
    copy_regular_files,
    file_size,
    list_files,
    read_file,
)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    """A workspace beside a secret."""
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "workspace"
    (root / "src").mkdir(parents=True)
    (root / "src" / "x.py").write_text("print('é')\n", encoding="utf-8")
    yield root
    # Deep trees are more than pytest's own cleaning can take.
    subprocess.run(["rm", "-rf", str(tmp_path)], check=True)


@pytest.mark.parametrize(
    "path",
    ["src/x.py", "./src/x.py", "src//./x.py", "/workspace/src/x.py", "/workspace//src/x.py"],
)
def test_a_path_may_be_relative_or_as_commands_see_it(root: Path, path: str) -> None:
    assert read_file(root, path) == b"print('\xc3\xa9')\n"
    assert file_size(root, path) == 12


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [(0, 5, b"print"), (6, None, b"'\xc3\xa9')\n"), (8, 1, b"\xa9"), (11, 9, b"\n"), (99, 1, b"")],
)
def test_a_range_counts_bytes(root: Path, offset: int, length: int | None, expected: bytes) -> None:
    assert read_file(root, "src/x.py", offset, length) == expected


REFUSED = {
    "../secret": r"'\.\.' is not allowed",
    "src/../src/x.py": r"'\.\.' is not allowed",
    "/workspace/../secret": r"'\.\.' is not allowed",
    "/etc/passwd": "outside the workspace",
    "/workspaces/x": "outside the workspace",
    "nothing": "no such file",
    "src/nothing": "no such file",
    "nothing/x.py": "no such file",
    "src/x.py/x": "'x.py' is not a folder",
    "src": "is a folder",
    "": "is a folder",
    "/workspace": "is a folder",
    "nul\0": "NUL",
    "half \ud800": "half a character",
    "n" * 300: "name too long",
    "d/" * 3000: "no such file",
    "link": "symbolic link",
    "out": "symbolic link",
    "away/secret": "'away' is a symbolic link",
    "loop": "symbolic link",
    "pipe": "not a regular file",
    "listener": "not a regular file",
    "twin": "more than one hard link",
    "big": "too many for one read",
}


@pytest.mark.parametrize("path", REFUSED, ids=repr)
def test_a_path_that_leads_to_no_plain_file_is_refused_with_its_reason(
    root: Path, path: str
) -> None:
    (root / "link").symlink_to("src/x.py")
    (root / "out").symlink_to("../secret")
    (root / "away").symlink_to("..")
    (root / "loop").symlink_to("loop")
    (root / "first").write_text("x")
    (root / "twin").hardlink_to(root / "first")
    os.mkfifo(root / "pipe")
    with (root / "big").open("wb") as big:
        big.truncate(READ_LIMIT + 1)
    with socket.socket(socket.AF_UNIX) as listener:
        # Sockets have short paths: bound from within the folder.
        before = Path.cwd()
        os.chdir(root)
        listener.bind("listener")
        os.chdir(before)
    with pytest.raises(WorkspaceError, match=REFUSED[path]):
        read_file(root, path)


@given(path=st.text(max_size=60))
def test_no_path_leads_out_or_breaks_the_reader(
    path: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp()
    with pytest.raises(WorkspaceError):
        read_file(root, f"no-such-folder/{path}")


def test_a_part_of_a_huge_file_can_be_read(root: Path) -> None:
    with (root / "big").open("wb") as big:
        big.truncate(1 << 40)
    assert read_file(root, "big", 1 << 39, 3) == b"\0\0\0"


@pytest.fixture
def renaming(root: Path) -> Iterator[None]:
    """Somebody who puts a link in the place of a folder, and back, again and again."""
    (root / "evil").symlink_to("..")
    (root / "src" / "secret").write_text("inside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (root / "src").rename(root / "aside")
            (root / "evil").rename(root / "src")
            (root / "src").rename(root / "evil")
            (root / "aside").rename(root / "src")

    thread = threading.Thread(target=swap)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.usefixtures("renaming")
def test_a_race_of_renames_never_leads_out(root: Path) -> None:
    seen = set()
    for _ in range(3000):
        try:
            seen.add(read_file(root, "src/secret"))
        except WorkspaceError:
            seen.add(b"refused")
    assert seen <= {b"inside", b"refused"}
    assert b"inside" in seen


def test_a_listing_names_everything_but_folders_and_follows_nothing(root: Path) -> None:
    (root / "out").symlink_to("..")
    os.mkfifo(root / "src" / "pipe")
    (root / "empty").mkdir()
    (root / "a\nb").write_text("")
    assert list_files(root) == ["a\nb", "out", "src/pipe", "src/x.py"]


def test_a_name_that_is_no_text_is_listed_and_can_be_read(root: Path) -> None:
    odd = os.fsdecode(b"\xff")
    (root / odd).write_text("odd")
    assert list_files(root) == ["src/x.py", odd]
    assert read_file(root, odd) == b"odd"


def test_a_listing_stops_where_there_are_too_many_entries(root: Path) -> None:
    for number in range(LIST_LIMIT):
        os.mknod(root / f"{number}")
    with pytest.raises(WorkspaceError, match="too many"):
        list_files(root)


def make_deep(root: Path, depth: int) -> None:
    folder = os.open(root, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)


def test_folders_are_walked_at_any_depth_that_a_path_can_have(root: Path) -> None:
    make_deep(root, 1000)
    assert list_files(root) == ["d/" * 1000 + "end", "src/x.py"]


def test_a_copy_has_the_plain_files_and_nothing_else(root: Path, tmp_path: Path) -> None:
    (root / "out").symlink_to("../secret")
    (root / "src" / "run").write_text("#!/bin/sh\n")
    (root / "src" / "run").chmod(0o700)
    os.mkfifo(root / "pipe")
    make_deep(root, 2500)
    with (root / "huge").open("wb") as huge:
        huge.truncate(1 << 40)
    target = tmp_path / "copy"
    target.mkdir()
    copy_regular_files(root, target)
    assert list_files(target) == ["src/run", "src/x.py"]
    assert (target / "src" / "x.py").read_bytes() == (root / "src" / "x.py").read_bytes()
    assert os.access(target / "src" / "run", os.X_OK)
    assert not os.access(target / "src" / "x.py", os.X_OK)


def test_a_workspace_that_is_gone_is_nobodys_wrong_path(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureFault, match="the workspace is gone"):
        read_file(tmp_path / "gone", "x")
    with pytest.raises(InfrastructureFault, match="the workspace is gone"):
        list_files(tmp_path / "gone")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_reading_leaves_no_descriptor_open(root: Path) -> None:
    before = descriptors()
    for path in ("src/x.py", "src/nothing", "src", "../secret"):
        try:
            read_file(root, path)
        except WorkspaceError:
            continue
    list_files(root)
    assert descriptors() == before
