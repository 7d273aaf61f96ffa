"""The archive on a WebDAV server (Nextcloud) or in an S3 bucket, as ports.FileStore.

DESCRIPTION
    What a method has returned from was acknowledged by the server, and its size was asked for afterwards: the server
    is trusted to keep it. On WebDAV a file is sent under a temporary name and renamed there, on S3 an object
    appears whole or not at all.
DIAGNOSTICS
    FileStoreError names the place and what a person can do; TryAgainError where the server may come back by itself,
    TlsError for a certificate. FileExistsError: other octets are there. ValueError: a path that leaves the root,
    which is our own bug.
BUGS
    One writer at a time for a folder: between the look and the upload to S3 another could put a file there.
    On WebDAV % # ? become their wide forms (the client takes names for URLs): two names that differ in that
    alone are one. S3 knows no rename: a folder is moved file by file, and a move that was cut off is finished by
    the next one.
"""

from __future__ import annotations

import base64
import errno
import hashlib
from contextlib import contextmanager, suppress
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from inbox_agent.errors import AgentError, FileStoreError, TlsError, TryAgainError
from inbox_agent.failpoint import reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from inbox_agent.ports import Filing

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_CHUNK = 2**20  # octets
_TIMEOUT = 60  # seconds without an octet
_TEMPORARY = ".tmp-"
_UNAUTHORIZED = 401
_RETRIED = frozenset({408, 423, 425, 429, 500, 502, 503, 504})  # HTTP answers that may pass
_WIDE = str.maketrans("%#?", "\uff05\uff03\uff1f")
_NARROW = str.maketrans("\uff05\uff03\uff1f", "%#?")
# webdav4 has its own classes for some answers.
_NAMED = {
    "BadGatewayError": 502,
    "ForbiddenOperation": 403,
    "InsufficientStorage": 507,
    "ResourceConflict": 409,
    "ResourceLocked": 423,
    "ResourceNotFound": 404,
}
_REMEDIES = {
    401: "the server refuses user or password: was it changed? Renew archive.password",
    403: "the server forbids it: give archive.user the right to write there",
    404: "it is missing: create the folder or the bucket, or mend archive.root",
    409: "it is missing: create the folder, or mend archive.root",
    413: "the server refuses so large a file: raise its limit",
    507: "it is full: free some space or raise the quota",
}


def remote_files(url: str, user: str, password: Callable[[], str]) -> WebDavFiles | S3Files:
    """The archive that `url` names: webdavs://HOST/PATH, s3://BUCKET/PREFIX?endpoint=https://HOST&region=NAME.

    `password` reads the secret, at the start and again after each refusal.
    Raises FileStoreError for a URL that cannot be used, or when the extra `remote` is not installed.
    """
    parts = urlsplit(url)
    clear = parts.scheme == "webdav" or "endpoint=http://" in url
    host = parts.hostname if parts.scheme == "webdav" else urlsplit(_option(url, "endpoint")).hostname
    if clear and host not in _LOOPBACK:
        raise FileStoreError(f"{_shown(url)} is unencrypted. Use webdavs:// or https://.")
    if parts.password or parts.username:
        raise FileStoreError(f"{_shown(url)} holds a user or a password. Put them into archive.user and .password.")
    try:
        if parts.scheme in {"webdav", "webdavs"}:
            return WebDavFiles(url, user, password)
        if parts.scheme == "s3":
            return S3Files(url, user, password)
    except ImportError as error:
        raise FileStoreError(f"{_shown(url)} needs more programs. Install inbox-agent[remote].") from error
    raise FileStoreError(f"{_shown(url)} is of no known kind. Use a folder, webdavs:// or s3://.")


class _RemoteFiles:
    """What both have in common, over fsspec."""

    def __init__(self, url: str, fs: Any, root: str, errors: tuple[type[Exception], ...]) -> None:
        self.root = _shown(url)
        self._errors = errors
        self._fs = fs
        self._top = root

    def put(self, source: Path, target: PurePosixPath) -> None:
        """Upload; see ports.FileStore."""
        path = self._path(target)
        with self._translated(target):
            if self._size(path) is not None:
                self._accept_or_refuse(source, path)
                return
            reach("remote.put.before")
            self._create(source, path)
            self._arrived(path, source.stat().st_size)

    def put_all(self, filings: Sequence[Filing]) -> tuple[FileStoreError | FileExistsError | None, ...]:
        """Upload one after the other; see ports.FileStore."""
        return tuple(self._put_filing(filing) for filing in filings)

    def _put_filing(self, filing: Filing) -> FileStoreError | FileExistsError | None:
        try:
            for source, name in filing.pieces:
                self.put(source, filing.folder / name)
        except (FileStoreError, FileExistsError) as error:
            return error
        return None

    def write(self, target: PurePosixPath, octets: bytes) -> None:
        """Replace a file in one step; see ports.FileStore."""
        path = self._path(target)
        with self._translated(target):
            reach("remote.write.before")
            self._replace(path, octets)
            self._arrived(path, len(octets))

    def write_all(self, files: Sequence[tuple[PurePosixPath, bytes]]) -> None:
        """Replace one after the other; see ports.FileStore."""
        for target, octets in files:
            self.write(target, octets)

    def read(self, target: PurePosixPath) -> bytes | None:
        """Octets of a file; see ports.FileStore."""
        path = self._path(target)
        with self._translated(target):
            try:
                return bytes(self._fs.cat_file(path))
            except FileNotFoundError:
                self._root_is_there()
                return None

    def list(self, folder: PurePosixPath) -> Sequence[PurePosixPath]:
        """All files beneath, what is not finished excepted; empty if there is no such folder."""
        path = self._path(folder) if folder.parts else self._top
        with self._translated(folder):
            return [found for found in self._beneath(path) if not found.name.startswith(_TEMPORARY)]

    def remove(self, folder: PurePosixPath) -> None:
        """Remove a folder, or a file, and what is beneath; see ports.FileStore."""
        path = self._path(folder)
        with self._translated(folder):
            reach("remote.remove.before")
            try:
                self._fs.rm(path, recursive=True)
            except FileNotFoundError:
                self._root_is_there()

    def free(self) -> int | None:
        """Not known; a full store says so when it is written to."""
        return None

    def check(self) -> None:
        """Write, read and remove a file at the root; see ports.FileStore."""
        path = f"{self._top}/{_TEMPORARY}check"
        with self._translated(PurePosixPath()):
            self._root_is_there()
            reach("remote.check.before")
            self._fs.pipe_file(path, b"check")
            if self._fs.cat_file(path) != b"check":
                raise FileStoreError(f"{self.root} does not give back what is put there. Look at the server.")
            self._fs.rm_file(path)

    def close(self) -> None:
        """Nothing to end."""

    def _create(self, source: Path, path: str) -> None:
        raise NotImplementedError

    def _replace(self, path: str, octets: bytes) -> None:
        raise NotImplementedError

    def _root_is_there(self) -> None:
        raise NotImplementedError

    def _path(self, path: PurePosixPath) -> str:
        if not path.parts or path.is_absolute() or ".." in path.parts or "\0" in str(path):
            raise ValueError(f"no path within the archive: {path}")
        return f"{self._top}/{path}"

    def _size(self, path: str) -> int | None:
        """Octets of a file, None if nothing is there."""
        try:
            found = self._fs.info(path)
        except FileNotFoundError:
            return None
        if found["type"] != "file":
            raise _taken(path)
        return int(found["size"])

    def _accept_or_refuse(self, source: Path, path: str) -> None:
        if self._size(path) != source.stat().st_size:
            raise _taken(path)
        with source.open("rb") as ours, self._fs.open(path, "rb") as theirs:
            for one, other in zip_longest(_chunks(ours), _chunks(theirs)):
                if one != other:
                    raise _taken(path)

    def _arrived(self, path: str, size: int) -> None:
        if self._size(path) != size:
            raise TryAgainError(f"{self.root} did not keep a whole file. It is put there again.")

    def _beneath(self, path: str) -> tuple[PurePosixPath, ...]:
        """Everything, relative to the root, sorted."""
        try:
            found = self._fs.find(path)
        except FileNotFoundError:
            found = []
        if not found:
            self._root_is_there()
        return tuple(sorted(PurePosixPath(name).relative_to(self._top or ".") for name in found))

    @contextmanager
    def _translated(self, path: PurePosixPath) -> Iterator[None]:
        try:
            yield
        except (AgentError, FileExistsError):
            raise
        except self._errors as error:
            raise _meaning(error, f"{self.root}/{path}".rstrip("/.")) from error


class WebDavFiles(_RemoteFiles):
    """A ports.FileStore under a folder of a WebDAV server, which must exist."""

    def __init__(self, url: str, user: str, password: Callable[[], str]) -> None:
        from httpx import HTTPError  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415 - an extra
        from webdav4.client import ClientError  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415 - an extra
        from webdav4.fsspec import WebdavFileSystem  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415 - an extra

        parts = urlsplit(url)
        scheme = "http" if parts.scheme == "webdav" else "https"
        fs = WebdavFileSystem(
            f"{scheme}://{parts.netloc}{parts.path}",
            auth=_basic(user, password),
            retry=False,
            timeout=_TIMEOUT,
            skip_instance_cache=True,
        )
        super().__init__(url, fs, "", (OSError, HTTPError, ClientError))

    def _path(self, path: PurePosixPath) -> str:
        return super()._path(path).lstrip("/").translate(_WIDE)

    def _beneath(self, path: str) -> tuple[PurePosixPath, ...]:
        return tuple(sorted(PurePosixPath(str(found).translate(_NARROW)) for found in super()._beneath(path)))

    def close(self) -> None:
        """End the connections."""
        self._fs.client.http.close()

    def _create(self, source: Path, path: str) -> None:
        temporary = _temporary(path)
        self._fs.put_file(source, temporary)
        self._rename(temporary, path, overwrite=False)

    def _replace(self, path: str, octets: bytes) -> None:
        temporary = _temporary(path)
        self._fs.pipe_file(temporary, octets)
        self._rename(temporary, path, overwrite=True)

    def _rename(self, old: str, new: str, *, overwrite: bool) -> None:
        from webdav4.client import ResourceAlreadyExists  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415 - an extra

        reach("remote.rename.before")
        try:
            self._fs.client.move(old, new, overwrite=overwrite)
        except ResourceAlreadyExists:
            raise _taken(new) from None

    def move(self, source: PurePosixPath, target: PurePosixPath) -> None:
        """Rename a folder; see ports.FileStore. Raises FileExistsError if something is at `target` already."""
        old, new = self._path(source), self._path(target)
        with self._translated(source):
            taken = self._fs.exists(new)
            if taken and not self._fs.exists(old):
                return
            if taken:
                raise _taken(new)
            if not self._fs.exists(old):
                raise FileNotFoundError(old)
            self._fs.makedirs(str(PurePosixPath(new).parent), exist_ok=True)
            self._rename(old, new, overwrite=False)

    def _root_is_there(self) -> None:
        self._fs.ls("", detail=False)


def _basic(user: str, password: Callable[[], str]) -> Any:
    """Basic authentication (RFC 7617) that reads the password again once the server has refused it.

    The refused request is repeated then, but an upload, whose octets are spent: the act itself is tried again.
    """
    from httpx import Auth, ByteStream  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415 - an extra

    class Basic(Auth):  # type: ignore[misc,unused-ignore]
        secret = password()

        def auth_flow(self, request: Any) -> Iterator[Any]:
            request.headers["Authorization"] = _pair(user, self.secret)
            response: Any = yield request
            if response.status_code != _UNAUTHORIZED:
                return
            refused = self.secret
            with suppress(AgentError):
                self.secret = password()
            if self.secret != refused and isinstance(request.stream, ByteStream):
                request.headers["Authorization"] = _pair(user, self.secret)
                yield request

    return Basic()


def _pair(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


class S3Files(_RemoteFiles):
    """A ports.FileStore under a prefix of an S3 bucket, which must exist."""

    def __init__(self, url: str, user: str, password: Callable[[], str]) -> None:
        from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415 - an extra
        from s3fs import S3FileSystem  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415 - an extra

        parts = urlsplit(url)
        fs = S3FileSystem(
            key=user or None,
            secret=password() or None,
            endpoint_url=_option(url, "endpoint") or None,
            client_kwargs={"region_name": _option(url, "region") or "us-east-1"},
            config_kwargs={"connect_timeout": 10, "read_timeout": _TIMEOUT, "retries": {"max_attempts": 2}},
            skip_instance_cache=True,
            use_listings_cache=False,
        )
        fs.retries = 2
        self._password = password
        self._bucket = parts.netloc
        super().__init__(url, fs, f"{parts.netloc}{parts.path}".rstrip("/"), (OSError, BotoCoreError, ClientError))

    @contextmanager
    def _translated(self, path: PurePosixPath) -> Iterator[None]:
        """As for both; where we are refused and the secret has changed, the next try is made with the new one."""
        try:
            with super()._translated(path):
                yield
        except FileStoreError:
            self._renew()
            raise

    def _renew(self) -> None:
        with suppress(AgentError):  # A secret that cannot be read is told by the next start.
            secret = self._password() or None
            if secret != self._fs.secret:
                self._fs.secret = secret
                self._fs.connect(refresh=True)

    def _create(self, source: Path, path: str) -> None:
        self._fs.put_file(source, path)

    def _replace(self, path: str, octets: bytes) -> None:
        self._fs.pipe_file(path, octets)

    def move(self, source: PurePosixPath, target: PurePosixPath) -> None:
        """Copy every file, then remove the old ones; see ports.FileStore. A mark tells a move that was cut off."""
        old, new = self._path(source), self._path(target)
        mark = f"{new}/{_TEMPORARY}move"
        with self._translated(source):
            moving = self._beneath(old)
            there = self._beneath(new)
            ours = bool(there) and self._marked(mark, str(source))
            if there and not ours:
                if moving:
                    raise _taken(new)
                return
            if not moving and not ours:
                raise FileNotFoundError(old)
            reach("remote.move.before")
            self._fs.pipe_file(mark, str(source).encode())
            for path in moving:
                self._fs.cp_file(self._path(path), self._path(target / path.relative_to(source)))
            reach("remote.copied.before")
            with suppress(FileNotFoundError):
                self._fs.rm(old, recursive=True)
            self._fs.rm_file(mark)

    def _marked(self, mark: str, source: str) -> bool:
        try:
            return bool(self._fs.cat_file(mark) == source.encode())
        except FileNotFoundError:
            return False

    def _root_is_there(self) -> None:
        self._fs.call_s3("head_bucket", Bucket=self._bucket)


def _meaning(error: Exception, place: str) -> AgentError:
    """What a library's error is to us."""
    status = _status(error)
    chain = " ".join(f"{type(link).__name__} {link}" for link in _links(error))
    if "CERTIFICATE_VERIFY_FAILED" in chain or "CertificateError" in chain:
        return TlsError(f"the certificate of {place} is not trusted. Install its authority, or mend archive.root.")
    if status in _RETRIED:
        return TryAgainError(f"{place} cannot be used now (HTTP {status}). It is tried again.")
    if status is not None:
        return FileStoreError(f"cannot use {place}: {_REMEDIES.get(status, f'HTTP {status}: look at the server')}")
    if isinstance(error, PermissionError):
        return FileStoreError(f"cannot use {place}: {_REMEDIES[403]}, or renew archive.password")
    if isinstance(error, FileNotFoundError):
        return FileStoreError(f"cannot use {place}: {_REMEDIES[404]}")
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return FileStoreError(f"cannot use {place}: the server wants shorter names")
    if type(error).__module__.startswith("webdav4"):
        return FileStoreError(f"cannot use {place}: {type(error).__name__}: look at the server")
    return TryAgainError(f"{place} cannot be reached ({type(error).__name__}). It is tried again.")


def _status(error: Exception) -> int | None:
    """The HTTP status at the bottom of an error, as each library hides it."""
    for link in _links(error):
        name = type(link).__name__
        if name in _NAMED:
            return _NAMED[name]
        status = getattr(link, "status_code", None)
        if status is None:
            response = getattr(link, "response", None)
            metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
            status = metadata.get("HTTPStatusCode")
        if isinstance(status, int):
            return int(status)
    return None


def _links(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__


def _chunks(file: Any) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield bytes(chunk)


def _temporary(path: str) -> str:
    place = PurePosixPath(path)
    return str(place.parent / (_TEMPORARY + hashlib.sha256(place.name.encode()).hexdigest()[:16])).removeprefix("./")


def _option(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query).get(name, [""])[0]


def _shown(url: str) -> str:
    """Without anything secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def _taken(path: str) -> FileExistsError:
    return FileExistsError(errno.EEXIST, "other octets are there", path)
