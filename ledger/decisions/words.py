"""How codes are said to people, in English and Chinese.

Purposes are those of HL7 v3-PurposeOfUse, duties of v3-ActCode, the rest is of the library's
contracts. A code that is not here is said as it is.
"""

from __future__ import annotations

from typing import Final, Literal

Language = Literal["en", "zh"]
Pair = tuple[str, str]

#: As in "for …" / "因…".
PURPOSES: Final[dict[str, Pair]] = {
    "TREAT": ("treatment", "诊疗"),
    "CLINTRL": ("treatment in a clinical trial", "临床试验中的诊疗"),
    "COC": ("coordinating care", "医疗协作与转诊衔接"),
    "POPHLTH": ("the health of a group of patients", "人群健康管理"),
    "ETREAT": ("emergency treatment", "急诊诊疗"),
    "BTG": ("an emergency, breaking the glass", "紧急破窗访问"),
    "ERTREAT": ("treatment in an emergency room", "急诊室诊疗"),
    "HPAYMT": ("payment for care", "医疗费用支付"),
    "CLMATTCH": ("documents of an insurance claim", "理赔附件"),
    "COVAUTH": ("authorising insured care", "医保项目审批"),
    "COVERAGE": ("insurance cover", "保险保障"),
    "ELIGDTRM": ("deciding whether insurance covers somebody", "参保资格认定"),
    "ELIGVER": ("verifying that insurance covers somebody", "参保资格核验"),
    "ENROLLM": ("enrolment in insurance", "参保登记"),
    "MILDCRG": ("discharge from military service", "军人退役"),
    "REMITADV": ("advice on a payment", "付款通知"),
    "HOPERAT": ("running health services", "医疗机构运营"),
    "CAREMGT": ("managing long-term care", "慢病与照护管理"),
    "DONAT": ("organ or tissue donation", "器官与组织捐献"),
    "FRAUD": ("detecting fraud", "查处欺诈"),
    "GOV": ("government tasks", "政府公务"),
    "HACCRED": ("accrediting health services", "医疗机构评审"),
    "HCOMPL": ("compliance and supervision", "合规监管"),
    "HDECD": ("matters of a deceased person", "逝者相关事务"),
    "HDIRECT": ("a directory of health services", "医疗机构目录"),
    "HDM": ("managing health data", "医疗数据管理"),
    "HLEGAL": ("legal matters", "法律事务"),
    "HOUTCOMS": ("measuring outcomes", "医疗结果评价"),
    "HPRGRP": ("reports on health programmes", "卫生项目报告"),
    "HQUALIMP": ("improving quality", "医疗质量改进"),
    "HSYSADMIN": ("administering the system", "系统管理"),
    "HTEST": ("testing the system", "系统测试"),
    "LABELING": ("labelling records", "病历标注"),
    "MEMADMIN": ("administering members", "成员管理"),
    "METAMGT": ("managing descriptions of data", "元数据管理"),
    "MILCDM": ("medical matters of the military", "军队卫生事务"),
    "PATADMIN": ("administering patients", "患者管理"),
    "PATSFTY": ("patient safety", "患者安全"),
    "PERFMSR": ("measuring performance", "绩效评价"),
    "RECORDMGT": ("managing records", "病案管理"),
    "SYSDEV": ("developing the system", "系统开发"),
    "TRAIN": ("training", "教学培训"),
    "HRESCH": ("research", "医学研究"),
    "BIORCH": ("biomedical research", "生物医学研究"),
    "CLINTRCH": ("clinical research", "临床研究"),
    "CLINTRCHNPC": ("clinical research without patient care", "不涉及诊疗的临床研究"),
    "CLINTRCHPC": ("clinical research with patient care", "涉及诊疗的临床研究"),
    "DSRCH": ("research on a disease", "疾病研究"),
    "POARCH": ("research on populations or ancestry", "人群或祖源研究"),
    "PRECLINTRCH": ("preclinical research", "临床前研究"),
    "TRANSRCH": ("translational research", "转化研究"),
    "PATRQT": ("a wish of the patient", "患者本人请求"),
    "FAMRQT": ("a wish of the family", "家属请求"),
    "PWATRNY": ("a person with power of attorney", "受托代理人请求"),
    "SUPNWK": ("people who support the patient", "照护支持人员"),
    "PUBHLTH": ("public health", "公共卫生"),
    "DISASTER": ("help in a disaster", "灾害救援"),
    "THREAT": ("a threat to public health", "公共卫生威胁应对"),
    "HMARKT": ("marketing", "市场营销"),
}

ROLES: Final[dict[str, Pair]] = {
    "patient": ("patient", "患者"),
    "physician": ("physician", "医师"),
    "nurse": ("nurse", "护士"),
    "emergency-physician": ("emergency physician", "急诊医师"),
    "registrar": ("registrar", "登记员"),
    "governor": ("governor", "机构代表"),
    "auditor": ("auditor", "审计员"),
    "records-officer": ("records officer", "病案管理员"),
    "node": ("node", "节点"),
    "insurer": ("insurer", "医保经办人员"),
    "researcher": ("researcher", "研究人员"),
    "family-doctor": ("family doctor", "家庭医生"),
    "village-doctor": ("village doctor", "乡村医生"),
    "pharmacist": ("pharmacist", "药师"),
    "public-health-officer": ("public health officer", "公共卫生人员"),
    "social-worker": ("social worker", "社会工作者"),
    "care-worker": ("care worker", "护理员"),
    "liaison": ("liaison officer of another department", "外部门联络员"),
    "vendor-engineer": ("engineer of a vendor", "技术服务商工程师"),
    "ethics-officer": ("ethics officer", "伦理委员会工作人员"),
    "supervisor": ("supervisor", "监管人员"),
}

#: As in "a … of yours" / "您的…".
CLASSES: Final[dict[str, Pair]] = {
    "laboratory": ("laboratory result", "检验结果"),
    "imaging": ("imaging result", "影像检查结果"),
    "ecg": ("ECG", "心电图"),
    "pathology": ("pathology result", "病理结果"),
    "note": ("medical note", "病程记录"),
    "prescription": ("prescription", "处方"),
    "referral": ("referral letter", "转诊单"),
    "immunization": ("vaccination record", "免疫接种记录"),
    "procedure": ("record of a procedure", "手术与操作记录"),
    "condition": ("diagnosis", "诊断"),
    "encounter": ("record of a visit", "就诊记录"),
    "careplan": ("care plan", "照护计划"),
    "claim": ("insurance claim", "理赔单"),
    "other": ("record", "病历资料"),
}

#: What a recipient has to do or must not do.
DUTIES: Final[dict[str, Pair]] = {
    "AOD": ("keep an account of this disclosure", "登记本次调阅"),
    "AUDIT": ("keep an audit trail", "保留审计记录"),
    "CPLYCD": ("comply with the consent", "遵守授权书约定"),
    "CPLYPOL": ("comply with policy", "遵守管理规定"),
    "DEID": ("remove what identifies the patient", "去除可识别身份的信息"),
    "DELAU": ("delete the copy after use", "使用后删除副本"),
    "ENCRYPT": ("keep it encrypted", "加密保存"),
    "HUAPRV": ("have a human approve it", "须经人工批准"),
    "MASK": ("mask what is not needed", "遮蔽无关内容"),
    "MINEC": ("use as little as needed", "仅使用必要的最少信息"),
    "PSEUD": ("replace the identity by a pseudonym", "以假名代替身份"),
    "REDACT": ("black out what is not needed", "删去无关内容"),
    "NOAUTH": ("not disclose it without authorisation", "未经授权不得披露"),
    "NODSCLCD": ("not disclose it without consent", "未经同意不得披露"),
    "NOPERSISTP": ("not store it", "不得留存"),
    "NORDSCLCD": ("not pass it on without the patient's consent", "未经患者同意不得转交"),
    "NORDSCLW": ("not pass it on without written consent", "未经书面同意不得转交"),
    "NORELINK": ("not identify the patient again", "不得重新识别身份"),
    "NOREUSE": ("not use it for anything else", "不得挪作他用"),
}

AUDIENCES: Final[dict[str, Pair]] = {
    "patient": ("the patient", "患者本人"),
    "guardian": ("the guardian", "监护人"),
    "delegate": ("the delegate", "受托人"),
    "auditor": ("an auditor of the commission", "卫健委审计员"),
    "holder": ("the holder of the record", "病历保管机构"),
    "family-doctor": ("the family doctor", "家庭医生"),
    "public-health-officer": ("the public health officer", "公共卫生人员"),
    "ethics-officer": ("the ethics officer", "伦理委员会工作人员"),
    "supervisor": ("the supervisor", "监管人员"),
}

REASONS: Final[dict[str, Pair]] = {
    "unconscious": ("unconscious", "意识丧失"),
    "life-threat": ("a threat to life", "危及生命"),
    "severe-trauma": ("severe injury", "严重创伤"),
    "childbirth": ("childbirth", "分娩"),
    "disaster": ("a disaster", "灾害"),
    "other": ("another emergency", "其他紧急情况"),
}


def say(table: dict[str, Pair], code: str, language: Language) -> str:
    """A code in words; one that is not known as it is."""
    pair = table.get(code)
    return code if pair is None else pair[0 if language == "en" else 1]


def listed(words: list[str], language: Language) -> str:
    """Several words as one enumeration."""
    if language == "zh":
        return "、".join(words)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
