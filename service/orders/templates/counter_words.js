
"use strict";
// What the page says. A {name} is filled in as text.
const WORDS = {
  en: {
    title: "Counter",
    point: "Point",
    signIn: "Sign in",
    signOut: "Sign out",
    key: "Key of the merchant, or of the station",
    keyNote: "It is kept until this tab is closed, and sent to this server alone. Better take a station's key than the merchant's.",
    keyForm: "Paste a whole key: it begins with linli_merchant_ or linli_station_.",
    keyUnknown: "This key is not valid, or not any more. Paste another.",
    keyForbidden: "This key may not do that. Sign in with a key of the merchant, or of the station.",
    noPoints: "No point with orders to collect belongs to this key. The merchant adds one first.",
    code: "Pickup code",
    codeNote: "Type the 6 digits, or scan them.",
    handOver: "Hand over",
    otherCollects: "Somebody else collects it",
    collector: "Name that the customer gave",
    handedOver: "Handed over",
    toPay: "To pay here",
    paid: "Paid online",
    nothingToPay: "Nothing to pay",
    wrong: "Wrong code",
    wrongNote: "No order that waits here has this code. Check the digits and the point; it may have been handed over already.",
    notCode: "Not a code",
    notCodeNote: "A pickup code has 6 digits.",
    early: "Not ready yet",
    earlyNote: "The code is right. Hand it over once the order is marked as ready below.",
    used: "Handed over already",
    usedNote: "The order with this code was handed over a moment ago.",
    wait: "Wait",
    waitCodes: "Too many wrong codes were entered here. The next one is taken in:",
    waitRequests: "Too many requests came at once. The next one is taken in:",
    goOn: "Go on",
    goOnNote: "Codes are taken again.",
    unsure: "No answer came",
    unsureNote: "Look whether the order is still listed as ready. If it is not, it has been handed over; otherwise enter the code again.",
    orders: "Orders",
    asOf: "as of {time}",
    news: { one: "A new order", other: "{n} new orders" },
    placed: "New: accept or reject",
    accepted: "Being prepared",
    ready: "Ready to be collected",
    none: "None.",
    more: "There are more; the oldest are shown.",
    accept: "Accept",
    markReady: "Ready",
    reject: "Reject",
    whyReject: "Why?",
    keep: "Back",
    out_of_stock: "Out of stock",
    closed: "Closed",
    too_busy: "Too busy",
    other: "Other",
    answerBy: "answer by {time}",
    wantedAt: "wanted at {time}",
    heldUntil: "held until {time}",
    named: "Another person may collect it.",
    missing: "missing",
    replaced: "replaced",
    declined: "declined",
    parted: "elsewhere",
    offered: "offered, the customer has not answered",
    refused: "That cannot be done now: {detail}",
    changed: "The order has changed meanwhile. Look at it again.",
    gone: "This order is not there any more.",
    offline: "linli cannot be reached. Check the network; it is tried again by itself.",
    busy: "linli has too much to do, or is starting again. It is tried again by itself in {n} s.",
    failed: "linli has failed ({status}). Try again; if it stays so, tell whoever runs it.",
  },
  zh: {
    title: "取货台",
    point: "网点",
    signIn: "登录",
    signOut: "退出",
    key: "商户或驿站的密钥",
    keyNote: "密钥只保存到本标签页关闭为止，且只发送给本服务器。建议使用驿站密钥，不用商户密钥。",
    keyForm: "请粘贴完整密钥，以 linli_merchant_ 或 linli_station_ 开头。",
    keyUnknown: "密钥无效或已失效，请换一个。",
    keyForbidden: "此密钥无权操作，请用商户或驿站的密钥登录。",
    noPoints: "此密钥名下没有可到店取货的网点，请商户先添加。",
    code: "取货码",
    codeNote: "输入或扫描 6 位数字。",
    handOver: "交付",
    otherCollects: "他人代取",
    collector: "顾客指定的姓名",
    handedOver: "已交付",
    toPay: "到店应付",
    paid: "已线上支付",
    nothingToPay: "无需付款",
    wrong: "取货码错误",
    wrongNote: "本网点没有此取货码的待取订单。请核对数字和网点；也可能已经取走。",
    notCode: "不是取货码",
    notCodeNote: "取货码是 6 位数字。",
    early: "尚未备好",
    earlyNote: "取货码正确。请先在下方标记该订单已备好，再交付。",
    used: "已经交付",
    usedNote: "此取货码的订单刚刚已经交付。",
    wait: "请稍候",
    waitCodes: "错误取货码输入过多，距下次可输入：",
    waitRequests: "请求过多，距下次可输入：",
    goOn: "请继续",
    goOnNote: "可以继续输入取货码。",
    unsure: "没有收到答复",
    unsureNote: "请看该订单是否仍在待取货中：不在则已交付，仍在则请重新输入。",
    orders: "订单",
    asOf: "更新于 {time}",
    news: { one: "有新订单", other: "有 {n} 个新订单" },
    placed: "待接单",
    accepted: "备货中",
    ready: "待取货",
    none: "暂无。",
    more: "还有更多订单，仅显示最早的。",
    accept: "接单",
    markReady: "已备好",
    reject: "拒单",
    whyReject: "原因？",
    keep: "返回",
    out_of_stock: "缺货",
    closed: "已打烊",
    too_busy: "太忙",
    other: "其他",
    answerBy: "请于 {time} 前答复",
    wantedAt: "{time} 取货",
    heldUntil: "保留至 {time}",
    named: "可由他人代取。",
    missing: "缺",
    replaced: "已替换",
    declined: "已谢绝",
    parted: "由别店备货",
    offered: "已提议，待顾客答复",
    refused: "现在无法操作：{detail}",
    changed: "订单已有变化，请重新查看。",
    gone: "订单已不存在。",
    offline: "无法连接 linli，请检查网络；系统会自动重试。",
    busy: "linli 繁忙或正在重启，{n} 秒后自动重试。",
    failed: "linli 出错（{status}）。请重试；若持续出错，请告知管理员。",
  },
};
const LANGUAGE = /^zh/i.test(navigator.language || "") ? "zh" : "en";
const LOCALE = LANGUAGE === "zh" ? navigator.language : "en-GB";

function word(name, values = {}) {
  const told = WORDS[LANGUAGE][name];
  const text = typeof told === "string" ? told : told[values.n === 1 ? "one" : "other"];
  return text.replace(/\{(\w+)\}/g, (all, key) => String(values[key] ?? ""));
}

// How many digits the smallest unit is, by ISO 4217: a browser shows fewer where coins have gone out of use.
const DIGITS = new Map([
  ...["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"].map((one) => [one, 0]),
  ...["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"].map((one) => [one, 3]),
]);

function money(minor, currency) {
  if (!currency) return String(minor);
  const digits = DIGITS.get(currency) ?? 2;
  const shown = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  const format = new Intl.NumberFormat(LOCALE, { style: "currency", currency, currencyDisplay: "narrowSymbol", ...shown });
  return format.format(minor / 10 ** digits);
}

function clock(text) {
  const at = new Date(text);
  const isToday = at.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { month: "short", day: "numeric" };
  return at.toLocaleString(LOCALE, { hour: "2-digit", minute: "2-digit", hour12: false, ...day });
}
