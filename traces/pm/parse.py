"""A measurement file as a stream of ``MeasValue``: the schema of TS 32.435 and TS 28.532 and nothing else.

Built on expat. What a measurement file never needs is refused: document types, entities, external references,
deep nesting and giant tags. Name spaces are not looked at. Three pairs of handlers take turns::

    structure --measValue of interest--> results --/measValue--> structure
    structure --anything else---------> skipped --its end-----> structure
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar
from xml.parsers import expat

from traces.pm.source import CHUNK_BYTES, ROOTS, FileRefusedError

MAX_DEPTH = 64
MAX_TAG_BYTES = 2**20  # a longer tag or comment makes expat scan it again for each chunk
MAX_TEXT_CHARS = 16 * 2**20  # of one element
MAX_NAMES = 2000  # different names of elements and attributes in one file
MAX_TYPES = 100_000  # measurement types of one measInfo

_PARENTS = {
    "measInfo": ("measData",),
    "granPeriod": ("measInfo",),
    "measTypes": ("measInfo",),
    "measType": ("measInfo",),
    "measValue": ("measInfo",),
    "managedElement": ("measData",),
    "measEntity": ("measData",),
    "r": (),
    "measResults": (),
    "suspect": (),
}
_LDN_OF = {  # element that names the network element -> its attributes, best first
    "fileSender": ("localDn", "senderName"),
    "managedElement": ("localDn", "userLabel"),
    "measEntity": ("localDn", "userLabel"),
}
_UNKNOWN = ""  # p without a measType

T = TypeVar("T")


@dataclass(slots=True)
class MeasValue(Generic[T]):
    """The results of one object and period that are of interest."""

    line: int
    target: T  # what ``target_of`` said of the object
    ldn: str  # measObjLdn
    duration: str  # of granPeriod, "" if there is none
    end_time: str
    suspect: bool
    results: dict[str, str]  # counter -> text
    faults: list[tuple[str, str, str]]  # (counter, reason, text) of results that say nothing


class PmParser(Generic[T]):
    """Parses one file.

    Parameters
    ----------
    file : its name, for messages.
    wants_counter : whether a measurement type is of interest.
    target_of : network element (localDn) and object (measObjLdn) -> what the caller knows about the object,
        or None if it is of no interest.
    take : called with each ``MeasValue`` that has a counter and an object of interest.
    """

    def __init__(
        self,
        file: str,
        wants_counter: Callable[[str], bool],
        target_of: Callable[[str, str], T | None],
        take: Callable[[MeasValue[T]], None],
    ) -> None:
        self.type_names: dict[str, None] = {}  # all measurement types seen
        self._file, self._wants_counter, self._target_of, self._take = file, wants_counter, target_of, take
        self._path: list[str] = []
        self._skipped = 0  # open elements of a part that is skipped, or of a measValue
        self._sender = self._element = ""
        self._types: dict[str, str | None] = {}  # p -> counter, None if it is of no interest
        self._period = ("", "")
        self._value: MeasValue[T] | None = None
        self._has_values = False
        self._text: list[str] | None = None
        self._text_chars = 0
        self._p = ""  # of the open measType, or the counter of the open r
        self._kind = ""  # r, measResults or suspect: whose text is taken
        self._xml = expat.ParserCreate()
        self._xml.ordered_attributes = True
        self._xml.buffer_text = True
        self._xml.StartDoctypeDeclHandler = self._refuse_doctype
        self._xml.EntityDeclHandler = self._refuse_doctype
        self._xml.ExternalEntityRefHandler = self._refuse_doctype
        self._enter_structure()

    def parse(self, chunks: Iterable[bytes]) -> None:
        """Parse a whole file. Raises FileRefusedError; then no ``MeasValue`` already taken may be used."""
        fed = 0
        try:
            for chunk in chunks:
                self._xml.Parse(chunk, False)
                fed += len(chunk)
                if fed - self._xml.CurrentByteIndex > MAX_TAG_BYTES + CHUNK_BYTES:
                    raise self._refused("a tag or comment of more than 1 MiB")
                if len(self._xml.intern) > MAX_NAMES:
                    raise self._refused(f"more than {MAX_NAMES} different names of elements and attributes")
            self._xml.Parse(b"", True)
        except FileRefusedError:
            raise
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise self._refused(
                f"not well-formed XML ({error})", "it may be cut off: fetch it again"
            ) from error

    def _refused(
        self, reason: str, remedy: str = "leave the file out, or correct its exporter"
    ) -> FileRefusedError:
        return FileRefusedError(self._file, self._xml.CurrentLineNumber, reason, remedy)

    def _refuse_doctype(self, *_: object) -> int:
        raise self._refused("document types and entities are not allowed", "remove the DOCTYPE")

    # Structure

    def _enter_structure(self) -> None:
        self._xml.StartElementHandler = self._open
        self._xml.EndElementHandler = self._close
        self._xml.CharacterDataHandler = None

    def _open(self, name: str, attributes: list[str]) -> None:
        local = name.rpartition(":")[2]
        parent = self._path[-1] if self._path else None
        if parent is None and local not in ROOTS:
            raise self._refused(f"root element {local[:40]} is not measCollecFile or measDataFile")
        if local in _PARENTS and parent not in _PARENTS[local]:
            raise self._refused(f"element {local} inside {str(parent)[:40]}")
        if len(self._path) >= MAX_DEPTH:
            raise self._refused(f"elements nested more than {MAX_DEPTH} deep")
        self._path.append(local)
        match local:
            case "measData" | "measInfo":
                self._types, self._period, self._has_values = {}, ("", ""), False
                if local == "measData":
                    self._element = self._sender
            case "fileSender" | "managedElement" | "measEntity":
                found = _attribute(attributes, *_LDN_OF[local])
                if local == "fileSender":
                    self._sender = found
                self._element = found or self._sender
            case "granPeriod":
                self._period = (_attribute(attributes, "duration"), _attribute(attributes, "endTime"))
            case "measType" | "measTypes":
                if self._has_values:
                    raise self._refused(f"{local} after measValue")
                self._p = _attribute(attributes, "p")
                self._start_text()
            case "measValue":
                self._open_value(_attribute(attributes, "measObjLdn"))

    def _close(self, _name: str) -> None:
        local = self._path.pop()
        if local == "measTypes":
            for i, counter in enumerate(self._end_text().split()):
                self._add_type(str(i + 1), counter)
        elif local == "measType":
            self._add_type(self._p, self._end_text().strip())

    def _add_type(self, p: str, counter: str) -> None:
        if p in self._types or len(self._types) >= MAX_TYPES:
            raise self._refused(
                f"measType p={p[:40]!r} twice or more than {MAX_TYPES} of them in one measInfo"
            )
        self._types[p] = counter if self._wants_counter(counter) else None
        self.type_names[counter] = None

    def _start_text(self) -> None:
        self._text, self._text_chars = [], 0
        self._xml.CharacterDataHandler = self._add_text

    def _add_text(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)
            self._text_chars += len(text)
            if self._text_chars > MAX_TEXT_CHARS:
                raise self._refused(f"a text of more than {MAX_TEXT_CHARS // 2**20} Mi characters")

    def _end_text(self) -> str:
        text, self._text = "".join(self._text or ()), None
        self._xml.CharacterDataHandler = None
        return text

    # Skipped parts

    def _skip(self, open_elements: int) -> None:
        self._skipped = open_elements
        self._xml.StartElementHandler = self._open_skipped
        self._xml.EndElementHandler = self._close_skipped

    def _open_skipped(self, _name: str, _attributes: list[str]) -> None:
        self._skipped += 1
        if self._skipped > MAX_DEPTH:
            raise self._refused(f"elements nested more than {MAX_DEPTH} deep")

    def _close_skipped(self, _name: str) -> None:
        self._skipped -= 1
        if not self._skipped:
            self._path.pop()
            self._enter_structure()

    # Results

    def _open_value(self, ldn: str) -> None:
        self._has_values = True
        if not any(self._types.values()):
            self._path.pop()  # nothing of interest in the whole measInfo: wait for its end
            self._skip(2)
            return
        target = self._target_of(self._element, ldn)
        if target is None:
            self._skip(1)
            return
        line = self._xml.CurrentLineNumber
        self._value = MeasValue(line, target, ldn, *self._period, suspect=False, results={}, faults=[])
        self._skipped = 1
        self._xml.StartElementHandler = self._open_result
        self._xml.EndElementHandler = self._close_result

    def _open_result(self, name: str, attributes: list[str]) -> None:
        self._skipped += 1
        if self._skipped > 2:
            if self._text is not None or self._skipped > MAX_DEPTH:
                raise self._refused(f"element {name[:40]} inside a result, or nested too deep")
            return
        kind = name if name == "r" else name.rpartition(":")[2]
        if kind == "r":
            p = attributes[1] if attributes and attributes[0] == "p" else _attribute(attributes, "p")
            counter = self._types.get(p, _UNKNOWN)
            if counter is None:
                return
            if counter == _UNKNOWN:
                self._fault(f"p={p[:40]}", "result without a measType of its p", "")
                return
            self._p = counter
        elif kind not in ("measResults", "suspect"):
            return
        self._kind = kind
        self._start_text()

    def _close_result(self, _name: str) -> None:
        self._skipped -= 1
        if self._skipped == 1 and self._text is not None:
            self._end_result()
        elif not self._skipped and self._value is not None:
            value, self._value = self._value, None
            self._path.pop()
            self._enter_structure()
            self._take(value)

    def _end_result(self) -> None:
        text, value = self._end_text(), self._value
        assert value is not None
        if self._kind == "r":
            self._add_result(self._p, text)
        elif self._kind == "suspect":
            value.suspect = value.suspect or text.strip().lower() in ("true", "1")
        else:
            texts = text.split()
            if len(texts) != len(self._types):
                self._fault("measResults", "not as many results as measurement types", text)
                return
            for counter, result in zip(self._types.values(), texts, strict=True):
                if counter is not None:
                    self._add_result(counter, result)

    def _add_result(self, counter: str, text: str) -> None:
        assert self._value is not None
        if self._value.results.setdefault(counter, text) != text:
            self._fault(counter, "two different results of one counter", text)

    def _fault(self, counter: str, reason: str, text: str) -> None:
        if self._value is not None:
            self._value.faults.append((counter, reason, text[:40]))


def _attribute(attributes: list[str], *names: str) -> str:
    """The first of ``names`` that is there and not empty, "" if none is; prefixes are dropped."""
    if attributes and attributes[0] == names[0] and attributes[1]:
        return attributes[1]
    pairs = {attributes[i].rpartition(":")[2]: attributes[i + 1] for i in range(0, len(attributes), 2)}
    return next((pairs[name] for name in names if pairs.get(name)), "")
