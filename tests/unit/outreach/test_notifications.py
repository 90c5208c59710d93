"""Patients are told of every access, emergencies first, and of none before its date."""

import asyncio
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.api.app import create_app
from ledger.api.principal import SCOPE_KEY, Kind, Principal
from ledger.chain.codec import encode
from ledger.chain.result import Event
from ledger.node.answers import Cursor, LedgerEvent
from ledger.node.events import EventFeed, events_of
from ledger.node.notifications import channels, notices
from ledger.node.notifications.channels import find_channel
from ledger.node.notifications.inbox import NoticeList
from ledger.node.notifications.marks import MAX_MARKS, ReadMarks, TooManyMarks
from ledger.node.notifications.notices import TOPICS, notice_of
from ledger.node.notifications.notifier import Notifier
from ledger.node.webhooks.courier import TAKEN, Fate, Outcome
from tests.support.openapi import CheckedTransport
from tests.support.toldchain import CHAIN, ToldChain

LIBRARY = Path(notices.__file__).parents[2] / "contracts" / "library"
HOME = {"home": "city", "affiliations": [{"institution": "city", "roles": ["patient"]}]}


@pytest.fixture
def chain():
    chain = ToldChain({"t-1": {"purpose": "TREAT"}, "t-2": {"purpose": "BTG"}})
    chain.entries[b"registry/people/p-1"] = encode(HOME)
    chain.entries[b"registry/people/p-2"] = encode(HOME | {"home": "county"})
    staff = HOME | {"affiliations": [{"institution": "city", "roles": ["nurse"]}]}
    chain.entries[b"registry/people/n-1"] = encode(staff)
    return chain


def decided(subject="p-1", request="t-1", outcome="permit", tell=("patient",)):
    fields = {"request": request, "subject": subject, "outcome": outcome, "tell": list(tell)}
    return Event("access", "decided", fields)


def broken(subject="p-1", request="t-2"):
    fields = {"request": request, "emergency": request, "subject": subject, "institution": "city"}
    return Event("emergency", "glass_broken", fields)


SEALED = Event("access", "sealed", {"request": "t-1", "told": 99})


def topics(chain) -> list[tuple[str, str]]:
    found = []
    for height in range(1, chain.height() + 1):
        for event in events_of(chain, height):
            notice = notice_of(event, chain.value)
            if notice is not None:
                found.append((notice.subject, notice.topic.name))
    return found


def test_every_access_is_told_once_and_what_she_did_herself_is_not(chain):
    chain.append([decided(), decided(outcome="deny"), decided(tell=())])
    chain.append([broken(), decided(request="t-2", tell=("patient", "auditor"))])
    chain.append([Event("access", "released", {"request": "t-1", "subject": "p-1"})])
    assert topics(chain) == [
        ("p-1", "access"),
        ("p-1", "access-denied"),
        ("p-1", "emergency"),
        ("p-1", "release"),
    ]


def test_a_sealed_access_is_told_at_its_date_and_not_before(chain):
    chain.append([SEALED, Event("access", "released", {"request": "t-1", "subject": ""})])
    assert topics(chain) == []
    chain.append([decided()])
    assert topics(chain) == [("p-1", "access")]


@given(
    st.dictionaries(
        st.sampled_from(["subject", "person", "tell", "request", "outcome"]),
        st.none() | st.integers() | st.text(max_size=5) | st.lists(st.text(max_size=5)),
    ),
    st.sampled_from(sorted(TOPICS)),
)
def test_odd_fields_make_no_notice_or_a_whole_one(fields, which):
    chain = ToldChain()
    event = LedgerEvent(
        cursor=Cursor(1, 0, 0), time=1, transaction="00", call=0,
        contract=which[0], name=which[1], fields=fields,
    )  # fmt: skip
    notice = notice_of(event, chain.value)
    assert notice is None or isinstance(notice.subject, str)


def test_every_topic_is_about_an_event_that_there_is():
    for contract, name in TOPICS:
        source = (LIBRARY / f"{contract}.py").read_text()
        assert f'emit("{name}"' in source or f'"{name}"' in source, (contract, name)


# --- messages that leave the node --------------------------------------------------------------


class Gateway:
    """The hospital's gateway for text messages."""

    def __init__(self, *answers: Outcome) -> None:
        self.answers = list(answers)
        self.messages: list[channels.Message] = []
        self.closed = False

    async def send(self, message):
        if self.answers:
            return self.answers.pop(0)
        self.messages.append(message)
        return TAKEN

    async def close(self):
        self.closed = True


async def told(chain, gateway, enough, path=":memory:", before=None):
    feed = EventFeed(chain)
    notifier = Notifier(CHAIN, "city", feed, path, gateway, chain.value, clock=lambda: 0)
    task = asyncio.create_task(notifier.run())
    await asyncio.sleep(0)
    if before is not None:
        before()
    await feed.grew(chain.height())
    async with asyncio.timeout(10):
        while not enough():
            await asyncio.sleep(0.005)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await notifier.close()


async def test_each_patient_is_told_by_the_hospital_that_entered_her(chain):
    gateway = Gateway()

    def happens():
        chain.append([decided("p-2"), decided("p-unknown"), decided("p-1")])
        chain.append([Event("registry", "key_rotated", {"person": "n-1"})])
        chain.append([broken("p-2"), broken("p-1")])

    await told(chain, gateway, lambda: len(gateway.messages) == 2, before=happens)
    assert sorted((m.subject, m.urgent) for m in gateway.messages) == [
        ("p-1", False),
        ("p-1", True),
    ]
    assert gateway.closed


async def test_a_message_says_that_there_is_news_and_nothing_else(chain):
    gateway = Gateway()
    await told(
        chain, gateway, lambda: len(gateway.messages) == 2,
        before=lambda: chain.append([decided(), broken()]),
    )  # fmt: skip
    ordinary, urgent = sorted(gateway.messages, key=lambda message: message.urgent)
    assert ordinary.text == channels.TEXT
    assert urgent.text == channels.URGENT_TEXT
    assert ordinary._fields == ("id", "subject", "urgent", "text")
    for texts in (channels.TEXT, channels.URGENT_TEXT):
        assert sorted(texts) == ["en", "zh"]


async def test_an_emergency_does_not_wait_behind_ordinary_messages(chain):
    gateway = Gateway()
    plain = gateway.send

    async def send(message):
        if not message.urgent:
            await asyncio.Event().wait()
        return await plain(message)

    gateway.send = send
    await told(
        chain, gateway, lambda: gateway.messages,
        before=lambda: (chain.append([decided()] * 3), chain.append([broken()])),
    )  # fmt: skip
    assert [message.urgent for message in gateway.messages] == [True]


async def test_what_happens_while_the_node_is_down_is_told_afterwards(chain, tmp_path):
    path, gateway = tmp_path / "notifications.db", Gateway()
    await told(chain, gateway, lambda: True, path)
    chain.append([decided()])
    await told(chain, gateway, lambda: gateway.messages, path)
    assert len(gateway.messages) == 1


def test_a_channel_of_an_installed_package_is_found_by_its_name():
    with pytest.raises(channels.UnknownChannel, match="carrier-pigeon"):
        find_channel("carrier-pigeon")


def test_a_gateway_that_is_gone_is_a_fate_like_any_other():
    assert Outcome(Fate.GONE).fate is Fate.GONE


# --- the list in the app -----------------------------------------------------------------------


async def test_emergencies_that_were_not_read_come_first(chain):
    marks = ReadMarks(":memory:")
    for _ in range(3):
        chain.append([broken(), decided()])
    listed = NoticeList(EventFeed(chain), chain, marks)
    page = await listed.page("p-1", None, 10)
    assert [notice.topic.name for notice, _ in page.notices] == ["access", "emergency"] * 3
    marks.mark("p-1", [Cursor(2, 0, 0)])
    urgent = await listed.unread_emergencies("p-1")
    assert [notice.event.cursor.height for notice, _ in urgent] == [3, 1]
    listed.mark("p-1", [], Cursor(9, 0, 0))
    assert await listed.unread_emergencies("p-1") == []
    chain.append([broken()])
    later = NoticeList(EventFeed(chain), chain, marks)
    assert len(await later.unread_emergencies("p-1")) == 1


CURSORS = st.builds(Cursor, st.integers(0, 4), st.integers(0, 3), st.integers(0, 3))


@given(st.lists(st.tuples(st.booleans(), CURSORS)), CURSORS)
def test_marks_are_what_was_marked_one_by_one_or_up_to_a_place(steps, asked):
    marks = ReadMarks(":memory:")
    single, up_to = set(), Cursor(0, 0, 0)
    for whole, cursor in steps:
        if whole:
            marks.mark_up_to("p-1", cursor)
            up_to = max(up_to, cursor)
        else:
            marks.mark("p-1", [cursor])
            single.add(cursor)
    assert marks.read("p-1", asked) == (asked in single or asked <= up_to)
    assert marks.read("p-2", asked) == (asked == (0, 0, 0))
    marks.close()


def test_single_marks_have_an_end():
    marks = ReadMarks(":memory:")
    marks.mark("p-1", [Cursor(1, 0, number) for number in range(1, MAX_MARKS)])
    with pytest.raises(TooManyMarks):
        marks.mark("p-1", [Cursor(2, 0, 0), Cursor(2, 0, 1)])
    marks.mark_up_to("p-1", Cursor(1, 9, 0))
    marks.mark("p-1", [Cursor(2, 0, 0), Cursor(2, 0, 1)])


class SignedIn:
    def __init__(self, app, principal):
        self.app, self.principal = app, principal

    async def __call__(self, scope, receive, send):
        scope[SCOPE_KEY] = self.principal
        await self.app(scope, receive, send)


def asking(service, kind, id_="someone", institution=""):
    app = create_app(service)
    transport = CheckedTransport(app)
    principal = Principal(kind, id_, institution, (), (), "s", "passkey")
    transport._served = httpx.ASGITransport(app=SignedIn(app, principal))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def test_a_patient_reads_and_marks_her_own_list_over_http(service, consent, pseudonym):
    for name in ("c-1", "c-2", "c-3"):
        await service.submit([consent(name).raw])
        await service.commit()
    async with asking(service, Kind.PATIENT, pseudonym) as api:
        first = (await api.get("/v1/notifications", params={"limit": 2})).json()
        assert [item["topic"] for item in first["notifications"]] == ["consent", "consent"]
        assert [item["id"] for item in first["notifications"]] == ["3.0.0", "2.0.0"]
        second = (await api.get("/v1/notifications", params={"before": first["next"]})).json()
        assert [item["id"] for item in second["notifications"]] == ["1.0.0"]
        assert second["next"] is None
        assert (
            await api.post("/v1/notifications/read", json={"ids": ["2.0.0"]})
        ).status_code == 204
        answer = (await api.get("/v1/notifications")).json()
        assert [item["read"] for item in answer["notifications"]] == [False, True, False]
        for body in ({"ids": ["x"]}, {"up_to": "1"}, {"all": True}, {"ids": ["1.0.0"] * 101}):
            assert (await api.post("/v1/notifications/read", json=body)).status_code == 422
        assert (await api.get("/v1/notifications?before=latest")).status_code == 422


async def test_nobody_reads_the_list_of_another(service, consent, pseudonym):
    await service.submit([consent("c-1").raw])
    await service.commit()
    async with asking(service, Kind.PATIENT, "p-other") as api:
        assert (await api.get("/v1/notifications")).json()["notifications"] == []


@pytest.mark.parametrize("kind", [Kind.STAFF, Kind.SYSTEM, Kind.OPERATOR])
async def test_staff_systems_and_operators_have_no_list(service, kind):
    async with asking(service, kind, institution="city") as api:
        assert (await api.get("/v1/notifications")).status_code == 403
        assert (await api.post("/v1/notifications/read", json={})).status_code == 403
