"""What patients and auditors read of decisions that the real contracts made."""

from types import SimpleNamespace
from typing import Any

import pytest

from ledger.decisions.auditor import as_json, in_full
from ledger.decisions.finding import Decision, NotAnId, NotFound, decisions
from ledger.decisions.patient import Sealed, sentence, told
from ledger.workbench.chain import Actor, Chain
from ledger.workbench.consortium import NEIGHBOUR

TX = "ab" * 32


class Remembered:
    """A chain in memory, of which one call is looked at. It proves nothing."""

    def __init__(self, chain: Chain, method: str = "request") -> None:
        self.chain = chain
        self.height = chain.height
        self.result = chain.last
        self.at = chain.time
        self.method = method

    def settled(self, tx_id: bytes) -> Any:
        if tx_id != bytes.fromhex(TX):
            return None
        calls = [SimpleNamespace(contract="access", method=self.method)]
        return SimpleNamespace(
            header=SimpleNamespace(height=self.height, time=self.at),
            transaction=SimpleNamespace(id=tx_id, body=SimpleNamespace(calls=calls)),
            result=SimpleNamespace(calls=[self.result]),
            verified=False,
        )

    def entry(self, key: str, height: int | None = None) -> Any:
        return self.chain.entry(key)

    def time(self) -> int:
        return self.chain.time


def last(chain: Chain, method: str = "request") -> Decision:
    (found,) = decisions(Remembered(chain, method), TX)
    return found


@pytest.fixture
def chain() -> Chain:
    chain = Chain()
    chain.moved_to("2026-06-03T10:15:00+08:00")
    return chain


@pytest.fixture
def patient(chain: Chain) -> Actor:
    return chain.patient()


@pytest.fixture
def doctor(chain: Chain) -> Actor:
    return chain.person("physician", "county")


def test_a_permit_is_one_sentence_with_who_what_why_and_until_when(
    chain: Chain, patient: Actor, doctor: Actor
) -> None:
    patient.permits("c1", purposes=["TREAT"], institutions=["county"])
    doctor.asks_for(chain.record(confidentiality="N"))
    assert told(last(chain), "en") == [
        "On 3 June 2026, 10:15, a physician and emergency physician of county hospital (gao) got "
        "permission until 4 June 2026, 10:15 to see your laboratory result at city hospital for "
        "treatment, because you consented to it (consent c1).",
        "Whoever received it has to keep an account of this disclosure.",
        "Nothing was handed over so far.",
    ]
    assert told(last(chain), "zh") == [
        "2026年6月3日10:15，county hospital的医师、急诊医师（gao）因诊疗申请查看您在city hospital的"
        "检验结果，"
        "已准许，有效期至2026年6月4日10:15，原因：您已授权（授权书 c1）。",
        "对方必须：登记本次调阅。",
        "目前尚未交付。",
    ]


def test_a_denial_says_why_in_both_languages(chain: Chain, patient: Actor, doctor: Actor) -> None:
    patient.denies("no", persons=["gao"])
    doctor.asks_for(chain.record(kind="imaging"))
    assert sentence(last(chain), "en").endswith(
        "asked to see your imaging result at city hospital for treatment and did not get "
        "permission, because you denied it (denial no)."
    )
    assert sentence(last(chain), "zh").endswith("未获准许，原因：您已拒绝（拒绝声明 no）。")
    assert len(told(last(chain), "en")) == 1


def test_what_nobody_permitted_is_said_so(chain: Chain, doctor: Actor) -> None:
    doctor.asks_for(chain.record())
    assert "because nothing that you or the law said permits it" in sentence(last(chain), "en")


def test_patients_are_spoken_to_as_themselves(chain: Chain, patient: Actor) -> None:
    record = chain.record()
    patient.asks_for(record, "PATRQT")
    assert ", you got permission until" in sentence(last(chain), "en")
    assert "，您本人因" in sentence(last(chain), "zh")
    chain.patient(NEIGHBOUR).asks_for(record, "PATRQT")
    assert "somebody who asks for you asked to see" in sentence(last(chain), "en")


def test_a_broken_glass_tells_of_the_review_and_then_of_its_finding(
    chain: Chain, doctor: Actor
) -> None:
    decision = doctor.breaks_glass(chain.record())
    found = last(chain, "break_glass")
    assert "(unconscious)" in sentence(found, "en")
    assert "意识丧失" in sentence(found, "zh")
    lines = told(found, "en")
    assert "Besides you, an auditor of the commission must be told." in lines
    assert any(line.startswith("An auditor has to judge it by ") for line in lines)
    look = Remembered(chain, "break_glass")
    chain.person("auditor", "board").does(
        "emergency", "review", emergency=decision["case"], institution="board", upheld=False,
        note=bytes(32),
    )  # fmt: skip
    (found,) = decisions(look, TX)
    lines = told(found, "zh")
    assert "审计员已审查，认定为滥用。" in lines
    assert not any("须在" in line and "审查" in line for line in lines)
    assert ("review", "status abuse") in in_full(found, "en")


def policy(answer: str, moment: str = "2026-06-03T10:15:00+08:00") -> Chain:
    """A chain with one more contract, which gives the same answer to everybody."""
    source = (
        '"""Mine."""\nfrom ledger.contracts.prelude import obliges, permits, query\n\n'
        f"@query\ndef decide(request: dict) -> dict:\n    return {answer}\n"
    )
    chain = Chain({"mine": source})
    chain.moved_to(moment)
    return chain


def test_the_handing_over_is_told_as_it_goes() -> None:
    chain = policy('permits("yes", duties=["DELAU"])')
    doctor, record = chain.person("physician", "county"), chain.record()
    decision = doctor.asks_for(record)
    look = Remembered(chain)

    def last_line(language: Any = "en") -> str:
        (found,) = decisions(look, TX)
        return told(found, language)[-1]

    (found,) = decisions(look, TX)
    assert any("copy has to be deleted by 4 June 2026" in line for line in told(found, "en"))
    chain.person("records-officer", "city").does(
        "access", "release", request=decision["id"], digest=record["digest"]
    )
    assert last_line() == "It was handed over on 3 June 2026, 10:15."
    doctor.does("access", "receipt", request=decision["id"], digest=bytes(32), matches=False)
    assert last_line() == "What arrived on 3 June 2026, 10:15 was not that record."
    assert last_line("zh") == "2026年6月3日10:15送达的内容与该病历不符。"


def test_a_sealed_decision_is_not_told_before_its_date(chain: Chain) -> None:
    due = chain.time + 86_400_000
    chain = policy(f'obliges("report", told={due})')
    chain.person("physician", "county").asks_for(chain.record())
    look = Remembered(chain)
    (found,) = decisions(look, TX)
    with pytest.raises(Sealed):
        told(found, "en")
    assert any(head == "told from" for head, _ in in_full(found, "en"))
    chain.passes(days=1)
    (found,) = decisions(look, TX)
    assert "the rule report of the contract mine permits it" in told(found, "en")[0]


def test_an_auditor_reads_every_rule_with_its_line_from_the_chain(
    chain: Chain, patient: Actor, doctor: Actor
) -> None:
    patient.permits("c1", purposes=["TREAT"])
    given = chain.height
    record = chain.record()
    anchored = chain.height
    decision = doctor.asks_for(record)
    found = last(chain)
    rows = dict(reversed(in_full(found, "en")))
    line = found.winner.line
    assert rows["decision"] == decision["id"]
    assert rows["outcome"] == "permit, consent:patient-permits"
    assert rows["block"].startswith(f"{chain.height}, 2026-06-03 02:15:00.000 UTC")
    assert rows["rule"] == "permit patient-permits *"
    assert rows["record"].endswith(f" @{anchored}")
    assert rows["gas"] == f"{chain.gas:,}"
    assert rows["events"] == "access.decided"
    texts = [text for _, text in in_full(found, "en")]
    source = chain.sources["consent"].splitlines()[line - 1].strip()
    assert source.startswith("return permits(")
    assert f"consent v1, {line}: {source}" in texts
    assert any(f"consent=c1, given={given}" in text for text in texts)
    assert "referral:no-referral: no referral brings this record there" in texts
    assert "AOD: keep an account of this disclosure" in texts
    assert ("proof", "not verified: give the genesis") in in_full(found, "en")
    heads = [head for head, _ in in_full(found, "zh")]
    assert {"决定", "结果", "规则", "义务", "计算费用"} <= set(heads)


def test_programs_get_everything(chain: Chain, doctor: Actor) -> None:
    doctor.asks_for(chain.record())
    found = as_json(last(chain))
    assert found["outcome"] == "deny"
    assert found["gas"] == chain.gas
    assert [step["decided"] for step in found["path"]] == [True]
    assert found["path"][0]["source"]
    assert found["fields"]["tell"] == ["patient"]


def test_what_is_not_there_is_said_to_be_missing(chain: Chain, patient: Actor) -> None:
    patient.permits("c1", purposes=["TREAT"])
    look = Remembered(chain)
    with pytest.raises(NotFound, match=r"access\.request gave no decision"):
        decisions(look, TX)
    with pytest.raises(NotFound, match="no transaction"):
        decisions(look, "cd" * 32)
    with pytest.raises(NotFound, match="fewer calls"):
        decisions(look, f"{TX}-7")
    with pytest.raises(NotAnId, match="64 hex digits"):
        decisions(look, "c1")


def test_a_call_that_failed_is_shown_with_its_error(chain: Chain) -> None:
    nobody = Actor(chain, "stranger", "county")
    record = chain.record()
    with pytest.raises(AssertionError):
        nobody.asks_for(record)
    with pytest.raises(NotFound, match=r"no decision was made: access\.request unknown_key"):
        last(chain)
