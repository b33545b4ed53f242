"""The system calls that commands in a sandbox may not make, as a program for the kernel.

Everything else is allowed: what a call may do to the host is already bounded by namespaces and
by having no capability. Denied is what reaches past those, what hides memory from the watchdog,
and what has a history of holes in kernels. Calls of another architecture kill the caller.
"""

from __future__ import annotations

import errno
import os

from harness.errors import BadInput

try:
    import pyseccomp
except (ImportError, RuntimeError) as error:  # no package (not Linux), or no library below it
    raise BadInput(
        f"the sandbox needs Linux and its library libseccomp ({error}): apt install libseccomp2"
    ) from error

_NOT_PERMITTED = """
    acct add_key adjtimex bpf chroot clock_adjtime clock_settime delete_module fanotify_init
    finit_module fsconfig fsmount fsopen fspick init_module io_uring_enter io_uring_register
    io_uring_setup ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mount
    mount_setattr move_mount move_pages migrate_pages name_to_handle_at nfsservctl
    open_by_handle_at open_tree perf_event_open pidfd_getfd pivot_root process_madvise
    process_vm_readv process_vm_writev ptrace quotactl quotactl_fd reboot request_key
    setdomainname sethostname setns settimeofday swapoff swapon syslog umount umount2 unshare
    uselib userfaultfd ustat vhangup
"""

# As if the kernel did not have them, so that programs fall back on what can be watched. The
# arguments of clone3 lie in memory, where no program can look; memory of the others belongs to
# no process, so that nothing would count it.
_MISSING = "clone3 memfd_create memfd_secret msgget semget shmget"

# Flags of clone that make a namespace: time, mount, cgroup, uts, ipc, user, pid, net.
_NAMESPACES = (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)

# TIOCSTI and TIOCLINUX type into a terminal as if its user had.
_TYPING = (0x5412, 0x541C)

# Local, IPv4 and IPv6 sockets belong to a namespace. Others reach the host (AF_VSOCK) or are
# seldom used and often broken.
_SOCKETS = (1, 2, 10)
_LAST_SOCKET = 64


def export() -> bytes:
    """The program, as ``bwrap --seccomp`` wants it. Raises OSError where it cannot be made."""
    program = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    denied = pyseccomp.ERRNO(errno.EPERM)
    for name in _NOT_PERMITTED.split():
        _deny(program, denied, name)
    for name in _MISSING.split():
        _deny(program, pyseccomp.ERRNO(errno.ENOSYS), name)
    for flag in _NAMESPACES:
        _deny(program, denied, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    for request in _TYPING:
        # The kernel looks at 32 bits of the argument; the others may hold anything.
        same = pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 0xFFFFFFFF, request)
        _deny(program, denied, "ioctl", same)
    _deny_sockets(program)
    with os.fdopen(os.memfd_create("seccomp"), "w+b") as file:
        program.export_bpf(file)
        file.seek(0)
        return file.read()


def _deny_sockets(program: pyseccomp.SyscallFilter) -> None:
    unknown = pyseccomp.ERRNO(errno.EAFNOSUPPORT)
    for call in ("socket", "socketpair"):
        for family in range(_LAST_SOCKET):
            if family not in _SOCKETS:
                _deny(program, unknown, call, pyseccomp.Arg(0, pyseccomp.EQ, family))
        _deny(program, unknown, call, pyseccomp.Arg(0, pyseccomp.GE, _LAST_SOCKET))


def _deny(
    program: pyseccomp.SyscallFilter, action: int, name: str, *arguments: pyseccomp.Arg
) -> None:
    """Add a rule, unless this architecture (or this libseccomp) has no such call."""
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    if number >= 0:
        program.add_rule(action, number, *arguments)
