"""What waits to be said on one stream: answers, never dropped, and at most one report, made when it is sent."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc

M = TypeVar("M")
MOST_ANSWERS = 1024


@dataclass(frozen=True, slots=True)
class Closing:
    """Why a stream ends."""

    code: grpc.StatusCode
    text: str


class Outgoing(Generic[M]):
    """Queue of one stream. A reader too slow for its answers is disconnected: its leases then run out."""

    def __init__(self, epoch: int, report_every_ms: int) -> None:
        """``report_every_ms``: longest time between reports; the newest replaces one that is not sent yet."""
        self.epoch = epoch
        self.report_every_ms = report_every_ms
        self.sent_sample = 0  # number of the last sample that was reported
        self.reported_us = -1  # when the last report was made
        self._answers: deque[M] = deque()
        self._wants_report = False
        self._closing: Closing | None = None
        self._event = asyncio.Event()
        self._closed = asyncio.Event()

    def put(self, message: M) -> None:
        """An answer to send, ahead of reports."""
        if len(self._answers) >= MOST_ANSWERS:
            self.close(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MOST_ANSWERS} answers wait: read faster")
            return
        self._answers.append(message)
        self._event.set()

    def want_report(self) -> None:
        """A report is due."""
        self._wants_report = True
        self._event.set()

    def close(self, code: grpc.StatusCode, text: str) -> None:
        """End the stream; the first reason stands."""
        self._closing = self._closing or Closing(code, text)
        self._closed.set()

    async def closed(self) -> Closing:
        """Wait until the stream is to end; returns why."""
        await self._closed.wait()
        if self._closing is None:
            raise AssertionError("closed without a reason")
        return self._closing

    async def take(self) -> M | None:
        """The next answer, or None when it is time for a report."""
        while not self._answers and not self._wants_report:
            self._event.clear()
            await self._event.wait()
        if self._answers:
            return self._answers.popleft()
        self._wants_report = False
        return None
