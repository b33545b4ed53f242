"""What the sandbox claims, attacked. Each attack is named for what it would have done."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pyseccomp
import pytest

from harness.errors import BadInput, InfrastructureFault
from harness.sandbox import LONGEST_ARGUMENT, CommandResult, Limits, Sandbox, kinds, make
from harness.sandbox import _bwrap as bwrap
from harness.workspace import WorkspaceError, list_files, read_file
from tests.waiting import HANGS, until

NUMBER = {
    name: pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    for name in (
        *("add_key", "bpf", "clone", "clone3", "io_uring_setup", "keyctl", "memfd_create"),
        *("mount", "perf_event_open", "process_vm_readv", "ptrace", "setns", "shmget"),
        *("umount2", "unshare", "userfaultfd", "open_by_handle_at", "msgget", "pivot_root"),
        *("ioctl", "socket"),
    )
}
ATTEMPT = """
import ctypes, errno, fcntl, os, pty, signal, socket, sys
def call(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) == -1:
        raise OSError(ctypes.get_errno(), "")
try:
    {body}
except OSError as error:
    print("refused:", errno.errorcode[error.errno])
else:
    print("it worked")
"""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = make("bubblewrap")
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def none() -> Iterator[Sandbox]:
    made = make("none")
    try:
        made.open()
        yield made
    finally:
        made.close()


@pytest.fixture
def workspace(sandbox: Sandbox) -> Iterator[Path]:
    made = sandbox.make_workspace()
    yield made
    sandbox.remove_workspace(made)


@dataclass
class Host:
    """Things of the host that a command must not come by."""

    file: str
    port: int
    socket: str
    abstract: str
    shared: str


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    folder = Path(tempfile.mkdtemp(prefix="host-"))
    folder.chmod(0o755)
    name = f"host-{uuid.uuid4().hex}"
    secret, shared = folder / "secret", Path("/dev/shm", name)
    secret.write_text("the secret of the host")
    shared.write_text("the secret of the host")
    tcp = socket.create_server(("127.0.0.1", 0))
    local, abstract = (socket.socket(socket.AF_UNIX) for _ in range(2))
    local.bind(str(folder / "socket"))
    (folder / "socket").chmod(0o777)
    abstract.bind(f"\0{name}")
    for listener in (local, abstract):
        listener.listen(64)
    port = tcp.getsockname()[1]
    yield Host(str(secret), port, str(folder / "socket"), name, str(shared))
    for listener in (tcp, local, abstract):
        listener.close()
    shared.unlink()
    shutil.rmtree(folder)


def sh(
    sandbox: Sandbox, command: str, workspace: Path, limits: Limits | None = None
) -> CommandResult:
    return sandbox.run(["bash", "-c", command], workspace, limits=limits or Limits(seconds=HANGS))


def attempt(sandbox: Sandbox, body: str, workspace: Path) -> str:
    """What a Python statement came to: ``it worked``, or the error that refused it."""
    result = sandbox.run(["python3", "-c", ATTEMPT.format(body=body)], workspace)
    return result.stdout.decode() or result.stderr.decode()


ON_THE_HOST = {
    "reads a file of the host": ("open({host.file!r})", "ENOENT"),
    "reads shared memory of the host": ("open({host.shared!r})", "ENOENT"),
    "reads the workspace of another run": ("os.listdir({other!r})", "ENOENT"),
    "reads the harness's environment": ("open('/proc/{pid}/environ').read()", "ENOENT"),
    "sees the harness's process": ("os.stat('/proc/{pid}')", "ENOENT"),
    "signals the harness": ("os.kill({pid}, 0)", "ESRCH"),
    "inspects the harness": ("os.readlink('/proc/{pid}/cwd')", "ENOENT"),
    "reads the harness's memory": ("open('/proc/{pid}/mem', 'rb')", "ENOENT"),
    "connects to a server of the host": (
        "socket.create_connection(('127.0.0.1', {host.port}))",
        "ECONNREFUSED",
    ),
    "connects to a local socket of the host": (
        "socket.socket(socket.AF_UNIX).connect({host.socket!r})",
        "ENOENT",
    ),
    "connects to an abstract socket of the host": (
        "socket.socket(socket.AF_UNIX).connect(chr(0) + {host.abstract!r})",
        "ECONNREFUSED",
    ),
    "reads the checkers": ("open({source!r})", "ENOENT"),
}


def on_the_host(name: str, host: Host, sandbox: Sandbox) -> str:
    return ON_THE_HOST[name][0].format(
        host=host, pid=os.getpid(), other=str(sandbox.make_workspace()), source=bwrap.__file__
    )


@pytest.mark.parametrize("name", ON_THE_HOST)
def test_an_attack_on_the_host_fails_in_the_sandbox(
    name: str, sandbox: Sandbox, workspace: Path, host: Host
) -> None:
    body = on_the_host(name, host, sandbox)
    assert attempt(sandbox, body, workspace) == f"refused: {ON_THE_HOST[name][1]}\n"


@pytest.mark.parametrize("name", ON_THE_HOST)
def test_the_same_attack_works_without_a_sandbox(name: str, none: Sandbox, host: Host) -> None:
    body = on_the_host(name, host, none)
    assert attempt(none, body, none.make_workspace()) == "it worked\n"


REFUSED = {
    "reads the password hashes": ("open('/etc/shadow')", "ENOENT"),
    "lists root's home": ("os.listdir('/root')", "ENOENT"),
    "lists homes": ("os.listdir('/home')", "ENOENT"),
    "lists devices of the kernel": ("os.listdir('/sys')", "ENOENT"),
    "changes a program": ("open('/usr/bin/python3', 'r+')", "EACCES"),
    "makes a file in /": ("open('/file', 'w')", "EROFS"),
    "makes a file in /etc": ("open('/etc/file', 'w')", "EROFS"),
    "makes a file in /dev": ("open('/dev/file', 'w')", "EROFS"),
    "changes where cores go": ("open('/proc/sys/kernel/core_pattern', 'w')", "EROFS"),
    "changes the host's network": ("open('/proc/sys/net/ipv4/ip_forward', 'w')", "EROFS"),
    "makes a device": ("os.mknod('disk', 0o60666, os.makedev(254, 0))", "EPERM"),
    "becomes root": ("os.setuid(0)", "EINVAL"),
    "becomes the harness's user": ("os.chown('.', 0, 0)", "EINVAL"),
    "leaves its root": ("os.chroot('.')", "EPERM"),
    "talks to the hypervisor": ("socket.socket(40, socket.SOCK_STREAM)", "EAFNOSUPPORT"),
    "talks to the kernel": ("socket.socket(16, socket.SOCK_RAW, 0)", "EAFNOSUPPORT"),
    "sniffs packets": ("socket.socket(17, socket.SOCK_RAW)", "EAFNOSUPPORT"),
    "hides the family of a socket": ("call({socket}, 0x100000028, 1, 0)", "EAFNOSUPPORT"),
    "reaches the internet": ("socket.create_connection(('192.0.2.1', 80), 5)", "ENETUNREACH"),
    "types into a terminal": ("fcntl.ioctl(pty.openpty()[1], 0x5412, b'x')", "EPERM"),
    "types with hidden bits": ("call({ioctl}, pty.openpty()[1], 0x100005412, b'x')", "EPERM"),
    "makes a user namespace": ("call({unshare}, 0x10000000)", "EPERM"),
    "makes a mount namespace": ("call({unshare}, 0x20000)", "EPERM"),
    "clones into a user namespace": ("call({clone}, 0x10000011, 0, 0, 0, 0)", "EPERM"),
    "enters a namespace": ("call({setns}, os.open('/proc/self/ns/net', 0), 0)", "EPERM"),
    "mounts": ("call({mount}, b'none', b'/tmp', b'tmpfs', 0, 0)", "EPERM"),
    "unmounts /proc": ("call({umount2}, b'/proc', 2)", "EPERM"),
    "changes the root": ("call({pivot_root}, b'.', b'.')", "EPERM"),
    "traces": ("call({ptrace}, 0, 0, 0, 0)", "EPERM"),
    "reads another process's memory": ("call({process_vm_readv}, 1, 0, 0, 0, 0, 0)", "EPERM"),
    "opens a file by its number": ("call({open_by_handle_at}, 0, 0, 0)", "EPERM"),
    "loads a program into the kernel": ("call({bpf}, 0, 0, 0)", "EPERM"),
    "uses io_uring": ("call({io_uring_setup}, 1, 0)", "EPERM"),
    "handles page faults": ("call({userfaultfd}, 1)", "EPERM"),
    "counts the host's events": ("call({perf_event_open}, 0, 0, -1, -1, 0)", "EPERM"),
    "reads keys": ("call({keyctl}, 0, -3, 0)", "EPERM"),
    "adds a key": ("call({add_key}, b'user', b'k', b'v', 1, -3)", "EPERM"),
    "makes memory that is no process's": ("call({memfd_create}, b'm', 0)", "ENOSYS"),
    "makes shared memory that stays": ("call({shmget}, 0, 4096, 0o1600)", "ENOSYS"),
    "fills the kernel with messages": ("call({msgget}, 0, 0o1600)", "ENOSYS"),
    "hides the flags of a clone": ("call({clone3}, 0, 0)", "ENOSYS"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_attack_on_the_sandbox_is_refused(name: str, sandbox: Sandbox, workspace: Path) -> None:
    body, error = REFUSED[name]
    assert attempt(sandbox, body.format(**NUMBER), workspace) == f"refused: {error}\n"


def test_process_1_outlives_an_attack_on_it(sandbox: Sandbox, workspace: Path) -> None:
    result = sh(sandbox, "kill -9 1; kill -9 -1; sleep 0.1; kill -0 1 && echo alive", workspace)
    assert result.stdout == b"alive\n"


def test_a_command_sees_only_the_processes_of_its_own_sandbox(
    sandbox: Sandbox, workspace: Path
) -> None:
    names = (
        "import os; print([open(f'/proc/{p}/comm').read() for p in os.listdir('/proc') "
        "if p.isdigit()])"
    )
    result = sandbox.run(["python3", "-c", names], workspace)
    assert result.stdout == b"['bwrap\\n', 'python3\\n']\n"


def test_the_environment_is_the_same_whatever_the_hosts_is(
    sandbox: Sandbox, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    everywhere = sh(sandbox, "env | cut -d= -f1 | sort; cat /proc/1/environ", workspace)
    assert everywhere.stdout.split() == [
        *(b"HOME", b"LANG", b"PATH", b"PWD", b"PYTHONDONTWRITEBYTECODE", b"PYTHONHASHSEED"),
        *(b"SHLVL", b"SOURCE_DATE_EPOCH", b"TZ", b"_"),
    ]


OPEN_DESCRIPTORS = """
import fcntl
def is_open(fd):
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFD) >= 0
    except OSError:
        return False
print([fd for fd in range(256) if is_open(fd)])
"""


def test_no_descriptor_of_the_harness_reaches_a_command(sandbox: Sandbox, workspace: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.set_inheritable(True)
        result = sandbox.run(["python3", "-c", OPEN_DESCRIPTORS], workspace)
    assert result.stdout == b"[0, 1, 2]\n"


def test_standard_input_cannot_hold_memory(sandbox: Sandbox, workspace: Path) -> None:
    body = "os.truncate('/proc/self/fd/0', 1 << 20)"
    result = sandbox.run(["python3", "-c", ATTEMPT.format(body=body)], workspace, stdin=b"words")
    assert result.stdout in (b"refused: EPERM\n", b"refused: EACCES\n")


def test_the_command_line_of_process_1_tells_nothing_of_the_host(
    sandbox: Sandbox, workspace: Path
) -> None:
    result = sh(sandbox, "cat /proc/1/cmdline", workspace)
    assert str(workspace).encode() not in result.stdout


LIMITS = Limits(seconds=60, memory_bytes=200 << 20, disk_bytes=20 << 20, files=500, processes=40)
HOG = "python3 -c 'import time, mmap, os\n{}\ntime.sleep(60)'"
STOPPED = {
    "runs for ever": ("sleep 60", "time"),
    "ignores every signal": ("trap '' INT TERM HUP; while :; do sleep 9; done", "time"),
    "stops itself": ("kill -STOP $$", "time"),
    "hides behind a pipe": ("tail -f /dev/null | cat", "time"),
    "prints for ever": ("yes", "output"),
    "prints errors for ever": ("yes >&2", "output"),
    "takes memory": (HOG.format("held = bytearray(400 << 20)"), "memory"),
    "takes shared memory": (
        HOG.format(
            "held = mmap.mmap(-1, 400 << 20)\nfor _ in range(400): held.write(bytes(1 << 20))"
        ),
        "memory",
    ),
    "takes memory in many processes": (
        HOG.format("[os.fork() for _ in range(3)]\nheld = bytearray(60 << 20)"),
        "memory",
    ),
    "fills the disk with one file": ("head -c 100M /dev/zero > big; sleep 60", "disk"),
    "fills the disk with many files": (
        "for i in 1 2 3 4 5 6; do head -c 5M /dev/zero > $i; done; sleep 60",
        "disk",
    ),
    "fills the disk quickly": ("for i in 1 2 3 4 5 6; do head -c 5M /dev/zero > $i; done", "disk"),
    "fills the disk out of sight": (
        'for fd in 11 12 13 14 15 16; do eval "exec $fd>f; rm f; head -c 5M /dev/zero >&$fd";'
        " done; sleep 60",
        "disk",
    ),
    "fills the disk behind a closed door": (
        'mkdir d; for fd in 11 12 13 14 15 16; do eval "exec $fd>d/$fd"; done; chmod 0 d;'
        ' for fd in 11 12 13 14 15 16; do eval "head -c 5M /dev/zero >&$fd"; done; sleep 60',
        "disk",
    ),
    "makes too many files": ("touch $(seq 1000); sleep 60", "disk"),
    "makes too many folders": ("mkdir $(seq 1000)", "disk"),
}


@pytest.mark.parametrize("name", STOPPED)
def test_a_command_over_a_limit_is_stopped_and_nothing_of_it_is_left(
    name: str, sandbox: Sandbox, workspace: Path
) -> None:
    command, limit = STOPPED[name]
    seconds = 0.5 if limit == "time" else LIMITS.seconds
    result = sh(sandbox, command, workspace, replace(LIMITS, seconds=seconds))
    assert (result.stopped, result.exit_code) == (limit, None)
    assert survivors(workspace) == set()


def survivors(workspace: Path) -> set[int]:
    """Processes, of anybody, to whom this workspace is mounted."""
    found = set()
    for pid in psutil.pids():
        with suppress(OSError):
            if str(workspace) in Path(f"/proc/{pid}/mountinfo").read_text():
                found.add(pid)
    return found


BOUNDED = {
    "a fork bomb": (":(){ :|:& };:; wait; echo over", b"over\n"),
    "filling /dev/shm": ("head -c 1G /dev/zero > /dev/shm/x; stat -c %s /dev/shm/x", None),
    "filling /tmp": ("head -c 1G /dev/zero > /tmp/x; stat -c %s /tmp/x", None),
    "opening descriptors": (
        "python3 -c 'import os\ntry:\n for n in range(9999): os.dup(1)\n"
        "except OSError: print(n < 300)'",
        b"True\n",
    ),
    "reserving addresses": (
        "python3 -c 'import mmap\ntry: mmap.mmap(-1, 1 << 40)\nexcept OSError: print(True)'",
        b"True\n",
    ),
    "dumping core": ("ulimit -c; ulimit -c 10 2>/dev/null; ulimit -c", b"0\n0\n"),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_what_a_command_takes_is_bounded(name: str, sandbox: Sandbox, workspace: Path) -> None:
    command, expected = BOUNDED[name]
    result = sh(sandbox, command, workspace, replace(LIMITS, disk_bytes=1 << 30))
    if expected is None:
        assert int(result.stdout) <= 128 << 20
    else:
        assert result.stdout == expected


def test_output_is_kept_up_to_its_limit(sandbox: Sandbox, workspace: Path) -> None:
    limits = Limits(output_bytes=1000)
    result = sh(sandbox, "yes", workspace, limits)
    assert result.stdout == b"y\n" * 500


def test_a_command_that_closes_its_output_still_runs_to_its_end(
    sandbox: Sandbox, workspace: Path
) -> None:
    result = sh(sandbox, "exec >&- 2>&-; sleep 0.3; touch done; exit 7", workspace)
    assert (result.exit_code, list_files(workspace)) == (7, ["done"])


def test_what_a_command_leaves_running_ends_with_it(sandbox: Sandbox, workspace: Path) -> None:
    left = "(setsid sh -c 'sleep 1; touch /workspace/later') & disown; echo started"
    result = sh(sandbox, left, workspace)
    assert (result.stdout, result.stopped) == (b"started\n", None)
    assert survivors(workspace) == set()
    assert list_files(workspace) == []


def test_a_program_left_with_special_rights_gives_nobody_any(
    sandbox: Sandbox, workspace: Path
) -> None:
    sh(sandbox, "cp /usr/bin/id . && chmod 6755 id", workspace)
    left = (workspace / "id").stat()
    assert left.st_mode & stat.S_ISUID
    assert left.st_uid != 0
    if os.geteuid() != 0:
        assert stat.S_IMODE(workspace.parent.stat().st_mode) == 0o700


def test_input_of_any_size_is_read_to_its_end(sandbox: Sandbox, workspace: Path) -> None:
    result = sandbox.run(["wc", "-c"], workspace, stdin=b"x" * 300_000)
    assert result.stdout == b"300000\n"


def test_a_command_ended_by_a_signal_says_so(sandbox: Sandbox, workspace: Path) -> None:
    assert sh(sandbox, "kill -9 $$", workspace).exit_code == 137


def test_a_bound_file_can_be_read_and_not_changed(
    sandbox: Sandbox, workspace: Path, host: Host
) -> None:
    command = ["sh", "-c", "cat /given/file; echo x >> /given/file; rm -f /given/file"]
    result = sandbox.run(command, workspace, read_only={"/given/file": Path(host.file)})
    assert result.stdout == b"the secret of the host"
    assert Path(host.file).read_text() == "the secret of the host"


def test_the_longest_command_runs_and_a_longer_one_is_a_fault(
    sandbox: Sandbox, workspace: Path
) -> None:
    longest = "true " + "#" * (LONGEST_ARGUMENT - 5)
    assert sh(sandbox, longest, workspace).exit_code == 0
    with pytest.raises(InfrastructureFault, match="Argument list too long"):
        sh(sandbox, longest + "#", workspace)


def test_a_workspace_that_a_command_closed_is_open_to_the_next(
    sandbox: Sandbox, workspace: Path
) -> None:
    sh(sandbox, "echo x > file; chmod 0 .", workspace)
    assert sh(sandbox, "cat file", workspace).stdout == b"x\n"
    assert read_file(workspace, "file") == b"x\n"


def test_a_workspace_cannot_be_removed_from_within(sandbox: Sandbox, workspace: Path) -> None:
    sh(sandbox, "cd /; rm -rf /workspace; mv /workspace /tmp/w", workspace)
    assert sh(sandbox, "touch new", workspace).exit_code == 0
    assert list_files(workspace) == ["new"]


def test_a_workspace_that_is_gone_is_a_fault(sandbox: Sandbox) -> None:
    gone = sandbox.make_workspace()
    gone.rmdir()
    with pytest.raises(InfrastructureFault):
        sh(sandbox, "true", gone)


def test_adopted_files_can_be_written_and_are_all_of_one_date(
    sandbox: Sandbox, workspace: Path
) -> None:
    (workspace / "folder" / "inner").mkdir(parents=True)
    (workspace / "folder" / "inner" / "file").write_text("old")
    (workspace / "folder" / "inner" / "file").chmod(0o400)
    (workspace / "link").symlink_to("/etc/passwd")
    owner = os.lstat("/etc/passwd").st_uid
    sandbox.adopt(workspace)
    assert sh(sandbox, "find . -printf '%T@\\n' | sort -u | wc -l", workspace).stdout == b"1\n"
    assert sh(sandbox, "echo new > folder/inner/file; rm link", workspace).exit_code == 0
    assert os.lstat("/etc/passwd").st_uid == owner


DEEP = (
    'python3 -c \'import os\nfor _ in range(3000): os.mkdir("d"); os.chdir("d")\nopen("f", "w")\''
)


@pytest.mark.parametrize(
    "command",
    [
        "mkdir -p a/b && touch a/b/c && chmod 0 a/b a",
        DEEP,
        "ln -s / root; ln -s ../.. up; mkfifo pipe; touch -- -rf '*' $'new\nline'",
    ],
    ids=["closed folders", "3,000 folders deep", "links, pipes and odd names"],
)
def test_a_workspace_is_removed_whatever_is_in_it(sandbox: Sandbox, command: str) -> None:
    workspace = sandbox.make_workspace()
    assert sh(sandbox, command, workspace).exit_code == 0
    sandbox.remove_workspace(workspace)
    assert not workspace.exists()


def test_a_deep_tree_is_listed_or_refused_and_never_a_crash(
    sandbox: Sandbox, workspace: Path
) -> None:
    sh(sandbox, DEEP, workspace)
    with pytest.raises(WorkspaceError, match="nested too deep"):
        list_files(workspace)


@pytest.mark.parametrize("kind", kinds())
def test_closing_ends_what_runs_and_removes_every_workspace(kind: str) -> None:
    made = make(kind)
    made.open()
    workspaces = [made.make_workspace() for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(sh, made, "touch up; sleep 60", place) for place in workspaces]
        for place in workspaces:
            until(lambda: list_files(place))  # noqa: B023
        made.close()
        assert [future.result().stopped for future in running] == ["cancelled"] * 3
    made.close()
    assert [place.exists() for place in workspaces] == [False] * 3


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of the test's own: in the system's, any harness that starts meanwhile
    removes what a killed one left."""
    folder = Path(tempfile.mkdtemp(prefix="temporary-"))
    folder.chmod(0o755)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.usefixtures("temporary")
def test_what_a_killed_process_left_is_removed_by_the_next() -> None:
    script = (
        "import os; from harness.sandbox import make; s = make('none'); s.open();"
        "print(s.make_workspace(), flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    left = Path(done.stdout.decode().strip())
    assert left.is_dir()
    live = make("none")
    live.open()
    other = make("none")
    other.open()
    other.close()
    assert not left.parent.exists()
    assert live.make_workspace().is_dir()
    live.close()


@pytest.mark.usefixtures("temporary")
def test_a_killed_harness_takes_its_commands_with_it() -> None:
    script = (
        "import os, threading; from harness.sandbox import make; s = make('bubblewrap'); s.open();"
        "w = s.make_workspace(); print(w, flush=True);"
        "threading.Thread(target=s.run, args=(['sh', '-c', 'touch up; sleep 60'], w)).start();"
        "[None for _ in iter(lambda: os.path.exists(w / 'up'), True)]; os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    workspace = Path(done.stdout.decode().strip())
    assert (workspace / "up").exists()
    until(lambda: not survivors(workspace))


def test_many_commands_at_once_do_not_meet(sandbox: Sandbox) -> None:
    workspaces = [sandbox.make_workspace() for _ in range(8)]

    def one(number: int) -> bytes:
        command = f"echo {number} > n; sleep 0.1; cat n; ls"
        return sh(sandbox, command, workspaces[number]).stdout

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))) == [b"%d\nn\n" % n for n in range(8)]


def test_opening_says_what_the_sandbox_is_made_of() -> None:
    made = make("bubblewrap")
    facts = made.open()
    made.close()
    assert facts["kind"] == "bubblewrap"
    assert tuple(map(int, facts["bwrap"].split("."))) >= (0, 8)
    assert tuple(map(int, facts["python"].split("."))) >= (3, 11)


def fake_bwrap(folder: Path, text: str) -> None:
    program = folder / "bwrap"
    program.write_text(text)
    program.chmod(0o755)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that comes first on the PATH, where any user may come."""
    folder = Path(tempfile.mkdtemp(prefix="programs-"))
    folder.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    yield folder
    shutil.rmtree(folder)


WEAKER = {
    "--unshare-net": "the host's net namespace",
    "--unshare-ipc": "the host's ipc namespace",
    "--clearenv": "the environment inside holds .*LEFT",
    "--seccomp": "Seccomp is 0",
}
FORGETFUL = """#!/usr/bin/python3 -I
import os, sys
real, option, takes = {real!r}, {option!r}, {takes!r}
if sys.argv[1] == "--args":
    words = os.read(int(sys.argv[2]), 1 << 20).split(bytes(1))
    at = words.index(option.encode())
    del words[at : at + takes]
    left = os.memfd_create("left", 0)
    os.write(left, bytes(1).join(words))
    os.lseek(left, 0, 0)
    sys.argv[2] = str(left)
os.environ["LEFT"] = "over"
os.execv(real, ["bwrap", *sys.argv[1:]])
"""


@pytest.mark.parametrize("option", WEAKER)
def test_a_bubblewrap_that_forgets_an_option_is_not_trusted(option: str, programs: Path) -> None:
    real = shutil.which("bwrap", path="/usr/local/bin:/usr/bin:/bin")
    takes = 2 if option == "--seccomp" else 1
    fake_bwrap(programs, FORGETFUL.format(real=real, option=option, takes=takes))
    made = make("bubblewrap")
    with pytest.raises(BadInput, match=WEAKER[option]):
        made.open()
    made.close()


COMPLAINTS = {
    "bwrap: setting up uid map: Permission denied": "AppArmor",
    "bwrap: No permissions to create a new namespace": "Docker",
    "bwrap: Creating new namespace failed: No space left on device": "max_user_namespaces",
    "bwrap: execvp prlimit: No such file or directory": "util-linux",
}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_a_refusal_carries_bubblewraps_own_words_and_a_way_out(
    complaint: str, programs: Path
) -> None:
    version = '[ $1 = --version ] && echo "bubblewrap 0.9.0" && exit'
    fake_bwrap(programs, f'#!/bin/sh\n{version}\necho "{complaint}" >&2\nexit 1\n')
    made = make("bubblewrap")
    with pytest.raises(BadInput, match=COMPLAINTS[complaint]) as refused:
        made.open()
    made.close()
    assert complaint in str(refused.value)


def test_without_bubblewrap_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    made = make("bubblewrap")
    with pytest.raises(BadInput, match="apt install bubblewrap"):
        made.open()
    made.close()


def test_a_bubblewrap_too_old_to_hold_is_refused(programs: Path) -> None:
    fake_bwrap(programs, "#!/bin/sh\necho bubblewrap 0.6.1\n")
    made = make("bubblewrap")
    with pytest.raises(BadInput, match=r"bubblewrap 0\.8 or later.*0\.6\.1"):
        made.open()
    made.close()


def test_the_same_attacks_fail_where_an_ordinary_user_runs_the_harness() -> None:
    python = "/usr/bin/python3"
    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=False).stdout
    if os.geteuid() != 0 or not version.startswith(f"Python 3.{sys.version_info.minor}."):
        pytest.skip("needs root, and a system Python that can load the packages of this one")
    packages = Path(pytest.__file__).parents[1]
    environment = {"PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin"}
    which = "attack_on_the_host_fails or attack_on_the_sandbox or limit_is_stopped"
    options = ["-q", "-p", "no:cacheprovider", __file__, "-k", which]
    done = subprocess.run(
        [python, "-m", "pytest", *options],
        env=environment,
        cwd=Path(__file__).parents[1],
        user=64_918,
        group=64_918,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    attacks = len(ON_THE_HOST) + len(REFUSED) + len(STOPPED)
    assert f"{attacks} passed" in done.stdout
