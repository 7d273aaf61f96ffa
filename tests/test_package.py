"""The Debian package: on a system with a running systemd, and on a Debian 12 with nothing on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from servers.dovecot import missing
from servers.nested_systemd import start_nested_systemd, stop_nested_systemd

_ROOT = Path(__file__).resolve().parents[1]
_MESSAGE = _ROOT / "inbox_agent" / "demo_messages" / "03-cv-only.eml"
_UNIT = "inbox-agent.service"
# Until the first start finds it wrong, the example configuration is what is there.
_STATUS_OF_THE_EXAMPLE = {"LoadState": "loaded", "UnitFileState": "disabled", "ActiveState": "inactive"}


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    if shutil.which("uv") is None or shutil.which("dpkg-deb") is None:
        missing("uv or dpkg-deb is not on PATH")
    folder = tmp_path_factory.mktemp("package")
    folder.chmod(0o755)
    build = ["uv", "build", "--wheel", "--quiet", "--out-dir", str(folder), str(_ROOT)]
    subprocess.run(build, check=True, timeout=300)
    wheel = next(folder.glob("*.whl"))
    command = ["sh", str(_ROOT / "packaging/deb"), "--wheel", str(wheel), "--out", str(folder)]
    quick = {**os.environ, "COMPRESSION": "gzip"}
    subprocess.run(command, check=True, timeout=300, env=quick, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.deb"))


def test_the_requirements_of_an_installation_are_those_of_the_lock():
    if shutil.which("uv") is None:
        missing("uv is not on PATH")
    made = subprocess.run([str(_ROOT / "dev"), "requirements"], check=True, capture_output=True, text=True).stdout

    assert made == (_ROOT / "systemd/requirements.txt").read_text(), "run: ./dev requirements >systemd/requirements.txt"
    pinned = [line for line in made.splitlines() if line and not line.startswith(" ")]
    assert all("==" in line for line in pinned)
    assert made.count("--hash=sha256:") >= len(pinned)


def test_the_package_names_what_it_needs_and_carries_no_path_of_the_machine_it_was_built_on(package, tmp_path):
    control = subprocess.run(["dpkg-deb", "-f", str(package)], check=True, capture_output=True, text=True).stdout
    assert "Depends: python3 (>= 3.11), python3 (<< 3.12), libseccomp2" in control
    subprocess.run(["dpkg-deb", "-x", str(package), str(tmp_path)], check=True)

    texts = [path for path in (tmp_path / "opt/inbox-agent").rglob("*") if path.suffix in {"", ".cfg", ".pth", ".json"}]
    for path in texts:
        if path.is_file() and not path.is_symlink():
            assert str(_ROOT).encode() not in path.read_bytes(), path
    assert (
        subprocess.run(
            ["find", str(tmp_path), "-perm", "/022", "-not", "-type", "l", "-not", "-path", str(tmp_path)],
            check=True,
            capture_output=True,
        ).stdout
        == b""
    )


@pytest.mark.nested_systemd
def test_installing_starts_nothing_and_removing_keeps_every_datum(package, tmp_path_factory):
    layer = tmp_path_factory.mktemp("layer")
    layer.chmod(0o755)
    (layer / "srv").mkdir()
    shutil.copy(package, layer / "srv/agent.deb")
    system = start_nested_systemd(layer)
    try:
        system.run("dpkg", "-i", "/srv/agent.deb")
        assert system.show(_UNIT, *_STATUS_OF_THE_EXAMPLE) == _STATUS_OF_THE_EXAMPLE
        assert system.run("inbox-agent", "--help").returncode == 0
        verified = system.run("systemd-analyze", "verify", _UNIT, "inbox-agent-failure@x.service")
        assert verified.stdout + verified.stderr == ""

        system.write("/etc/inbox-agent/config.toml", "ours = 1\n")
        system.write("/var/lib/inbox-agent/archive/application", "a datum")
        system.run("dpkg", "-i", "/srv/agent.deb")
        assert system.run("cat", "/etc/inbox-agent/config.toml").stdout == "ours = 1\n"
        system.run("dpkg", "--purge", "inbox-agent")
        assert system.run("cat", "/var/lib/inbox-agent/archive/application").stdout == "a datum"
        assert system.show(_UNIT, "LoadState") == {"LoadState": "not-found"}
        assert system.run("ls", "/opt/inbox-agent", check=False).returncode != 0
    finally:
        stop_nested_systemd(system)


@pytest.mark.soak
@pytest.mark.nested_systemd
@pytest.mark.timeout(600)
def test_it_installs_on_a_clean_debian_12_and_judges_a_message(package, tmp_path):
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        missing("debootstrap is not installed, or this is not root")
    sites = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)"], check=True, capture_output=True, text=True
    ).stdout
    mirror = next(line.split()[0] for line in sites.splitlines() if line.endswith(" bookworm"))
    root = tmp_path / "debian"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", "bookworm", str(root), mirror],
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert made.returncode == 0, made.stdout[-2000:]
    shutil.copy(package, root / "root/agent.deb")
    shutil.copy(_MESSAGE, root / "root/message.eml")
    shutil.copytree("/etc/apt/apt.conf.d", root / "etc/apt/apt.conf.d", dirs_exist_ok=True)
    script = tmp_path / "inside.sh"
    script.write_text(_INSIDE)
    done = subprocess.run(
        ["unshare", "--mount", "--fork", "--kill-child", "bash", str(script), str(root)],
        check=False,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    last = done.stdout.splitlines()[-1]
    assert '"kind": "application"' in last
    assert '"kind": "cv", "where": "attachment", "state": "read"' in last


_INSIDE = r"""
set -e
mount -t proc proc "$1/proc"
mount --bind /dev "$1/dev"
cp /etc/resolv.conf "$1/etc/resolv.conf" || true
chroot "$1" sh -c '
    set -e
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends /root/agent.deb
    id inbox-agent
    inbox-agent explain --json /root/message.eml
'
"""
