"""The shapes of answers to patients and to the staff of a desk, for OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ledger.api.models import Base64, Hash, Hex, Milliseconds, Model

Pseudonym = Annotated[str, Field(pattern=r"^p-[0-9a-f]{32}$")]
Base64Url = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]*$")]


class SaidModel(Model):
    """One call of a transaction in words."""

    en: str
    zh: str
    subject: Annotated[str, Field(description="whom it is about, where the call says so")]
    whole: Annotated[bool, Field(description="whether the words say everything that is in it")]


class PreparedModel(Model):
    """A transaction to be signed."""

    id: Hash
    body: Annotated[Base64, Field(description="the bytes of which the id is the hash")]
    valid_until: Annotated[int, Field(description="the last height at which it can enter")]
    signers: list[Hex]
    summary: list[SaidModel]


class ChallengeModel(Model):
    """What a browser is to ask an authenticator."""

    nonce: Base64Url
    options: Annotated[
        dict[str, Any],
        Field(
            description="PublicKeyCredentialCreationOptionsJSON or "
            "PublicKeyCredentialRequestOptionsJSON of Web Authentication Level 3"
        ),
    ]


class SignedInModel(Model):
    """A session that has begun; its secret is in a cookie."""

    person: Pseudonym
    key: Annotated[Hex, Field(description="the wire public key that signed in")]
    csrf: Annotated[
        str, Field(description="to be sent as X-CSRF-Token with what changes something")
    ]
    ends: Annotated[int, Field(description="seconds since 1970-01-01 UTC")]


class RegisteredModel(Model):
    """What came of registering a passkey."""

    transaction: Hash
    height: int
    counts: Annotated[Milliseconds, Field(description="from when on the key counts")]


class RecoveryModel(Model):
    """A replacement of a patient's key that is under way."""

    institution: str
    due: Annotated[int, Field(description="from when on the new key counts; 0: not named yet")]


class InstitutionModel(Model):
    """A member of the consortium."""

    id: str
    name: str
    name_zh: str
    kind: str


class DeclaredModel(Model):
    """A consent in force."""

    consent: str
    version: int
    rules: list[dict[str, Any]]


class OverviewModel(Model):
    """What a patient sees of herself."""

    network: str
    subject: Pseudonym
    consents: list[DeclaredModel]
    recovery: RecoveryModel | None
    institutions: list[InstitutionModel]


class DeskEntryModel(Model):
    """What a registrar has entered and a colleague has to witness."""

    id: str
    registrar: str
    subject: Pseudonym
    form: Hash
    summary: SaidModel


class DeskListModel(Model):
    """What waits for a witness."""

    waiting: list[DeskEntryModel]


class DeskDoneModel(Model):
    """What is on the chain now, and where a patient may register a passkey the code for her."""

    transaction: Hash
    height: int
    code: str = ""
    until: Annotated[int, Field(description="until when the code is good, milliseconds")] = 0
