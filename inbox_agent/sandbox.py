"""What a reading child may do to the machine: nothing but read its message and write into its own folder.

Three layers, each worth having without the others: resource limits (everywhere), Landlock (Linux 5.13 and later:
which files can be seen at all), seccomp (where libseccomp.so.2 is installed: no network, no other program).
A layer that the machine lacks is a warning in `Confinement`, which `inbox-agent check` prints, never a failure.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# The same numbers on every architecture (Linux, include/uapi/asm-generic/unistd.h).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ABI_QUERY = 1  # LANDLOCK_CREATE_RULESET_VERSION
_PATH_BENEATH = 1
_GET_SECCOMP, _SET_NO_NEW_PRIVS = 21, 38  # prctl(2)

# include/uapi/linux/landlock.h: file system rights, by the ABI that brought them.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _MAKE_REG = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 8
_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
_TRUNCATE = 1 << 14
_NETWORK = 0b11  # bind and connect TCP, ABI 4
_SCOPED = 0b11  # abstract sockets and signals, ABI 6

_NEVER = (
    # No network, and no other way to another process.
    *("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmmsg"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "pidfd_open", "tkill"),
    # No program, nothing that looks like one.
    *("memfd_create", "memfd_secret", "io_uring_setup", "userfaultfd", "bpf", "perf_event_open"),
    # No change to the system, to identities or to names of files.
    *("mount", "umount2", "pivot_root", "chroot", "setns", "unshare", "mknod", "mknodat"),
    *("link", "linkat", "symlink", "symlinkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir"),
    *("chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr"),
    *("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "capset"),
    *("keyctl", "add_key", "request_key", "init_module", "finit_module", "kexec_load", "reboot", "swapon"),
    *("settimeofday", "clock_settime", "sethostname", "acct", "quotactl", "personality"),
)
_EXEC = ("execve", "execveat")
_FORK = ("fork", "vfork", "clone", "clone3")
_KILL = ("kill",)


@dataclass(frozen=True, slots=True)
class Confinement:
    """How a child is confined here. `landlock` is the kernel's ABI, None where it has none."""

    landlock: int | None
    seccomp: bool

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is missing, one English sentence each; empty is good."""
        found = []
        if self.landlock is None:
            found.append(
                "this kernel has no Landlock (Linux 5.13 or later): "
                "a reader that is taken over could read files of this user"
            )
        if not self.seccomp:
            found.append(
                "libseccomp.so.2 is not installed (package libseccomp2) or the kernel has no seccomp: "
                "a reader that is taken over could open connections"
            )
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Resource limits of one child: octets of memory and of one file, open files."""

    memory: int
    file: int
    files: int = 64


def confinement() -> Confinement:
    """What this machine offers; asks only, confines nothing."""
    abi = _libc().syscall(_CREATE_RULESET, None, 0, _ABI_QUERY) if sys.platform == "linux" else -1
    return Confinement(abi if abi > 0 else None, seccomp=_has_seccomp())


def confine(
    ceiling: Ceiling, *, writable: Path | None, programs: Sequence[Path] = (), fork: bool = False
) -> Confinement:
    """Confine this process for good. `programs` are folders whose programs may be run, `fork` allows children.

    Only Python's own folders can be read from now on: what is needed elsewhere is read or imported before.
    """
    _limit(ceiling)
    if sys.platform != "linux":
        return Confinement(None, seccomp=False)
    if _libc().prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return Confinement(None, seccomp=False)
    filters = _filters(exec_=bool(programs), fork=fork or bool(programs))
    landlock = _landlock(_python_folders(), writable, programs)
    return Confinement(landlock, seccomp=filters is not None and _loaded(filters))


def _limit(ceiling: Ceiling) -> None:
    for kind, value in (
        (resource.RLIMIT_AS, ceiling.memory),
        (resource.RLIMIT_FSIZE, ceiling.file),
        (resource.RLIMIT_NOFILE, ceiling.files),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        ceiling_here = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (ceiling_here, ceiling_here))
    try:  # Where memory runs out, the reader is what the kernel should end, not the agent.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    except OSError:
        return


def allow_seconds(cpu: int) -> None:
    """Give this process `cpu` more seconds of processor time; it is ended by SIGXCPU when they are spent."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + 1 + cpu, hard))


# --- Landlock -------------------------------------------------------------------------------------------------


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _python_folders() -> set[Path]:
    """Python's own folders and our package; of a checkout nothing else, since an operator keeps data there."""
    package = Path(__file__).resolve().parent
    checkout = package.parent if (package.parent / "pyproject.toml").exists() else None
    folders = {Path(folder).resolve() for folder in sys.path if folder}
    libraries = {Path("/usr/lib"), Path("/usr/lib64"), Path("/lib"), Path("/lib64"), Path("/usr/local/lib")}
    zones = {Path("/usr/share/zoneinfo"), Path("/etc/localtime"), Path("/dev/urandom"), Path("/dev/null")}
    return {
        folder
        for folder in (*folders, *libraries, *zones, package, Path("/etc/ld.so.cache"))
        if folder.exists() and folder not in {checkout, Path("/")}
    }


def _landlock(readable: Iterable[Path], writable: Path | None, programs: Sequence[Path]) -> int | None:
    libc = _libc()
    abi = libc.syscall(_CREATE_RULESET, None, 0, _ABI_QUERY)
    if abi <= 0:
        return None
    handled = sum(rights for since, rights in _RIGHTS.items() if abi >= since)
    attributes = _Ruleset(handled, _NETWORK if abi >= 4 else 0, _SCOPED if abi >= 6 else 0)  # noqa: PLR2004 ABI numbers
    size = 8 if abi < 4 else 16 if abi < 6 else 24  # noqa: PLR2004 older kernels refuse fields they do not know
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return None
    try:
        for path in readable:
            _allow(libc, ruleset, path, (_READ_FILE | _READ_DIR) & handled)
        for path in programs:
            _allow(libc, ruleset, path, (_READ_FILE | _READ_DIR | _EXECUTE) & handled)
        if writable is not None:
            _allow(libc, ruleset, writable, (_WRITE_FILE | _READ_DIR | _MAKE_REG | _TRUNCATE) & handled)
        restricted = libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)
    return abi if restricted else None


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    if not path.is_dir():
        rights &= _READ_FILE | _WRITE_FILE | _EXECUTE
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(_PathBeneath(rights, folder)), 0)
    finally:
        os.close(folder)


# --- seccomp --------------------------------------------------------------------------------------------------


def _has_seccomp() -> bool:
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return False
    return bool(_libc().prctl(_GET_SECCOMP, 0, 0, 0, 0) >= 0)  # /proc/sys is hidden under ProcSubset=pid


def prepare() -> bool:
    """Import what `confine` needs, so that processes forked later need not; False if it is missing."""
    try:
        import pyseccomp  # noqa: F401, PLC0415 runs ldconfig to find libseccomp.so.2, which may be missing
    except (ImportError, OSError, RuntimeError, TypeError):
        return False
    return True


def _filters(*, exec_: bool, fork: bool) -> Any:
    """The filter, made before Landlock closes the way to the library that makes it; None where there is none."""
    if not prepare():
        return None
    import pyseccomp  # noqa: PLC0415 see prepare

    denied = (*_NEVER, *(() if exec_ else _EXEC), *(() if fork else (*_FORK, *_KILL)))
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in denied:
        try:
            rules.add_rule(pyseccomp.ERRNO(errno.EPERM), name)
        except (OSError, ValueError, RuntimeError):  # Not a system call of this architecture or library.
            continue
    return rules


def _loaded(filters: Any) -> bool:
    try:
        filters.load()
    except (OSError, RuntimeError):
        return False
    return True
