"""Ids of AuditEvents lead back to what they were made of, and no other text does."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from ledger.fhir.auditids import EventId, What, consent_mark, read_id, write_id

CONSENT = (What.DECLARED, What.WITHDRAWN)
PLACES = st.builds(
    lambda raw, call: f"{raw.hex()}-{call}",
    st.binary(min_size=32, max_size=32), st.integers(0, 65_535),
)  # fmt: skip
IDS = st.one_of(
    st.builds(
        EventId,
        st.sampled_from([w for w in What if w not in (*CONSENT, What.LOGGED)]),
        PLACES,
        st.just(b""),
    ),
    st.builds(
        EventId,
        st.sampled_from(CONSENT),
        st.binary(min_size=16, max_size=16).map(lambda raw: f"p-{raw.hex()}"),
        st.text(max_size=64).map(consent_mark),
    ),
    st.builds(EventId, st.just(What.LOGGED), st.integers(1, 10**17).map(str), st.just(b"")),
)


@given(event=IDS)
def test_an_id_is_one_that_fhir_allows_and_reads_back(event):
    text = write_id(event)
    assert text is not None
    assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", text)
    assert read_id(text) == event


@given(event=IDS, data=st.data())
def test_no_two_texts_name_one_event(event, data):
    text = write_id(event)
    assert text is not None
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("abcdeABC234567-.="))
    other = text[:place] + letter + text[place + 1 :]
    if other != text:
        assert read_id(other) != event


@given(text=st.text(max_size=80))
def test_any_text_is_read_or_is_none(text):
    found = read_id(text)
    if found is not None:
        assert write_id(found) == text


@given(about=st.text(max_size=80))
def test_what_has_no_usual_id_has_no_event(about):
    assert write_id(EventId(What.DECIDED, about)) is None or len(about) >= 66
