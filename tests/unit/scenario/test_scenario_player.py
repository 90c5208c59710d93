"""A scenario is played exactly as it reads, and whatever comes otherwise names its line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from ledger.node.setup.config import parse_config
from ledger.node.setup.founding import found_network
from ledger.node.setup.people import load_people
from ledger.scenario.cast import Cast
from ledger.scenario.checking import faults
from ledger.scenario.direct import DirectBackend
from ledger.scenario.parser import read_scenario
from ledger.scenario.player import Played, Player, Unmet
from ledger.scenario.resolving import Things
from ledger.scenario.scaling import with_few_nodes
from ledger.scenario.values import Reference

EPOCH = 1_767_225_600_000
HEAD = "title a\ntitle_zh b\nsource 004\nshows c\ntrap d\n"
LINES = len(HEAD.splitlines())
KINDS = ("city-hospital", "county-hospital", "township-centre", "commission")
CONFIG = parse_config(
    'network = { name = "four", title = "Four", title_zh = "四家" }\ninstitutions = ['
    + "".join(
        f'{{ id = "{kind}", name = "{kind}", name_zh = "{kind}x", kind = "{kind}", county = "X", '
        f'nodes = [{{ id = "{kind}-a", role = "validator" }}, '
        f'{{ id = "{kind}-b", role = "observer" }}] }},'
        for kind in KINDS
    )
    + "]\npeople = ["
    + "".join(
        f'{{ key = "gov-{kind}", institution = "{kind}", roles = ["governor"], name = "G", '
        f'name_zh = "治" }},'
        for kind in KINDS
    )
    + "".join(
        f'{{ key = "{key}", institution = "{place}", roles = {roles}, '
        'name = "N", name_zh = "名" },'
        for key, place, roles in (
            ("clerk", "township-centre", '["registrar", "records-officer"]'),
            ("nurse", "township-centre", '["nurse"]'),
            ("wang", "township-centre", '["physician"]'),
            ("he", "city-hospital", '["physician", "registrar"]'),
            ("zhang", "commission", '["auditor"]'),
            ("li", "township-centre", '["patient"]'),
        )
    )
    + ']\ncontracts = [{ name = "records" }, { name = "consent" }, { name = "recognition" }, '
    '{ name = "emergency" }, { name = "access", arguments = { '
    'policies = ["consent", "recognition"], permit_hours = 24 } }]\n'
)


class Frozen(DirectBackend):
    """Time cannot be made to pass, as with real processes."""

    def later(self, milliseconds: int) -> bool:
        return False


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("four") / "network"
    found_network(
        with_few_nodes(CONFIG), home, passphrase=None, insecure=True, now_ms=EPOCH,
        entropy=Random(1).randbytes,
    )  # fmt: skip
    return home


def play(home: Path, text: str, backend: type[DirectBackend] = DirectBackend) -> Played:
    scenario = read_scenario(HEAD + text, "told")
    assert faults(scenario, CONFIG) == []
    return Player(scenario, backend(home), Cast(load_people(home), "told")).play()


def test_what_was_seen_is_counted(home: Path) -> None:
    played = play(
        home,
        """record ecg of li at township-centre kind=ecg
        record old of li at township-centre kind=note level=R taken=-90days
        he at city-hospital asks for ecg for TREAT -> deny access:nothing-permits
        li permits purposes=[TREAT] institutions=[city-hospital] end=+2days as c1
        expect event consent.declared consent=c1 subject=@li
        expect no event consent.withdrawn
        he at city-hospital asks for ecg for TREAT as q -> permit consent:patient-permits
        he does recognition.recognise request=request(q)
        expect recognition.outcome request=request(q) has recognised=true
        expect consent.get id=nobody -> nothing
        he at city-hospital breaks the glass for old because other as g -> permit GLASS
        zhang does emergency.review emergency=request(g) institution=commission REST
        later 3 days
        he at city-hospital asks for ecg for TREAT -> deny access:nothing-permits
        li asks for old for PATRQT -> permit access:own-record
        clerk with nurse does consent.withdraw id=c1 form=form("on paper")
        clerk at township-centre enrols wu as patient without key
        he at city-hospital enrols lin as nurse
        clerk at township-centre affiliates lin as physician
        record x of wu at township-centre kind=imaging by=clerk
        lin at township-centre asks for x for TREAT -> deny access:nothing-permits""".replace(
            "GLASS", "emergency:break-glass"
        ).replace("REST", 'upheld=true note=hash("rightly")'),
    )
    assert played.permits == {
        "consent:patient-permits": 1, "emergency:break-glass": 1, "access:own-record": 1,
    }  # fmt: skip
    assert played.denies == {"access:nothing-permits": 3}
    assert played.waited == 3 * 86_400_000
    assert played.left == 0
    assert played.contracts == {
        "access", "consent", "emergency", "recognition", "records", "registry",
    }  # fmt: skip


def test_where_time_does_not_pass_the_rest_is_left(home: Path) -> None:
    played = play(
        home,
        """record ecg of li at township-centre kind=ecg
        later 3 days
        he at city-hospital asks for ecg for TREAT -> deny access:nothing-permits""",
        Frozen,
    )
    assert (played.steps, played.left, played.waited) == (1, 2, 0)


BEFORE = """record ecg of li at township-centre kind=ecg
li permits purposes=[TREAT] institutions=[city-hospital] as c1
"""
ASKED = "he at city-hospital asks for ecg for TREAT"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f"{ASKED} -> deny access:nothing-permits", "permit consent:patient-permits, asked"),
        (f"{ASKED} -> permit recognition:patient-is-checked-in", "permit consent:patient-permits"),
        (f"{ASKED} -> permit consent:patient-permits duties AOD DELAU", "with the duties AOD"),
        (f"{ASKED} -> permit consent:patient-permits until +2days", "until 24.00 hours from now"),
        (f"{ASKED} refuses role_missing", "not refused, but returned"),
        (
            "wang at township-centre asks for ecg for TREAT -> permit consent:patient-permits",
            "deny access:nothing-permits",
        ),
        ("wang at city-hospital asks for ecg for TREAT -> permit a:b", "refused: not_affiliated"),
        ("li withdraws c2", "refused: unknown_consent"),
        ("li withdraws c1 refuses already_withdrawn", "not refused"),
        ("li withdraws c9 refuses already_withdrawn", "refused otherwise: unknown_consent"),
        ("li withdraws c1 -> 3", "it is None"),
        ("expect consent.get id=c1 -> nothing", "it is {"),
        ("expect consent.get id=c1 has status=withdrawn", "status is 'active'"),
        ("expect consent.get id=c7 has status=active", "it is None"),
        ("expect event consent.withdrawn consent=c1", "not told, but: consent.declared"),
        ("expect event consent.declared consent=c8", "not told, but: consent.declared"),
        ("expect no event consent.declared consent=c1", "told all the same"),
        ("expect consent.active subject=[3]", "cannot be played: bad_arguments"),
    ],
)
def test_what_comes_otherwise_names_its_line(home: Path, line: str, what: str) -> None:
    scenario = read_scenario(
        HEAD + BEFORE + line.replace("subject=[3]", "subject=[3] -> 1"), "told"
    )
    with pytest.raises(Unmet) as caught:
        Player(scenario, DirectBackend(home), Cast(load_people(home), "told")).play()
    assert caught.value.line == LINES + 3
    assert str(caught.value).startswith(f"told, line {LINES + 3}: ")
    assert what in str(caught.value)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("record x of nurs at township-centre kind=ecg", "no person 'nurs'; did you mean nurse?"),
        ("record x of li at township-center kind=ecg", "did you mean township-centre?"),
        ("record ecg of li at township-centre kind=ecg", "there is a record 'ecg' already"),
        ("record x of li at township-centre kind=ecg by=clark", "did you mean clerk?"),
        ("wang at hall asks for ecg for TREAT -> deny access:a", "no institution 'hall'"),
        ("wang asks for egc for TREAT -> deny access:a", "no record 'egc'; did you mean ecg?"),
        (
            "wang asks for ecg for TREAT -> deny acess:a",
            "no contract 'acess'; did you mean access?",
        ),
        ("li does referral.close id=r", "there is no contract 'referral'"),
        ("li does consent.grand id=c", "no export of consent 'grand'; did you mean grant?"),
        ("li does consent.get id=c", "no export of consent 'get'"),
        ("li does consent.withdraw ID=c", "no argument 'ID'"),
        ("li does consent.withdraw", "consent.withdraw needs id"),
        ("expect consent.grant id=c -> 1", "no query of consent 'grant'"),
        ("li does consent.withdraw id=request(q)", "there is no result 'q'"),
        ("li does consent.withdraw id=[{a: record(y)}]", "there is no record 'y'"),
        ("li does consent.withdraw id=key(nobody)", "there is no person 'nobody'"),
        ("clerk at township-centre enrols wang as nurse", "'wang' is somebody already"),
        ("clark at township-centre enrols x as nurse", "did you mean clerk?"),
        ("expect event acess.decided", "did you mean access?"),
    ],
)
def test_a_scenario_that_names_what_is_not_there_is_found_without_playing(
    line: str, what: str
) -> None:
    (fault, *more) = faults(read_scenario(HEAD + BEFORE + line, "told"), CONFIG)
    assert fault.startswith(f"told, line {LINES + 3}: ")
    assert what in fault
    assert len(more) <= 1


def test_somebody_without_a_key_signs_nothing(home: Path) -> None:
    with pytest.raises(Unmet, match="'wu' has no key"):
        play(
            home,
            "clerk at township-centre enrols wu as patient without key\n"
            "wu permits purposes=[TREAT] as c1",
        )


def test_a_holder_without_a_records_officer_anchors_nothing(home: Path) -> None:
    with pytest.raises(Unmet, match="'city-hospital' has no records officer"):
        play(home, "record x of li at city-hospital kind=ecg")


def test_a_consortium_is_made_small_without_losing_a_member() -> None:
    small = with_few_nodes(CONFIG, followers=1)
    assert [place.role for place in small.nodes()].count("validator") == 4
    assert [place.role for place in small.nodes()].count("observer") == 1
    assert [one.id for one in small.institutions] == [one.id for one in CONFIG.institutions]
    assert small.people == CONFIG.people


def test_labels_are_tokens_of_the_patients_key_and_a_denial_names_one(home: Path) -> None:
    played = play(
        home,
        """record talks of li at township-centre kind=note level=R labels=PSY
        record salt of li at township-centre kind=laboratory level=R
        li permits purposes=[TREAT] institutions=[city-hospital] confidentiality=R as c-1
        li denies labels=[token(li, SPI)] label_key=labelkey(li) as d-1
        he at city-hospital asks for talks for TREAT -> deny consent:patient-denies
        he at city-hospital asks for talks for TREAT showing labels -> deny consent:patient-denies
        he at city-hospital asks for salt for TREAT -> deny consent:patient-denies
        he at city-hospital asks for salt for TREAT showing labels -> permit consent:patient-permits
        """,
    )
    assert played.denies == {"consent:patient-denies": 3}


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ("token(li)", "takes a person and a label"),
        ("record(ecg, ecg)", "takes one name"),
        ("block(soon)", "takes a number of blocks"),
        ("month(soon)", "takes a time such as"),
        ("month(+1year, +1year)", "takes a time such as"),
    ],
)
def test_a_reference_with_other_arguments_cannot_be_played(
    home: Path, written: str, what: str
) -> None:
    scenario = read_scenario(f"{HEAD}{BEFORE}li does consent.withdraw id={written}", "told")
    with pytest.raises(Unmet, match="cannot be played") as caught:
        Player(scenario, DirectBackend(home), Cast(load_people(home), "told")).play()
    assert what in str(caught.value)


def test_a_vote_names_a_height_that_is_to_come(home: Path) -> None:
    played = play(
        home,
        """gov-commission does charter.propose kind=set_parameters_of payload={name: recognition, county: X, values: {visit_hours: 12}} activation=block(+1) reason=law words=w refuses too_late
        gov-commission does charter.propose kind=set_parameters_of payload={name: recognition, county: X, values: {visit_hours: 12}} activation=block(+9) reason=law words=w as p
        expect event charter.proposed proposal=result(p) activation=block(+8)
        """,  # noqa: E501 - a line of a scenario is one line
    )
    assert played.refusals == {"too_late": 1}


def test_a_month_begins_at_midnight_in_china(home: Path) -> None:
    things = Things(Cast(load_people(home), "told"))
    # 2026-03-31 20:00 UTC is the first of April in China, which began at 16:00 UTC.
    now = round(datetime(2026, 3, 31, 20, tzinfo=UTC).timestamp() * 1000)
    start = round(datetime(2026, 3, 31, 16, tzinfo=UTC).timestamp() * 1000)
    assert things.resolve(Reference("month", ("now",)), now) == start
    earlier = round(datetime(2026, 2, 28, 16, tzinfo=UTC).timestamp() * 1000)
    assert things.resolve(Reference("month", ("-5hours",)), now) == earlier
