"""What the demo says, in English and in Chinese."""

# ruff: noqa: E501 - a line of the narration is one line

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

Language = Literal["en", "zh"]

LINES: Final[dict[str, tuple[str, str]]] = {
    "founding": (
        "{title}: founding the network ({institutions} institutions, {people} people)",
        "{title}：创建联盟链（{institutions} 家机构，{people} 名成员）",
    ),
    "starting": (
        "Starting {nodes} nodes as separate processes: {validators} validators, {observers} observers",
        "启动 {nodes} 个独立的节点进程：{validators} 个验证节点，{observers} 个观察节点",
    ),
    "node": ("  {node} of {institution}: {url}", "  {institution} 的节点 {node}：{url}"),
    "anchoring": (
        "The hospitals anchor their records: only Merkle roots go onto the chain",
        "各医院为病历建立存证：上链的只有默克尔根",
    ),
    "anchored": (
        "  {records} records anchored in {batches} batches; nothing on the chain says whose or what",
        "  {records} 份病历分 {batches} 批完成存证；链上看不出是谁的、是什么",
    ),
    "scene_recognition": (
        "Mutual recognition: {patient} comes to {reader}, which needs a result made at {holder}",
        "检查结果互认：{patient}来到{reader}就诊，需要{holder}出具的检验结果",
    ),
    "scene_referral": (
        "Referral: {holder} refers {patient} to {reader}, one record goes along",
        "转诊：{holder}将{patient}转至{reader}，一份病历随之转交",
    ),
    "scene_consent": (
        "Consent: {patient} lets {reader} see records of {holder} for treatment",
        "授权：{patient}同意{reader}为治疗查看其在{holder}的病历",
    ),
    "scene_withdrawal": (
        "The same consent is withdrawn; {reader} asks once more",
        "撤回同一授权后，{reader}再次申请",
    ),
    "scene_glass": (
        "Break-glass: {patient} is unconscious at {reader}; {doctor} needs a record of {holder} now",
        "紧急破窗访问：{patient}在{reader}昏迷，{doctor}急需{holder}的病历",
    ),
    "scene_stranger": (
        "Somebody with no right: {doctor} of {reader} asks for a record of {patient}",
        "无权限的申请：{reader}的{doctor}申请查看{patient}的病历",
    ),
    "scene_consents": (
        "The 12 official HL7 consents of {patient} go through the importer",
        "导入 {patient} 的 12 份 HL7 官方授权书",
    ),
    "scene_tampered": (
        "Somebody alters one character of a record in the holder's files; it is asked for again",
        "有人改动了保管机构文件中的一个字符，随后再次索取该病历",
    ),
    "scene_audit": (
        "The regulator audits: replay everything from the genesis file, trusting no node",
        "监管审计：从创世文件起全部重放，不信任任何节点",
    ),
    "permitted": ("  permitted by {rule}", "  准许，依据规则 {rule}"),
    "denied": ("  denied by {rule}", "  拒绝，依据规则 {rule}"),
    "fetched": (
        "  {size} bytes arrived sealed, opened, and match the hash on the chain",
        "  收到 {size} 字节密文，解密后与链上哈希一致",
    ),
    "told": ("  the patient is told at once (event {event})", "  已立即通知患者（事件 {event}）"),
    "reviewed": (
        "  the commission's auditor reviews it: upheld",
        "  卫健委审计员事后审查：认定合理",
    ),
    "recognised": ("  the result is recognised, no repeat test", "  结果获得认可，无需重复检查"),
    "nothing_left": (
        "  asked all the same, the holder answers 403, as if the record did not exist",
        "  即便直接索取，保管机构也只回答 403，与病历不存在时完全相同",
    ),
    "withheld": (
        "  the holder finds its file altered and serves nothing",
        "  保管机构发现文件被改动，拒绝提供",
    ),
    "consent_rules": ("  {id}: {rules} rule(s)", "  {id}：{rules} 条规则"),
    "consent_refused": (
        "  {id}: refused, {element}: {reason}",
        "  {id}：拒绝，{element}：{reason}",
    ),
    "killed": (
        "{node}, whose turn it is to propose, is killed (SIGKILL); the others go on",
        "正在出块的 {node} 被强制终止（SIGKILL），其余节点继续工作",
    ),
    "back": ("{node} is started again and catches up", "{node} 重新启动并追上进度"),
    "agree": (
        "All {nodes} nodes have the same block at height {height}",
        "全部 {nodes} 个节点在高度 {height} 处的区块相同",
    ),
    "verified": (
        "  verified: {blocks} blocks, {transactions} transactions, every signature, rule and root",
        "  验证通过：{blocks} 个区块，{transactions} 笔交易，所有签名、规则与根哈希",
    ),
    "not_verified": ("  NOT verified: {fault}", "  验证未通过：{fault}"),
    "receipt": (
        "  one receipt verified offline with nothing but the genesis file",
        "  仅凭创世文件离线验证了一份凭证",
    ),
    "scenario": ("{title}: {shows}", "{title}（以下情节为英文）"),
    "small": (
        "All {members} institutions are on the chain; {nodes} of the nodes run on this machine",
        "{members} 家机构全部上链；本机运行其中 {nodes} 个节点",
    ),
    "prose": ("{text}", "{text}"),
    "step": ("  {text}", "  {text}"),
    "outcome": ("      {text}", "      {text}"),
    "left": (
        "Here days would have to pass: the other {steps} steps are played in the simulator, by health-ledger consortia --play {name}",
        "此后需要等待数日：其余 {steps} 步在模拟器中演示：health-ledger consortia --play {name}",
    ),
    "staying": ("The network stays up. Press Ctrl-C to stop it.", "网络继续运行，按 Ctrl-C 停止。"),
    "stopped": ("Stopped.", "已停止。"),
    "home": ("  its files: {home}", "  文件位置：{home}"),
}


class Narrator:
    """Says lines in one language.

    Args:
        say: takes one finished line.
    """

    def __init__(self, language: Language, say: Callable[[str], None]) -> None:
        self._place = 0 if language == "en" else 1
        self._say = say

    def __call__(self, line: str, **words: object) -> None:
        """Say the line of that name."""
        self._say(LINES[line][self._place].format(**words))

    def name(self, english: str, chinese: str) -> str:
        """A person's or an institution's name in the language of the narration."""
        return (english, chinese)[self._place]
