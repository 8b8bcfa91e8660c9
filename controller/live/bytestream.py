"""Numbers of any size as few bytes, bytes read in order, and arrays with their byte planes apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pack(number: int, *, signed: bool = False) -> bytes:
    """A number in groups of seven bits, lowest first; the highest bit says that more follow."""
    if signed:
        number = number << 1 if number >= 0 else (-number << 1) - 1
    if number < 0:
        raise ValueError(f"{number} is below 0")
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


class Bytes:
    """Bytes that are read from the first to the last. Raises ValueError where they end too early."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._content) - self._at

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        if count > self.left:
            raise ValueError(f"{count} bytes are wanted and {self.left} are left")
        self._at += count
        return self._content[self._at - count : self._at]

    def number(self, *, signed: bool = False) -> int:
        """The next number that ``pack`` wrote."""
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
        if not signed:
            return number
        return -((number + 1) >> 1) if number & 1 else number >> 1


def split_planes(content: bytes, width: int) -> NDArray[np.uint8]:
    """Items of ``width`` bytes as planes: first the lowest bytes of all. (width, items)"""
    return np.ascontiguousarray(np.frombuffer(content, np.uint8).reshape(-1, width).T)


def join_planes(planes: bytes, width: int) -> bytes:
    """The items that ``split_planes`` took apart."""
    return np.frombuffer(planes, np.uint8).reshape(width, -1).T.tobytes()
