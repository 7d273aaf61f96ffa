"""A second systemd in namespaces of its own, over an overlay of this machine, so that a unit starts for real.

Nothing it writes reaches this machine: the overlay's upper layer and /run and /tmp are in memory and end with it.
It shares the network, so that its services reach servers on 127.0.0.1 here. Needs root. Not enforced inside where
the machine's controllers are those of cgroup v1: MemoryMax=, TasksMax=.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers.dovecot import missing

_SYSTEMD = Path("/lib/systemd/systemd")
_START_TIMEOUT = 30.0  # seconds; measured 1.1


@dataclass(frozen=True)
class NestedSystemd:
    folder: Path
    outer: subprocess.Popen[bytes]
    leader: int

    def run(self, *command: str, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """A command inside."""
        clean = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        inside = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-p", "-C", "--", *command]
        done = subprocess.run(
            inside, check=False, input=text or "", capture_output=True, text=True, timeout=100, env=clean
        )
        if check and done.returncode != 0:
            pytest.fail(f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def write(self, path: str, text: str, *, mode: int = 0o644, owner: str = "root") -> None:
        """A file inside, with its folders."""
        self.run("install", "-D", "-m", f"{mode:o}", "-o", owner, "/dev/stdin", path, text=text)

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """What systemd says of a unit."""
        said = self.run("systemctl", "show", unit, *(f"-p{name}" for name in properties)).stdout
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def log(self, unit: str) -> str:
        """The journal of a unit and what systemd says of it, one line each: priority, then text."""
        fields = ("journalctl", "--quiet", "--no-pager", "-u", unit, "-o", "json", "--output-fields=PRIORITY,MESSAGE")
        rows = self.run(*fields).stdout
        lines = [json.loads(row) for row in rows.splitlines()]
        return "\n".join(f"{line.get('PRIORITY', '?')} {line['MESSAGE']}" for line in lines)

    def wait(self, unit: str, seconds: float = 30, **wanted: str) -> dict[str, str]:
        """Until the unit's properties are those wanted."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.show(unit, *wanted)
            if found == wanted:
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"{unit} is {found} and not {wanted}\n{self.log(unit)}")
            time.sleep(0.1)


def start_nested_systemd(*layers: Path, units: dict[str, str] | None = None) -> NestedSystemd:
    """Boot it; `layers` are trees copied over this machine's root, the first on top."""
    if os.geteuid() != 0:
        missing("a nested systemd needs root")
    if not _SYSTEMD.exists():
        missing("systemd is not installed")
    folder = Path(tempfile.mkdtemp(prefix="nested-", dir="/tmp"))
    layer = folder / "units" / "etc/systemd/system"
    layer.mkdir(parents=True)
    for name, text in (units or {}).items():
        (layer / name).write_text(text)
    script = folder / "init.sh"
    script.write_text(_INIT)
    over = [str(path) for path in (*reversed(layers), folder / "units")]
    (folder / "root").mkdir()
    command = ["unshare", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child", "/bin/bash"]
    with (folder / "log").open("wb") as log:
        outer = subprocess.Popen(
            [*command, str(script), str(folder / "root"), *over], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        nested = NestedSystemd(folder, outer, _leader(outer, folder))
        _until_running(nested)
    except BaseException:
        outer.kill()
        raise
    return nested


def stop_nested_systemd(nested: NestedSystemd) -> None:
    """Every process inside ends with its first one."""
    os.kill(nested.leader, signal.SIGKILL)
    nested.outer.wait(timeout=20)
    shutil.rmtree(nested.folder, ignore_errors=True)


def _leader(outer: subprocess.Popen[bytes], folder: Path) -> int:
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        found = children.read_text().split() if children.exists() else []
        if found and Path(f"/proc/{found[0]}/comm").read_text().strip() == "systemd":
            return int(found[0])
        if outer.poll() is not None:
            break
        time.sleep(0.05)
    text = (folder / "log").read_text()
    if "ermission" in text or "not permitted" in text:
        missing(f"no nested systemd can be started here: {text[-300:]}")
    pytest.fail(f"the nested systemd did not start: {text[-2000:]}")


def _until_running(nested: NestedSystemd) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    state = ""
    while time.monotonic() < deadline:
        state = nested.run("systemctl", "is-system-running", check=False).stdout.strip()
        if state in {"running", "degraded"}:
            return
        time.sleep(0.1)
    pytest.fail(f"the nested systemd is {state}: {(nested.folder / 'log').read_text()[-2000:]}")


# Private mounts; an overlay of / in memory; its own /proc, /sys, /dev, /run and /tmp; then systemd as process 1.
# `make-rshared` in the end: without it the folders of LoadCredential= stay empty.
_INIT = r"""
set -e
R=$1
mount --make-rprivate /
W=$(mktemp -d /run/nested.XXXXXX)
mount -t tmpfs -o mode=755 tmpfs "$W"
mkdir "$W/up" "$W/work"
shift
for layer; do cp -a "$layer/." "$W/up/"; done # No lower layer: those must not lie within each other.
mount -t overlay overlay -o "lowerdir=/,upperdir=$W/up,workdir=$W/work" "$R"
mount -t proc proc "$R/proc"
mount -t sysfs sysfs "$R/sys" || mount --rbind /sys "$R/sys"
umount -R "$R/sys/fs/cgroup" 2>/dev/null || true
mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$R/dev"
for d in null zero full random urandom tty; do touch "$R/dev/$d"; mount --bind "/dev/$d" "$R/dev/$d"; done
mkdir "$R/dev/pts" "$R/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$R/dev/pts"
ln -s pts/ptmx "$R/dev/ptmx"
mount -t tmpfs tmpfs "$R/dev/shm"
ln -s /proc/self/fd "$R/dev/fd"
for n in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${n%%:*}" "$R/dev/${n#*:}"; done
mount -t tmpfs -o mode=755 tmpfs "$R/run"
mount -t tmpfs -o mode=1777 tmpfs "$R/tmp"
mkdir "$R/run/written" # What the nested system wrote, for tests to look at.
mount --bind "$W/up" "$R/run/written"
: >"$R/etc/machine-id"
echo nested >"$R/etc/hostname"
: >"$R/etc/fstab"
rm -rf "$R"/etc/systemd/system/*.wants "$R"/etc/systemd/system/*.requires
for u in getty.target console-getty.service systemd-udevd.service systemd-udev-trigger.service \
    systemd-firstboot.service systemd-networkd.service systemd-resolved.service systemd-timesyncd.service \
    systemd-logind.service apt-daily.timer dpkg-db-backup.timer fstrim.timer; do
    ln -sf /dev/null "$R/etc/systemd/system/$u"
done
mkdir -p "$R/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\nReadKMsg=no\nRateLimitBurst=0\n' >"$R/etc/systemd/journald.conf.d/x.conf"
mkdir -p "$R/.old"
cd "$R"
pivot_root . .old
umount -l /.old
mount --make-rshared /
exec env -i container=nested PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system \
    --log-target=journal-or-kmsg --log-level=info --show-status=false systemd.unit=multi-user.target </dev/null
"""
