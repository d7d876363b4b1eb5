"""Numbers that carry their own proof: shapes and check characters of the identifiers the departments exchange.

Everything here is a pure function of its arguments. A `parse_…` or `normalise_…` raises `InvalidIdentifierError`, whose
text never repeats the number; an `is_…` answers True or False and never raises, whatever string it is given.
"""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache

from yijian_contracts.areas import province_exists


class InvalidIdentifierError(ValueError):
    """A number is not what it claims to be. The message says why without repeating it."""


class Sex(StrEnum):
    """GB/T 2261.1: 1 is male, 2 is female."""

    MALE = "1"
    FEMALE = "2"


# --- citizen number, GB 11643-1999 -----------------------------------------------------------------------------------

_CITIZEN_ID = re.compile(r"[0-9]{17}[0-9X]")
_CITIZEN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CITIZEN_CHECKS = "10X98765432"
MAX_SEQUENCE = 999


@dataclass(frozen=True)
class CitizenId:
    """A citizen number taken apart. `area6` is where it was first given; that code may be withdrawn since."""

    number: str
    area6: str
    birth_date: date
    sequence: int

    @property
    def sex(self) -> Sex:
        """GB 11643-1999 §5.3: an odd sequence is a man's, an even one a woman's."""
        return Sex.MALE if self.sequence % 2 else Sex.FEMALE


def parse_citizen_id(number: str, *, today: date | None = None) -> CitizenId:
    """The parts of an 18-character citizen number; a lower-case x is accepted and written upper-case.

    Checks shape, an existing birth date (not after `today` when given) and the check character.
    """
    upper = number.strip().upper() if isinstance(number, str) else ""
    if not _CITIZEN_ID.fullmatch(upper):
        raise InvalidIdentifierError("a citizen number has 17 digits and a digit or X")
    if upper[17] != citizen_check(upper[:17]):
        raise InvalidIdentifierError("the check character of the citizen number is wrong")
    try:
        birth_date = date(int(upper[6:10]), int(upper[10:12]), int(upper[12:14]))
    except ValueError:
        raise InvalidIdentifierError("the birth date in the citizen number does not exist") from None
    if today is not None and birth_date > today:
        raise InvalidIdentifierError("the birth date in the citizen number is in the future")
    return CitizenId(number=upper, area6=upper[:6], birth_date=birth_date, sequence=int(upper[14:17]))


def normalise_citizen_id(number: str) -> str:
    """The number with an upper-case X. Raises `InvalidIdentifierError`."""
    return parse_citizen_id(number).number


def is_citizen_id(number: str) -> bool:
    try:
        parse_citizen_id(number)
    except InvalidIdentifierError:
        return False
    return True


def citizen_check(first17: str) -> str:
    """The check character of 17 digits (GB 11643-1999 annex A, ISO 7064 MOD 11-2)."""
    total = 0
    for weight, digit in zip(_CITIZEN_WEIGHTS, first17, strict=True):
        total += weight * (ord(digit) - 48)
    return _CITIZEN_CHECKS[total % 11]


def make_citizen_id(area6: str, birth_date: date, sequence: int) -> str:
    """The citizen number of this place, day and sequence (0–999; odd for a man, even for a woman)."""
    if not re.fullmatch(r"[0-9]{6}", area6):
        raise InvalidIdentifierError("an area code here has 6 digits")
    if not 0 <= sequence <= MAX_SEQUENCE:
        raise InvalidIdentifierError("a sequence is between 0 and 999")
    first17 = f"{area6}{birth_date:%Y%m%d}{sequence:03d}"
    return first17 + citizen_check(first17)


# --- certificates ----------------------------------------------------------------------------------------------------

_BIRTH_CERTIFICATE = re.compile(r"[A-Z][0-9]{9}")
_MARRIAGE_CERTIFICATE = re.compile(r"[JBL][0-9]{6}-[0-9]{4}-[0-9]{6}")


def is_birth_certificate_no(number: str, *, allow_fictitious: bool = False) -> bool:
    """A letter (print batch), an existing province (GB/T 2260) and seven digits, such as Z990000001."""
    return bool(_BIRTH_CERTIFICATE.fullmatch(number)) and province_exists(
        number[1:3], allow_fictitious=allow_fictitious
    )


def make_birth_certificate_no(letter: str, province: str, serial: int) -> str:
    """The certificate number of this print batch, province (2 digits) and serial (0–9,999,999)."""
    number = f"{letter}{province}{serial:07d}"
    if not _BIRTH_CERTIFICATE.fullmatch(number):
        raise InvalidIdentifierError("a birth certificate number is a letter and nine digits")
    return number


def is_marriage_certificate_no(number: str) -> bool:
    """J (marriage), B (replacement) or L (divorce), six digits of place, a year and a serial: J110101-2020-000123."""
    return bool(_MARRIAGE_CERTIFICATE.fullmatch(number))


# --- unified social credit code, GB 32100-2015 -----------------------------------------------------------------------

_USCC_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}")
_USCC_WEIGHTS = tuple(pow(3, i, 31) for i in range(17))
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VALUES = {character: value for value, character in enumerate(_BASE36)}


def is_uscc(code: str) -> bool:
    """Both check characters hold: that of the code and, inside it, that of the organisation code (GB 11714)."""
    if not _USCC.fullmatch(code):
        return False
    return code[16] == organisation_check(code[8:16]) and code[17] == uscc_check(code[:17])


def uscc_check(first17: str) -> str:
    """GB 32100-2015 §4.2: (31 − Σ 3ⁱ·cᵢ mod 31) mod 31."""
    total = sum(w * _USCC_ALPHABET.index(c) for w, c in zip(_USCC_WEIGHTS, first17, strict=True))
    return _USCC_ALPHABET[(31 - total % 31) % 31]


def organisation_check(first8: str) -> str:
    """GB 11714: 11 − Σ wᵢ·cᵢ mod 11, where 10 is written X and 11 is written 0."""
    total = sum(w * _BASE36.index(c) for w, c in zip(_ORGANISATION_WEIGHTS, first8, strict=True))
    return "0123456789X0"[11 - total % 11]


def make_uscc(prefix: str, organisation8: str) -> str:
    """The whole code of `prefix` (register, kind, six digits of place) and the first eight of the organisation code."""
    first17 = prefix + organisation8 + organisation_check(organisation8)
    code = first17 + uscc_check(first17)
    if not _USCC.fullmatch(code):
        raise InvalidIdentifierError("a unified social credit code has 2 + 6 + 10 characters of its alphabet")
    return code


# --- electronic licence identifier, GB/T 36904 -----------------------------------------------------------------------

LICENCE_ROOT = "1.2.156.3005.2"
_LICENCE = re.compile(
    r"1\.2\.156\.3005\.2\.(?P<type>[0-9A-Z]{18}[0-9]{3})\.(?P<issuer>[0-9A-Z]{18}|[0-9]{6})"
    r"\.(?P<serial>[0-9A-Z]{1,32})\.(?P<version>[0-9]{3})\.(?P<check>[0-9A-Z])"
)


@dataclass(frozen=True)
class LicenceIdentifier:
    """An electronic licence identifier taken apart; the version grows with each reissue."""

    licence_type: str
    issuer: str
    serial: str
    version: int


def parse_licence_identifier(identifier: str) -> LicenceIdentifier:
    """Its parts. A six-digit area code as issuer is seen in public samples and tolerated, though never made here."""
    match = _LICENCE.fullmatch(identifier)
    if match is None:
        raise InvalidIdentifierError("not an electronic licence identifier under 1.2.156.3005.2")
    if licence_check("".join(match.group("type", "issuer", "serial", "version"))) != match["check"]:
        raise InvalidIdentifierError("the check character of the licence identifier is wrong")
    return LicenceIdentifier(match["type"], match["issuer"], match["serial"], int(match["version"]))


def make_licence_identifier(licence_type: str, issuer: str, serial: str, *, version: int = 1) -> str:
    """The identifier of a licence of this type (USCC + 3 digits) by this issuer (USCC)."""
    if not _is_issuer(issuer):
        raise InvalidIdentifierError("the issuer is not a unified social credit code")
    body = (licence_type, issuer, serial, f"{version:03d}")
    start = ".".join((LICENCE_ROOT, *body))
    if _LICENCE.fullmatch(f"{start}.0") is None:
        raise InvalidIdentifierError("the licence type, the serial or the version is not of its form")
    return f"{start}.{licence_check(''.join(body))}"


_is_issuer = lru_cache(maxsize=1024)(is_uscc)
"""The same few departments issue everything."""


def licence_check(text: str) -> str:
    """ISO/IEC 7064 MOD 37,36 over digits and capital letters."""
    product = 36
    for character in text:
        total = (product + _VALUES[character]) % 36 or 36
        product = total * 2 % 37
    return _BASE36[(37 - product) % 36]


# --- telephone and bank card -----------------------------------------------------------------------------------------

_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_BANK_CARD = re.compile(r"[0-9]{12,19}")


def is_mobile(number: str) -> bool:
    """A mobile number of the mainland, 11 digits without country code."""
    return bool(_MOBILE.fullmatch(number))


def is_bank_card(number: str) -> bool:
    """12 to 19 digits whose last is the Luhn check digit (ISO/IEC 7812-1 annex B)."""
    return bool(_BANK_CARD.fullmatch(number)) and luhn_check(number[:-1]) == number[-1]


def luhn_check(digits: str) -> str:
    """The Luhn check digit that follows `digits`."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 - position % 2)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)
