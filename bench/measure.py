"""What a process and all it starts cost: wall time, processor time, memory at its peak.

Processor time is that of a control group of its own where the machine lets us make one (version 1 or 2; as root),
which misses nobody; else that of the children that were waited for (wait4), which misses daemons.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

_ROOTS = ("cpuacct", "cpu,cpuacct", "unified", ".")  # beneath /sys/fs/cgroup, the first that can be used
_PATIENCE = 3600  # seconds for one run; 10,000 messages on a loaded machine take half of it
_SAMPLES_APART = 0.2  # seconds; reading the memory of a process of 60 MB takes 1 ms
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Cost:
    """`cpu` and `wall` in seconds, memory in MB: `main_rss` of the first process, `tree_pss` of all together."""

    status: int
    wall: float
    cpu: float
    main_rss: float
    tree_pss: float
    output: str


class Group:
    """A control group for processor time, or nothing where there is none."""

    def __init__(self, name: str) -> None:
        self.folder: Path | None = None
        for root in _ROOTS:
            folder = Path("/sys/fs/cgroup", root, f"inbox-agent-bench-{os.getpid()}-{name}")
            with suppress(OSError):
                folder.mkdir()
                self.folder = folder
                if self._read() is not None:
                    return
                folder.rmdir()
                self.folder = None

    def _read(self) -> float | None:
        if self.folder is None:
            return None
        with suppress(OSError):
            return int((self.folder / "cpuacct.usage").read_text()) / 1e9
        with suppress(OSError):
            return int((self.folder / "cpu.stat").read_text().split()[1]) / 1e6
        return None

    def cpu(self) -> float:
        """Seconds so far."""
        return self._read() or 0.0

    def take(self, pid: int) -> None:
        """Put a process in; what it starts from now on is in too."""
        if self.folder is not None:
            (self.folder / "cgroup.procs").write_text(str(pid))

    def entering(self, command: Sequence[str]) -> list[str]:
        """The command, run within."""
        if self.folder is None:
            return list(command)
        return ["/bin/sh", "-c", f'echo $$ > "{self.folder}/cgroup.procs" && exec "$@"', "sh", *command]

    def close(self) -> None:
        """Remove it, once its processes have ended."""
        for _ in range(50):
            if self.folder is None:
                return
            with suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.02)


def measured(command: Sequence[str], *, folder: Path, environment: dict[str, str] | None = None) -> Cost:
    """Run a command to its end in `folder`."""
    group = Group("client")
    log = folder / "output.log"
    with log.open("wb") as output:
        start = time.monotonic()
        process = subprocess.Popen(
            group.entering(command), cwd=folder, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
        end = threading.Timer(_PATIENCE, process.kill)
        end.start()
        with Memory(process.pid) as memory:
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.monotonic() - start
        end.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    cpu = group.cpu() if group.folder else usage.ru_utime + usage.ru_stime
    group.close()
    return Cost(process.returncode, wall, cpu, memory.main_rss, memory.tree_pss, log.read_text(errors="replace"))


class Memory:
    """The peaks, in MB, of a process and its descendants, looked at five times a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.main_rss = self.tree_pss = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_SAMPLES_APART):
            self.main_rss = max(self.main_rss, rss(self._pid))
            self.tree_pss = max(self.tree_pss, sum(pss(pid) for pid in tree(self._pid)))


def rss(pid: int) -> float:
    """Resident memory of one process, in MB."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE / 2**20
    return 0.0


def pss(pid: int) -> float:
    """Its share: pages that several processes have in common are divided among them."""
    with suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_of_tree(pid: int) -> float:
    """Seconds of processor time of a process and its descendants that live, and of those that it waited for."""
    ticks = 0
    for one in tree(pid):
        with suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(field) for field in fields[11:15])  # utime, stime, cutime, cstime: proc(5)
    return ticks / os.sysconf("SC_CLK_TCK")


def cpu_of_living(pid: int) -> float:
    """The same of those that live, to the nanosecond: a tick has 10 ms, a poll takes less than one."""
    # The clock of a process: clock_getcpuclockid(3), which Python does not have.
    return sum(time.clock_gettime((~one << 3) | 2) for one in tree(pid))


def machine() -> str:
    """What this was measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        "unknown processor",
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 2**20
    release = os.uname().release
    return f"{os.cpu_count()} × {model}, {memory} GiB, Linux {release}, load {os.getloadavg()[0]:.1f}"
