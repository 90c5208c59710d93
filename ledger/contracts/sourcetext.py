"""The characters and literals of a contract, before any Python parser sees them.

CPython versions disagree about literals: what stands inside an f-string, which escapes are errors,
how long a number may be, which characters a name may have. Whatever they could disagree about is
refused here, so that a source is a contract on every version or on none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ledger.chain.limits import KIB
from ledger.contracts.problems import Problem

MAX_SOURCE_BYTES: Final = 128 * KIB
MAX_BRACKETS: Final = 40
#: Operators and postfixes in one expression, and elif in one function, that CPython's parser may
#: descend into one by one.
MAX_CHAIN: Final = 200
MAX_ELIF: Final = 400
#: Characters of one replacement field of an f-string.
MAX_FIELD: Final = 200

_CHAINING: Final = frozenset(
    {"not", "if", "else", "lambda", "await", "yield", "-", "+", "~", "*", "/", "%", "@", "|", "&"}
    | {"^", "."}
)
_KEYWORDS: Final = frozenset({
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
})  # fmt: skip
_QUOTES: Final = ("'", '"')
_PREFIXES: Final = ("", "f", "b")
# C0 but newline, DEL, C1, line separators, and the controls that reorder text on the screen.
_FORBIDDEN: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
_TOKEN: Final = re.compile(
    r"(?P<newline>\n)"
    r"|(?P<blank> +|\#[^\n]*)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>[0-9][0-9A-Za-z_]*(?:\.[0-9A-Za-z_]*)?|\.[0-9][0-9A-Za-z_]*)"
    r"|(?P<quote>['\"])"
    r"|(?P<open>[(\[{])"
    r"|(?P<close>[)\]}])"
    r"|(?P<other>[!-~])"
)
_BODIES: Final = {
    "'": re.compile(r"((?:[^'\\\n]|\\.)*)'"),
    '"': re.compile(r'((?:[^"\\\n]|\\.)*)"'),
    "'''": re.compile(r"((?:[^\\]|\\.)*?)'''", re.DOTALL),
    '"""': re.compile(r'((?:[^\\]|\\.)*?)"""', re.DOTALL),
}
_ESCAPE: Final = re.compile(r"\\.", re.DOTALL)
_TEXT_ESCAPE: Final = re.compile(
    r"\\(?:[\\'\"nrt]|x[0-9A-Fa-f]{2}"
    r"|u(?![Dd][89A-Fa-f])[0-9A-Fa-f]{4}|U(?!0000[Dd][89A-Fa-f])[0-9A-Fa-f]{8})"
)
_BYTES_ESCAPE: Final = re.compile(r"\\(?:[\\'\"nrt]|x[0-9A-Fa-f]{2})")
_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]*(?:_[0-9]+)*|0x[0-9A-Fa-f]+)")
_MAX_NUMBER: Final = 26
# A replacement field: at its top level neither ``:``, ``!`` nor ``=`` (format, conversion and
# self-description), and inside it only quotes of the other kind around plain characters.
_PLAIN_TEXT: Final = r"[A-Za-z0-9_ ./-]*"
_FIELD_CHARACTERS: Final = {
    "'": re.compile(rf'(?:[^\'"\\#{{}}\n]|"{_PLAIN_TEXT}")+'),
    '"': re.compile(rf"(?:[^'\"\\#{{}}\n]|'{_PLAIN_TEXT}')+"),
}


def _field_fault(field: str, quote: str) -> bool:
    if len(field) > MAX_FIELD or not field.isascii():
        return True
    if _FIELD_CHARACTERS[quote].fullmatch(field) is None:
        return True
    depth = 0
    inside = ""
    for character in field:
        if inside:
            inside = "" if character == inside else inside
        elif character in _QUOTES:
            inside = character
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character in ":!=" and depth == 0:
            return True
    return False


def _fields_fault(body: str, quote: str) -> str:
    """What is wrong with the replacement fields of an f-string, or ""."""
    place = 0
    fields = 0
    while place < len(body):
        character = body[place]
        if body[place : place + 2] in ("{{", "}}"):
            place += 2
        elif character == "{":
            end = body.find("}", place)
            if end < 0 or _field_fault(body[place + 1 : end], quote):
                return "a replacement field is a plain expression"
            fields += 1
            place = end + 1
        elif character == "}":
            return "a single } in an f-string"
        else:
            place += 1
    return "" if fields else "an f-string without a replacement field"


def _literal_fault(prefix: str, quote: str, body: str) -> str:
    if prefix not in _PREFIXES:
        return f"string literals with the prefix {prefix} are not in the language"
    if prefix == "f" and len(quote) == 3:
        return "an f-string stands on one line"
    allowed = _BYTES_ESCAPE if prefix == "b" else _TEXT_ESCAPE
    for escape in _ESCAPE.finditer(body):
        if allowed.match(body, escape.start()) is None:
            return (
                "an escape that is not one of \\\\ \\' \\\" \\n \\r \\t \\xhh \\uhhhh \\Uhhhhhhhh"
            )
    if prefix == "b" and not body.isascii():
        return "bytes literals are ASCII"
    return _fields_fault(body, quote) if prefix == "f" else ""


def _number_fault(text: str) -> str:
    if "." in text or _NUMBER.fullmatch(text) is None:
        return "numbers are decimal or 0x integers"
    return f"a number of {len(text)} digits" if len(text) > _MAX_NUMBER else ""


class _Nesting:
    """How deep the parser would have to descend, counted from above.

    CPython's parser and the making of its tree recurse in C, some versions without regard to the
    size of the thread's stack. So a source must show by its tokens that it is not deep: brackets
    are counted, and operators and postfixes that apply to each other, which commas and the ends of
    brackets and lines separate.
    """

    def __init__(self) -> None:
        self._brackets: list[tuple[int, int]] = []  # the count before and at each open bracket
        self._count = 0
        self._branches = 0

    def inside_brackets(self) -> bool:
        return bool(self._brackets)

    def fault(self, kind: str, text: str, *, after_value: bool) -> str:
        """What is too deep once this token is added, or ""."""
        if kind == "newline" and not self._brackets:
            self._count = 0
        elif text == "," and self._brackets:
            self._count = self._brackets[-1][1]
        elif kind == "open":
            before = self._count + after_value
            self._brackets.append((before, before))
            self._count = before
        elif kind == "close" and self._brackets:
            self._count = self._brackets.pop()[0]
        elif text in _CHAINING:
            self._count += 1
        elif text in ("elif", "def"):
            self._branches = self._branches + 1 if text == "elif" else 0
        if len(self._brackets) > MAX_BRACKETS:
            return f"more than {MAX_BRACKETS} brackets inside each other"
        if self._count > MAX_CHAIN:
            return f"more than {MAX_CHAIN} operators on each other"
        return f"more than {MAX_ELIF} elif in a function" if self._branches > MAX_ELIF else ""


def _scan(source: str) -> Iterator[tuple[int, str, str, str]]:
    """Yield (offset, code, message, hint) of each fault; stops where it cannot go on."""
    place = 0
    nesting = _Nesting()
    after_value = False
    while place < len(source):
        token = _TOKEN.match(source, place)
        if token is None:
            yield place, "E002", "a character that is not ASCII outside text and comments", ""
            return
        kind = token.lastgroup or ""
        text = token.group()
        start = place
        place = token.end()
        if kind == "blank" or (kind == "newline" and nesting.inside_brackets()):
            continue
        too_deep = nesting.fault(kind, text, after_value=after_value)
        if too_deep:
            yield start, "E005", too_deep, "use a variable or a helper function"
            return
        is_word = kind == "name" and text not in _KEYWORDS
        if after_value and (is_word or kind == "number"):
            # Never Python, and parsers of CPython take long and deep to find that out.
            yield start, "E003", "two values without an operator between them", ""
            return
        after_value = is_word or kind in ("close", "number")
        prefix = ""
        if kind == "name" and source[place : place + 1] in _QUOTES:
            prefix = text
            kind = "quote"
            place += 1
        if kind == "quote":
            after_value = True
            quote = source[place - 1]
            if source.startswith(quote * 2, place):
                quote *= 3
                place += 2
            body = _BODIES[quote].match(source, place)
            if body is None:
                yield start, "E006", "a string literal that does not end", ""
                return
            place = body.end()
            fault = _literal_fault(prefix, quote, body.group(1))
            if fault:
                hint = "compute the value before the text" if prefix == "f" else ""
                yield start, "E006", fault, hint
        elif kind == "number":
            fault = _number_fault(text)
            if fault:
                yield start, "E007", fault, "count in the smallest unit instead of fractions"
        elif text == "\\":
            yield start, "E002", "a line continued by a backslash", "use brackets"


def check_text(source: str) -> list[Problem]:
    """Everything wrong with the characters and literals of a source; empty when it may be parsed.

    Takes time linear in the size of the source, and never raises.
    """
    if len(source) > MAX_SOURCE_BYTES:
        return [Problem(1, 1, "E001", f"more than {MAX_SOURCE_BYTES} bytes of source")]
    try:
        size = len(source.encode())
    except UnicodeEncodeError as error:
        return [_at(source, error.start, "E002", "half of a surrogate pair", "")]
    if size > MAX_SOURCE_BYTES:
        return [Problem(1, 1, "E001", f"more than {MAX_SOURCE_BYTES} bytes of source")]
    forbidden = _FORBIDDEN.search(source)
    if forbidden is not None:
        character = ord(forbidden.group())
        hint = "lines end with LF and are indented with spaces" if character in (9, 13) else ""
        return [_at(source, forbidden.start(), "E002", f"the character U+{character:04X}", hint)]
    return [_at(source, *fault) for fault in _scan(source)]


def _at(source: str, offset: int, code: str, message: str, hint: str) -> Problem:
    line = source.count("\n", 0, offset) + 1
    return Problem(line, offset - source.rfind("\n", 0, offset), code, message, hint)
