"""A WebDAV server and an S3 server on loopback, each in a process of its own that a test may stop."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from uuid import uuid4

import pytest

from servers.dovecot import free_ports, missing, wait_for_port

USER, PASSWORD = "agent", "s3cret-of-the-archive"

_WEBDAV = """
import os, sys
from cheroot import wsgi
from wsgidav.wsgidav_app import WsgiDAVApp
port, root, password, readonly = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "readonly"
app = WsgiDAVApp({
    "provider_mapping": {"/": {"root": root, "readonly": readonly}},
    "simple_dc": {"user_mapping": {"*": {"agent": {"password": password}}}},
    "http_authenticator": {"accept_basic": True, "accept_digest": False, "default_to_digest": False},
    "lock_storage": True, "property_manager": True, "verbose": 0, "logging": {"enable": False},
})
def with_quota(environ, respond):
    # A file named "full" beside the folders: only what is tiny still fits, as with Nextcloud's quota.
    if environ["REQUEST_METHOD"] == "PUT" and os.path.exists(root + "/full"):
        if len(environ["wsgi.input"].read()) > 100:
            respond("507 Insufficient Storage", [("Content-Length", "0")])
            return [b""]
        respond("201 Created", [("Content-Length", "0")])
        open(root + environ["PATH_INFO"], "wb").write(b"check")
        return [b""]
    return app(environ, respond)
wsgi.Server(("127.0.0.1", port), with_quota).start()
"""


@dataclass
class WebDav:
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self, password: str = PASSWORD, access: str = "") -> None:
        words = [str(self.port), str(self.folder), password, access]
        self.process = subprocess.Popen([sys.executable, "-c", _WEBDAV, *words], stderr=subprocess.DEVNULL)
        wait_for_port(self.port, "the WebDAV server")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def fresh(self) -> str:
        """The URL of a new folder."""
        folder = self.folder / uuid4().hex
        folder.mkdir()
        return f"webdav://127.0.0.1:{self.port}/{folder.name}"


@pytest.fixture(scope="session")
def webdav():
    for module in ("webdav4", "wsgidav", "cheroot"):
        if importlib.util.find_spec(module) is None:
            missing(f"{module} is not installed (extra remote, group dev)")
    folder = Path(tempfile.mkdtemp(prefix="webdav-", dir="/tmp"))
    (port,) = free_ports(1)
    server = WebDav(folder, port)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@dataclass
class S3:
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(self.port, "the S3 server")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def refuse_strangers(self) -> None:
        """Check keys from now on: moto takes any otherwise, and knows none of ours."""
        self._authenticate_after("0")

    def allow_strangers(self) -> None:
        self._authenticate_after("inf")

    def _authenticate_after(self, actions: str) -> None:
        link = HTTPConnection("127.0.0.1", self.port, timeout=10)
        link.request("POST", "/moto-api/reset-auth", actions)
        assert link.getresponse().status == 200
        link.close()

    def url(self, bucket: str) -> str:
        return f"s3://{bucket}/candidatures?endpoint={self.endpoint}"

    def fresh(self) -> str:
        """The URL of a prefix in a new bucket."""
        import boto3  # noqa: PLC0415 - of moto

        bucket = f"b{uuid4().hex}"
        keys = {"aws_access_key_id": USER, "aws_secret_access_key": PASSWORD, "region_name": "us-east-1"}
        boto3.client("s3", endpoint_url=self.endpoint, **keys).create_bucket(Bucket=bucket)
        return self.url(bucket)


@pytest.fixture(scope="session")
def s3():
    for module in ("s3fs", "moto", "flask"):
        if importlib.util.find_spec(module) is None:
            missing(f"{module} is not installed (extra remote, group dev)")
    (port,) = free_ports(1)
    server = S3(port)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file as a reader left it, to be put into an archive."""
    path = tmp_path / "1.bin"
    path.write_bytes(b"%PDF-1.7 octets")
    return path
