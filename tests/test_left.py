"""What a run left in its workspace: taken down whatever is in there, and put back as it was."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import BadInput
from harness.left import ROOM, put_back, take_down
from harness.records import EVENT, Change, Entry, Left
from harness.sandbox import Sandbox, make
from harness.task import FinishedRun, Task, load_suite
from harness.variant import Variant
from harness.workspace import LIST_LIMIT, READ_LIMIT

FILES = {
    "run.sh": b"#!/bin/sh\necho hello\n",
    "src/price.py": b"def price():\n    return 1\n",
    "src/deep/data.bin": b"\x00\xff\x00",
}
VARIANT = Variant(seed=None, facts={}, instruction="", files=FILES)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    """A pristine workspace."""
    root = tmp_path / "workspace"
    root.mkdir()
    VARIANT.fill(root)
    yield root
    # Deep trees are more than pytest's own cleaning can take.
    subprocess.run(["chmod", "-R", "u+rwx", str(tmp_path)], check=False, capture_output=True)
    subprocess.run(["rm", "-rf", str(tmp_path)], check=True)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = make("bubblewrap")
    made.open()
    yield made
    made.close()


def seen(workspace: Path, sandbox: Sandbox) -> tuple[object, ...]:
    """All that a checker can find out about a workspace."""
    task: Task = load_suite("first-steps-v1").tasks[0]
    run = FinishedRun(task, VARIANT, "", (), workspace, sandbox)
    changed = run.changed_files()
    copied = "find . -type f -printf '%P %m ' -exec md5sum {} ';' | sort"
    return (
        changed,
        [run.read(path) for path in (*changed, *FILES)],
        run.execute(["sh", "-c", copied]).stdout,
    )


def written_down(workspace: Path) -> Left:
    """What is left there, as it comes back from a line of a transcript."""
    event = EVENT.validate_json(take_down(workspace, VARIANT).model_dump_json())
    assert isinstance(event, Left)
    return event


def changes(workspace: Path) -> dict[str, tuple[str | None, str | None]]:
    def words(entry: Entry | None) -> str | None:
        return None if entry is None else f"{entry.kind}: {entry.content}"

    return {c.path: (words(c.before), words(c.after)) for c in written_down(workspace).changes}


def test_an_untouched_workspace_leaves_nothing_to_tell(workspace: Path) -> None:
    (workspace / "src" / "__pycache__").mkdir()
    (workspace / "src" / "__pycache__" / "price.pyc").write_bytes(b"compiled")
    (workspace / "empty").mkdir()
    assert written_down(workspace) == Left(changes=())


def test_files_are_told_by_what_they_were_and_what_they_are(workspace: Path) -> None:
    (workspace / "src/price.py").write_text("def price():\n    return 2\n")
    (workspace / "src/deep/data.bin").write_bytes(b"\xff")
    (workspace / "run.sh").unlink()
    (workspace / "new.txt").write_text("né\n", encoding="utf-8")
    assert changes(workspace) == {
        "new.txt": (None, "text: né\n"),
        "run.sh": ("text: #!/bin/sh\necho hello\n", None),
        "src/deep/data.bin": ("base64: AP8A", "base64: /w=="),
        "src/price.py": (
            "text: def price():\n    return 1\n",
            "text: def price():\n    return 2\n",
        ),
    }


def test_a_change_of_the_same_length_and_date_is_seen(workspace: Path) -> None:
    file = workspace / "src/price.py"
    then = file.stat()
    file.write_text("def price():\n    return 2\n")
    os.utime(file, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert list(changes(workspace)) == ["src/price.py"]


def test_who_may_run_a_file_is_part_of_what_is_left(workspace: Path) -> None:
    (workspace / "run.sh").chmod(0o644)
    (workspace / "src/price.py").chmod(0o755)
    script, code = written_down(workspace).changes
    runs = [entry and entry.executable for entry in (script.before, script.after)]
    assert runs == [True, False]
    runs = [entry and entry.executable for entry in (code.before, code.after)]
    assert runs == [False, True]


def links(root: Path) -> None:
    (root / "src/price.py").unlink()
    (root / "src/price.py").symlink_to("/etc/passwd")
    (root / "loop").symlink_to(".")


def no_files(root: Path) -> None:
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(root / "socket"))
    (root / "one").write_text("twice")
    os.link(root / "one", root / "two")
    with (root / "huge").open("wb") as file:
        file.truncate(10 << 30)


def folders_for_files(root: Path) -> None:
    (root / "run.sh").unlink()
    (root / "run.sh").mkdir()
    (root / "run.sh" / "inner").write_text("x")
    subprocess.run(["rm", "-r", str(root / "src")], check=True)
    (root / "src").write_text("no folder any more")


def odd_names(root: Path) -> None:
    (root / os.fsdecode(b"caf\xe9")).write_text("latin")
    (root / "new\nline \x1b[31m").write_text("red")
    (root / "half \U0001f600").write_bytes(b"\xed\xa0\x80")


def nothing_left(root: Path) -> None:
    subprocess.run(["find", str(root), "-mindepth", "1", "-delete"], check=True)


@pytest.mark.parametrize(
    "hostile",
    [links, no_files, folders_for_files, odd_names, nothing_left],
    ids=lambda f: f.__name__,
)
def test_a_checker_sees_the_same_in_a_workspace_that_was_put_back(
    workspace: Path, tmp_path: Path, sandbox: Sandbox, hostile: object
) -> None:
    assert callable(hostile)
    hostile(workspace)
    again = tmp_path / "again"
    again.mkdir()
    VARIANT.fill(again)
    put_back(written_down(workspace), again)
    assert seen(again, sandbox) == seen(workspace, sandbox)
    assert seen(again, sandbox)[0] != []


@settings(max_examples=40, deadline=None)  # files take as long as the disk takes
@given(
    files=st.dictionaries(
        st.sampled_from(["run.sh", "src", "src/price.py", "src/new/x", "a", "a/b", "a/b/c"]),
        st.none() | st.binary(max_size=20),
    )
)
def test_whatever_is_done_to_files_comes_back(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes | None]
) -> None:
    left, again = tmp_path_factory.mktemp("left"), tmp_path_factory.mktemp("again")
    VARIANT.fill(left)
    for path, content in files.items():
        if (left / path).is_dir():
            shutil.rmtree(left / path)
        elif (left / path).is_file():
            (left / path).unlink()
        if content is not None and not any(p.is_file() for p in (left / path).parents):
            (left / path).parent.mkdir(parents=True, exist_ok=True)
            (left / path).write_bytes(content)
    VARIANT.fill(again)
    put_back(written_down(left), again)
    assert _plain(again) == _plain(left)


def _plain(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_what_is_too_much_is_named_and_not_put_back(workspace: Path) -> None:
    (workspace / "big").write_bytes(b"x" * (ROOM + 1))
    (workspace / "small").write_text("small")
    left = written_down(workspace)
    assert left.left_out == "the content of 1 files"
    assert [(c.path, c.after and c.after.content) for c in left.changes] == [
        ("big", f"{ROOM + 1} bytes"),
        ("small", "small"),
    ]
    assert not left.complete
    with pytest.raises(BadInput, match="missing: the content of 1 files"):
        put_back(left, workspace)


def test_what_was_there_before_gives_way_to_what_is_there_now(tmp_path: Path) -> None:
    log = b"line\n" * (ROOM // 10)
    variant = Variant(seed=None, facts={}, instruction="", files={"a.log": log})
    variant.fill(tmp_path)
    (tmp_path / "a.log").write_bytes(b"LINE\n" * (ROOM // 10))
    left = take_down(tmp_path, variant)
    assert left.complete
    (change,) = left.changes
    assert change.before == Entry(kind="omitted", content=f"{len(log)} bytes")
    assert len(left.model_dump_json()) < ROOM + 200


@pytest.mark.parametrize("number", [LIST_LIMIT - 10, LIST_LIMIT + 1])
def test_any_number_of_files_takes_bounded_room_and_time(workspace: Path, number: int) -> None:
    for index in range(number):
        (workspace / f"file-{index:05}").touch()
    began = time.process_time()
    left = take_down(workspace, VARIANT)
    assert time.process_time() - began < 10  # it takes 0.2
    assert not left.complete
    assert len(left.model_dump_json()) < ROOM + 200


def test_control_characters_count_as_what_they_take_in_the_transcript(workspace: Path) -> None:
    (workspace / "nul").write_bytes(bytes(ROOM // 2))
    left = take_down(workspace, VARIANT)
    assert len(left.model_dump_json()) < ROOM + 200
    assert left.left_out == "the content of 1 files"


def test_a_workspace_that_is_gone_or_closed_is_said_to_be(workspace: Path) -> None:
    subprocess.run(["rm", "-rf", str(workspace)], check=True)
    left = take_down(workspace, VARIANT)
    assert left.left_out is not None
    assert left.left_out.startswith("all of it: the workspace is gone")


def test_a_path_too_deep_to_be_listed_makes_the_whole_incomplete(workspace: Path) -> None:
    script = "import os\nfor _ in range(30):\n    os.mkdir('d' * 200)\n    os.chdir('d' * 200)\n"
    subprocess.run(["python3", "-c", f"{script}open('x', 'w')"], cwd=workspace, check=True)
    assert written_down(workspace) == Left(
        changes=(), left_out="all of it: folders are nested too deep to be listed"
    )


def test_files_that_change_meanwhile_are_no_reason_to_fail(workspace: Path) -> None:
    script = (
        "i=0; while :; do i=$((i+1)); echo $i > a; mv a b; ln -sf /etc/passwd c; rm -f c;"
        " mkdir -p d; rmdir d; done"
    )
    busy = subprocess.Popen(["sh", "-c", script], cwd=workspace, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            assert all(change.path in "abcd" for change in take_down(workspace, VARIANT).changes)
    finally:
        busy.kill()
        busy.wait()


def test_nothing_in_the_background_outlives_its_command(workspace: Path, sandbox: Sandbox) -> None:
    inside = sandbox.make_workspace()
    VARIANT.fill(inside)
    sandbox.adopt(inside)
    command = (
        "(while :; do date +%N > ticking; done) & setsid sh -c 'sleep 60; touch late' &"
        " until [ -e ticking ]; do sleep 0.01; done"
    )
    sandbox.run(["sh", "-c", command], inside)
    first = take_down(inside, VARIANT)
    time.sleep(0.3)
    assert take_down(inside, VARIANT) == first
    assert [change.path for change in first.changes] == ["ticking"]


TEXT = Entry(kind="text", content="stray")


@pytest.mark.parametrize(
    "hostile",
    [
        {"../stray": TEXT},
        {"/stray": TEXT},
        {"src/../../stray": TEXT},
        {"": TEXT},
        {"door": Entry(kind="link", content=".."), "door/stray": TEXT},
        {
            "door": Entry(kind="link", content=".."),
            "door/in/stray": Entry(kind="other", content=""),
        },
        {"nul\0": TEXT},
        {"run.sh/below": TEXT},
        {"bad": Entry(kind="base64", content="!")},
    ],
    ids=lambda hostile: " ".join(map(repr, hostile)),
)
def test_a_transcript_from_anywhere_writes_nothing_outside_the_workspace(
    workspace: Path, hostile: dict[str, Entry]
) -> None:
    entries = [Change(path=p, before=None, after=entry) for p, entry in hostile.items()]
    with pytest.raises(BadInput, match="cannot be put back"):
        put_back(Left(changes=tuple(reversed(entries))), workspace)
    assert list(workspace.parent.iterdir()) == [workspace]


def test_a_path_that_is_no_base64_is_refused(workspace: Path) -> None:
    change = Change(path="a", path_base64="../a", before=None, after=TEXT)
    with pytest.raises(BadInput, match="cannot be put back"):
        put_back(Left(changes=(change,)), workspace)


def test_a_file_too_large_for_any_checker_is_only_named(workspace: Path) -> None:
    with (workspace / "sparse").open("wb") as file:
        file.truncate(READ_LIMIT + 1)
    assert changes(workspace) == {"sparse": (None, f"other: file of {READ_LIMIT + 1} bytes")}
    assert written_down(workspace).complete
