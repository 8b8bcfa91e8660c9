"""Certificates that are not let in any more though they have not ended: a file of serial numbers beside them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from hw.errors import SecurityError
from hw.security.certs import certificate_path, read_certificate
from hw.security.credentials import TlsFiles
from hw.security.identity import identity_in

FILE = "revoked.txt"
_log = logging.getLogger(__name__)


class RevokedFile:
    """Serial numbers in a folder's ``revoked.txt``, read anew whenever the file has changed.

    One hexadecimal number a line, and after a space whatever helps people. A file that cannot be read is named in the
    log, and what was known before stays.
    """

    def __init__(self, folder: Path) -> None:
        """Raises SecurityError where there is a file that cannot be read."""
        self._path = folder / FILE
        self._stamp = self._look()
        self._serials = self._read()

    def __call__(self) -> frozenset[int]:
        """The serial numbers as they are now."""
        now = self._look()
        if now != self._stamp:
            self._stamp = now
            try:
                self._serials = self._read()
            except SecurityError as error:
                _log.warning("%s", error)
        return self._serials

    def _look(self) -> tuple[int, int, int] | None:
        try:
            state = self._path.stat()
        except OSError:
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size

    def _read(self) -> frozenset[int]:
        if self._stamp is None:
            return frozenset()
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
            return frozenset(int(line.split()[0], 16) for line in lines if line.strip())
        except (OSError, ValueError) as error:
            raise SecurityError(
                f"{self._path}: no serial numbers ({error}); write one in hexadecimal digits a line"
            ) from error


def revoked_in(files: TlsFiles | None) -> Callable[[], frozenset[int]]:
    """Serial numbers of revoked certificates; without TLS there are none. Raises SecurityError."""
    return frozenset if files is None else RevokedFile(files.folder)


def revoke(folder: Path, name: str) -> str:
    """Add the certificate of a name to the file; who that was. Raises SecurityError."""
    certificate = read_certificate(certificate_path(folder, name))
    holder = str(identity_in(certificate))
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.write(f"{certificate.serial_number:x} {holder}\n")
    return holder
