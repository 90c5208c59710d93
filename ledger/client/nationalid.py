"""Citizen identity numbers of the People's Republic of China, in the one form that is hashed.

GB 11643-1999: six digits of region, eight of the date of birth, three of sequence, and a check
character by ISO 7064 MOD 11-2. Numbers of the first generation have 15 digits, without the century
and the check character, and stand for the same person. Two hospitals get one pseudonym for one
person only if both write the number in the same way, so nothing doubtful is let through.
"""

from __future__ import annotations

import unicodedata
from datetime import date
from typing import Final

#: Characters of the form that is hashed.
LENGTH: Final = 18
_OLD_LENGTH: Final = 15
_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS: Final = "10X98765432"
#: The first two digits: provinces and what ranks with them (GB/T 2260), and 81 to 83, which holders
#: of residence permits from Hong Kong, Macao and Taiwan have.
REGIONS: Final = frozenset(
    str(code)
    for first, last in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (81, 83))
    for code in range(first, last + 1)
) | {"71"}
_FIRST_YEAR: Final = 1850
_LAST_YEAR: Final = 2149
#: In numbers of 15 digits these sequences are for people who were a hundred years old.
_CENTENARIANS: Final = frozenset({"996", "997", "998", "999"})
_SPACES: Final = str.maketrans("", "", " \t-")


class BadNumber(ValueError):
    """Not an identity number. The text is a code and never has anything of the number in it.

    The codes are ``length``, ``characters``, ``region``, ``birth``, ``checksum``, ``centenarian``.
    """


def check_character(first: str) -> str:
    """The check character of the first 17 digits (ISO 7064 MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(first, _WEIGHTS, strict=True))
    return _CHECKS[total % 11]


def normalised(text: str) -> str:
    """A number in the form that is hashed: 18 characters, digits of ASCII, the check ``X`` upright.

    Full-width characters, spaces, hyphens and a small x are brought into that form, and 15 digits
    are made 18.

    Raises:
        BadNumber: it is none.
    """
    plain = _plain(text)
    if len(plain) == _OLD_LENGTH:
        _digits(plain)
        if plain[12:] in _CENTENARIANS:
            raise BadNumber("centenarian")
        first = plain[:6] + "19" + plain[6:]
        plain = first + check_character(first)
    if len(plain) != LENGTH:
        raise BadNumber("length")
    _digits(plain[:17])
    if plain[17] not in _CHECKS:
        raise BadNumber("characters")
    if plain[:2] not in REGIONS:
        raise BadNumber("region")
    try:
        born = date(int(plain[6:10]), int(plain[10:12]), int(plain[12:14]))
    except ValueError:
        raise BadNumber("birth") from None
    if not _FIRST_YEAR <= born.year <= _LAST_YEAR:
        raise BadNumber("birth")
    if check_character(plain[:17]) != plain[17]:
        raise BadNumber("checksum")
    return plain


def stands_in(number: str, text: str) -> bool:
    """Whether a number, good or mistyped, can be read from a text, in any of its writings."""
    plain = _plain(number)
    forms = {plain}
    if len(plain) == LENGTH:
        forms |= {plain[:17], plain[:6] + plain[8:17]}
    elif len(plain) == _OLD_LENGTH:
        forms.add(plain[:6] + "19" + plain[6:])
    content = _plain(text)
    return any(len(form) >= _OLD_LENGTH and form in content for form in forms)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).translate(_SPACES).upper()


def _digits(text: str) -> None:
    if not (text.isascii() and text.isdigit()):
        raise BadNumber("characters")
