"""TLS of the server: the context, and its certificate again when its files change.

Decides protocol versions and when the files are read. It must not know connections. Invariant: files that do
not belong together, or cannot be read, change nothing.
"""

import ssl
from pathlib import Path

from msgspec import Struct

from worker.errors import Fatal


class TlsFiles(Struct, frozen=True, kw_only=True):
    """The certificate with its chain, and its key, as PEM."""

    certificate: str
    key: str


class Certificate:
    """The context for new connections. ``failure`` says why the files as they are now are not used."""

    def __init__(self, files: TlsFiles) -> None:
        """Fatal where the files cannot be used."""
        self._files = files
        self._seen = self._stamps()
        self.failure: str | None = None
        try:
            self.context = _context(files)
        except (OSError, ssl.SSLError) as error:
            raise Fatal(_described(files, error)) from error

    def reread(self) -> bool:
        """Whether another certificate holds for new connections from now on. Cheap where nothing changed."""
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        try:
            self.context = _context(self._files)
        except (OSError, ssl.SSLError) as error:
            self.failure = _described(self._files, error)
            return False
        self.failure = None
        return True

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(Path(name)) for name in (self._files.certificate, self._files.key)]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _context(files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    # Without a password OpenSSL would ask at the terminal for that of an encrypted key.
    context.load_cert_chain(files.certificate, files.key, password="")
    return context


def _described(files: TlsFiles, error: OSError) -> str:
    if not isinstance(error, ssl.SSLError):
        what = error.strerror or type(error).__name__
    elif error.reason == "KEY_VALUES_MISMATCH":
        what = "the key is that of another certificate"
    else:
        what = "one of them is not PEM, or the key is encrypted (it must have no password)"
    return f"cannot use the certificate {files.certificate} with the key {files.key}: {what}"
