// What the page says, in both languages.

export const TEXTS = {
  title: ["My consents", "我的授权"],
  signIn: ["Sign in", "登录"],
  signInHelp: [
    "Your device asks for your fingerprint, face or PIN. Neither leaves the device.",
    "您的设备会要求验证指纹、面容或密码，这些信息不会离开设备。",
  ],
  signInButton: ["Sign in with passkey", "使用通行密钥登录"],
  signOut: ["Sign out", "退出"],
  signedOut: ["You are signed out.", "您已退出。"],
  devices: ["Your devices", "您的设备"],
  devicesHelp: [
    "With a second passkey, on another telephone or a security key, you are not locked out when you lose this device.",
    "在另一部手机或安全密钥上再建一把通行密钥，遗失本设备时您仍可登录。",
  ],
  addDevice: ["Add a passkey of another device", "添加另一台设备的通行密钥"],
  register: ["Register this device", "登记本设备"],
  registerHelp: [
    "Your clinic gave you a patient number and a code. The code is good for one day. Your device will ask you twice: once to make a key, once to sign with it.",
    "医疗机构会给您一个患者编号和一个代码，代码当天有效。设备会要求您确认两次：一次生成密钥，一次用它签名。",
  ],
  number: ["Patient number", "患者编号"],
  code: ["Code from the clinic", "机构提供的代码"],
  registerButton: ["Register", "登记"],
  recovery: ["Somebody asked for a new key in your name", "有人以您的名义申请了新密钥"],
  recoveryText: [
    "{institution} began it. It counts from {time} on, unless you stop it.",
    "由{institution}发起。除非您终止，否则将于{time}起生效。",
  ],
  recoveryOpen: [
    "{institution} has begun it and waits for the new key.",
    "由{institution}发起，正在等待新密钥。",
  ],
  stop: ["That was not me: stop it", "不是我本人：立即终止"],
  given: ["What you have declared", "您已作出的声明"],
  none: [
    "Nothing yet. Without your consent only what the law permits is done.",
    "暂无。未经您同意，仅可依法使用您的病历。",
  ],
  whom: ["Signed in as {person}", "当前用户：{person}"],
  give: ["Give a consent", "作出授权"],
  forWhom: ["For whom (empty: yourself; or the number of one for whom you speak)", "为谁（留空为本人；或填写您所代表者的编号）"],
  myself: ["myself", "本人"],
  what: ["What do you want?", "您希望"],
  permit: ["Permit", "允许"],
  forbid: ["Forbid", "禁止"],
  why: ["For what?", "用途"],
  who: ["Whom? (nobody ticked: every institution)", "对象（不选表示所有机构）"],
  records: ["Which records? (none ticked: all kinds)", "病历种类（不选表示所有种类）"],
  reach: ["How confidential at most", "最高保密级别"],
  reachN: ["ordinary records", "普通病历"],
  reachR: ["restricted records too", "含限制级病历"],
  reachV: ["very restricted records too", "含高度限制级病历"],
  untilWhen: ["Until when (empty: until you take it back)", "有效期至（留空表示直至您撤回）"],
  check: ["Check before signing", "签署前核对"],
  review: ["You are about to sign", "您即将签署"],
  reviewHelp: [
    "This was read from the bytes that your device signs, not taken from the node's words.",
    "以上内容由本页面从您的设备所签署的数据中读出，而非来自节点的说明。",
  ],
  reviewSelf: ["For yourself.", "为您本人。"],
  reviewOther: ["For {subject}, for whom you act.", "您代表 {subject} 签署。"],
  nameOf: ["{id} is {name}.", "{id}即{name}。"],
  itIs: ["It is: {rule}.", "内容为：{rule}。"],
  fingerprint: ["Fingerprint", "指纹"],
  sign: ["Sign with passkey", "使用通行密钥签署"],
  back: ["Do not sign", "不签署"],
  takeBack: ["Take back", "撤回"],
  waiting: ["Please wait…", "请稍候……"],
  signedIn: ["You are signed in.", "您已登录。"],
  registered: ["This device is registered. You can sign in now.", "本设备已登记，您现在可以登录。"],
  registeredLater: [
    "The new key counts from {time} on. Until then you can stop it with an old one.",
    "新密钥将于{time}起生效，在此之前您可用旧密钥终止。",
  ],
  final: ["Done: final in block {height}.", "已完成：已写入区块 {height}。"],
  refused: ["The ledger refused it: {error}", "账本拒绝：{error}"],
  failed: ["That did not work: {error}", "操作未成功：{error}"],
  cancelled: ["Nothing was signed.", "未签署任何内容。"],
  tampered: [
    "The node sent something else than it said. Nothing was signed; tell your clinic.",
    "节点发来的内容与其说明不符，未签署任何内容，请告知您的医疗机构。",
  ],
  noPasskeys: ["This browser cannot use passkeys here.", "此浏览器无法在此使用通行密钥。"],
  pickPurpose: ["Tick at least one purpose.", "请至少选择一种用途。"],
  rule: ["{effect} {who}: {why}; {what}; {until}", "{effect}{who}：{why}；{what}；{until}"],
};

let language = (navigator.language ?? "en").startsWith("zh") ? "zh" : "en";

export const current = () => language;
export function use(chosen) {
  language = chosen;
}
export function text(name, values = {}) {
  const form = TEXTS[name][language === "en" ? 0 : 1];
  return form.replace(/\{(\w+)\}/g, (_, word) => values[word] ?? "");
}
