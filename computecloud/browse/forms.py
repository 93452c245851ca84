"""Forms: they ask, and show what the API refused beside the field that it named. They have no rules of their own."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.http import QueryDict

from computecloud.browse.calls import Answer

KEY = "idempotency_key"


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that may be chosen."""

    value: str
    words: str


@dataclass(slots=True, kw_only=True)
class Field:
    """One question. `path` is where its answer stands in the API's body.

    `kind` is text, password, area (of several lines), one (of the choices) or many.
    """

    name: str
    label: str
    path: str
    kind: str = "text"
    choices: Sequence[Choice] = ()
    help: str = ""
    values: Sequence[str] = ()
    error: str = ""
    fills: str = ""  # what a browser may know the answer by: HTML's autocomplete

    @property
    def described_by(self) -> str:
        """Return the ids of what stands below the question."""
        below = {"error": self.error, "help": self.help}
        return " ".join(f"{self.name}-{part}" for part, words in below.items() if words)

    @property
    def rows(self) -> int:
        """Return how many choices are seen at once."""
        return min(max(len(self.choices), 2), 6)

    @property
    def value(self) -> str:
        """Return the one answer."""
        return self.values[0] if self.values else ""


@dataclass(slots=True, kw_only=True)
class Form:
    """Questions that are sent together; `key` makes one request of a form that is sent twice."""

    title: str
    fields: list[Field]
    send: str = "Create"
    error: str = ""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    @property
    def focus(self) -> str:
        """Return the question to begin at: the first that was answered wrongly, or the first of all."""
        return next((one.name for one in self.fields if one.error), self.fields[0].name)

    def read(self, sent: QueryDict) -> None:
        """Take what was sent."""
        for one in self.fields:
            one.values = [value for value in sent.getlist(one.name) if value]
        self.key = sent.get(KEY) or self.key

    def one(self, name: str) -> str:
        """Return the answer to a question, empty where there is none."""
        return next(one.value for one in self.fields if one.name == name)

    def all(self, name: str) -> list[str]:
        """Return the answers to a question that may have several."""
        return list(next(one.values for one in self.fields if one.name == name))

    def refuse(self, answer: Answer) -> None:
        """Put a refusal beside the fields that it names, or above them all; what is sent next is another request."""
        placed = False
        for path, message in answer.fields.items():
            for one in self.fields:
                if f"{path}.".startswith(f"{one.path}."):
                    one.error, placed = message, True
        self.error = "" if placed else answer.message
        self.key = secrets.token_urlsafe(16)
