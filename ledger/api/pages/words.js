// Codes and sentences in English and Chinese. Made by tests/support/pagewords.py from
// ledger/decisions; do not edit.

export const WORDS = {
 "purposes": {
  "TREAT": [
   "treatment",
   "诊疗"
  ],
  "CLINTRL": [
   "treatment in a clinical trial",
   "临床试验中的诊疗"
  ],
  "COC": [
   "coordinating care",
   "医疗协作与转诊衔接"
  ],
  "POPHLTH": [
   "the health of a group of patients",
   "人群健康管理"
  ],
  "ETREAT": [
   "emergency treatment",
   "急诊诊疗"
  ],
  "BTG": [
   "an emergency, breaking the glass",
   "紧急破窗访问"
  ],
  "ERTREAT": [
   "treatment in an emergency room",
   "急诊室诊疗"
  ],
  "HPAYMT": [
   "payment for care",
   "医疗费用支付"
  ],
  "CLMATTCH": [
   "documents of an insurance claim",
   "理赔附件"
  ],
  "COVAUTH": [
   "authorising insured care",
   "医保项目审批"
  ],
  "COVERAGE": [
   "insurance cover",
   "保险保障"
  ],
  "ELIGDTRM": [
   "deciding whether insurance covers somebody",
   "参保资格认定"
  ],
  "ELIGVER": [
   "verifying that insurance covers somebody",
   "参保资格核验"
  ],
  "ENROLLM": [
   "enrolment in insurance",
   "参保登记"
  ],
  "MILDCRG": [
   "discharge from military service",
   "军人退役"
  ],
  "REMITADV": [
   "advice on a payment",
   "付款通知"
  ],
  "HOPERAT": [
   "running health services",
   "医疗机构运营"
  ],
  "CAREMGT": [
   "managing long-term care",
   "慢病与照护管理"
  ],
  "DONAT": [
   "organ or tissue donation",
   "器官与组织捐献"
  ],
  "FRAUD": [
   "detecting fraud",
   "查处欺诈"
  ],
  "GOV": [
   "government tasks",
   "政府公务"
  ],
  "HACCRED": [
   "accrediting health services",
   "医疗机构评审"
  ],
  "HCOMPL": [
   "compliance and supervision",
   "合规监管"
  ],
  "HDECD": [
   "matters of a deceased person",
   "逝者相关事务"
  ],
  "HDIRECT": [
   "a directory of health services",
   "医疗机构目录"
  ],
  "HDM": [
   "managing health data",
   "医疗数据管理"
  ],
  "HLEGAL": [
   "legal matters",
   "法律事务"
  ],
  "HOUTCOMS": [
   "measuring outcomes",
   "医疗结果评价"
  ],
  "HPRGRP": [
   "reports on health programmes",
   "卫生项目报告"
  ],
  "HQUALIMP": [
   "improving quality",
   "医疗质量改进"
  ],
  "HSYSADMIN": [
   "administering the system",
   "系统管理"
  ],
  "HTEST": [
   "testing the system",
   "系统测试"
  ],
  "LABELING": [
   "labelling records",
   "病历标注"
  ],
  "MEMADMIN": [
   "administering members",
   "成员管理"
  ],
  "METAMGT": [
   "managing descriptions of data",
   "元数据管理"
  ],
  "MILCDM": [
   "medical matters of the military",
   "军队卫生事务"
  ],
  "PATADMIN": [
   "administering patients",
   "患者管理"
  ],
  "PATSFTY": [
   "patient safety",
   "患者安全"
  ],
  "PERFMSR": [
   "measuring performance",
   "绩效评价"
  ],
  "RECORDMGT": [
   "managing records",
   "病案管理"
  ],
  "SYSDEV": [
   "developing the system",
   "系统开发"
  ],
  "TRAIN": [
   "training",
   "教学培训"
  ],
  "HRESCH": [
   "research",
   "医学研究"
  ],
  "BIORCH": [
   "biomedical research",
   "生物医学研究"
  ],
  "CLINTRCH": [
   "clinical research",
   "临床研究"
  ],
  "CLINTRCHNPC": [
   "clinical research without patient care",
   "不涉及诊疗的临床研究"
  ],
  "CLINTRCHPC": [
   "clinical research with patient care",
   "涉及诊疗的临床研究"
  ],
  "DSRCH": [
   "research on a disease",
   "疾病研究"
  ],
  "POARCH": [
   "research on populations or ancestry",
   "人群或祖源研究"
  ],
  "PRECLINTRCH": [
   "preclinical research",
   "临床前研究"
  ],
  "TRANSRCH": [
   "translational research",
   "转化研究"
  ],
  "PATRQT": [
   "a wish of the patient",
   "患者本人请求"
  ],
  "FAMRQT": [
   "a wish of the family",
   "家属请求"
  ],
  "PWATRNY": [
   "a person with power of attorney",
   "受托代理人请求"
  ],
  "SUPNWK": [
   "people who support the patient",
   "照护支持人员"
  ],
  "PUBHLTH": [
   "public health",
   "公共卫生"
  ],
  "DISASTER": [
   "help in a disaster",
   "灾害救援"
  ],
  "THREAT": [
   "a threat to public health",
   "公共卫生威胁应对"
  ],
  "HMARKT": [
   "marketing",
   "市场营销"
  ]
 },
 "classes": {
  "laboratory": [
   "laboratory result",
   "检验结果"
  ],
  "imaging": [
   "imaging result",
   "影像检查结果"
  ],
  "ecg": [
   "ECG",
   "心电图"
  ],
  "pathology": [
   "pathology result",
   "病理结果"
  ],
  "note": [
   "medical note",
   "病程记录"
  ],
  "prescription": [
   "prescription",
   "处方"
  ],
  "referral": [
   "referral letter",
   "转诊单"
  ],
  "immunization": [
   "vaccination record",
   "免疫接种记录"
  ],
  "procedure": [
   "record of a procedure",
   "手术与操作记录"
  ],
  "condition": [
   "diagnosis",
   "诊断"
  ],
  "encounter": [
   "record of a visit",
   "就诊记录"
  ],
  "careplan": [
   "care plan",
   "照护计划"
  ],
  "claim": [
   "insurance claim",
   "理赔单"
  ],
  "other": [
   "record",
   "病历资料"
  ]
 },
 "reaches": {
  "N": [
   "ordinary",
   "普通"
  ],
  "R": [
   "ordinary and restricted",
   "普通及限制级"
  ],
  "V": [
   "all, also very restricted,",
   "全部（包括高度限制级）"
  ]
 },
 "reasons": {
  "wrong-patient": [
   "it is of somebody else",
   "并非本人病历"
  ],
  "wrong-content": [
   "what it says is not true",
   "内容不实"
  ],
  "incomplete": [
   "something is missing",
   "内容不完整"
  ],
  "outdated": [
   "it is out of date",
   "内容已过时"
  ],
  "other": [
   "another reason",
   "其他原因"
  ]
 },
 "sentences": {
  "grant": [
   "You permit {who} to see {reach} records ({what}) for {why}, {until}.",
   "您允许{who}因{why}查看{reach}的病历（{what}），{until}。"
  ],
  "deny": [
   "You forbid {who} to see records ({what}) for {why}, {until}.",
   "您禁止{who}因{why}查看病历（{what}），{until}。"
  ],
  "withdraw": [
   "You take back the consent {id}. What it permitted ends with the next block.",
   "您撤回授权 {id}。它所允许的查看自下一区块起终止。"
  ],
  "cancel": [
   "You stop the replacement of your key that a clinic began.",
   "您终止医疗机构为您发起的密钥更换。"
  ],
  "add_key": [
   "You add a device: the key ending in {key}.",
   "您添加一台设备：密钥末尾为 {key}。"
  ],
  "complete": [
   "You register this device, with the key ending in {key}.",
   "您登记本设备，密钥末尾为 {key}。"
  ],
  "recover": [
   "You ask for the replacement of a lost key.",
   "您申请更换遗失的密钥。"
  ],
  "ask": [
   "You ask {holder} to destroy its record ({kind}) ending in {record} as soon as no law keeps it. From now on nobody sees it but you and whom the law obliges the holder to serve; in an emergency it is closed too.",
   "您申请{holder}在法定保存期满后销毁其病历（{kind}，末尾为 {record}）。自现在起，除您本人及法律强制要求外，任何人均不得查看，急救时亦然。"
  ],
  "take_back": [
   "You take back the request {id} to destroy a record. It can be seen as before.",
   "您撤回销毁病历的申请 {id}。该病历恢复为可按原规则查看。"
  ],
  "dispute": [
   "You say that the record ({kind}) of {holder} ending in {record} is wrong: {reason}. Your words have the fingerprint ending in {statement}.",
   "您对{holder}的病历（{kind}，末尾为 {record}）提出异议：{reason}。您的陈述之指纹末尾为 {statement}。"
  ],
  "withdraw_dispute": [
   "You withdraw the dispute {id}; it stands beside the record no more.",
   "您撤回异议 {id}；该病历旁不再注明异议。"
  ],
  "other": [
   "Something that cannot be put in plain words: {call}. Do not sign it.",
   "无法用通俗语言说明的内容：{call}。请勿签署。"
  ]
 },
 "fixed": {
  "anybody": [
   "every institution of the consortium",
   "联盟内所有机构"
  ],
  "anything": [
   "every kind",
   "所有种类"
  ],
  "anyPurpose": [
   "any purpose",
   "任何"
  ],
  "forever": [
   "until you take it back",
   "直至您撤回"
  ],
  "until": [
   "until {time}",
   "有效期至{time}"
  ]
 }
};
