
// The page itself: who is signed in, which point, what was entered, what is shown.
const at = (id) => document.getElementById(id);
const POLL_MS = 4_000;
const SLOWEST_MS = 60_000;
const CODE = /^[0-9]{6}$/;
const KEY_FORM = /^linli_(merchant|station)_[0-9A-Za-z]+$/;
const A_FEW_S = 5; // a caller who is too fast waits for a second or two; wrong codes take minutes

let point = "";
let epoch = 0; // counts whatever makes an answer that is still on its way worthless
let waitUntil = 0;
let nFailed = 0;
let timer = 0;
let isAsking = false;
let known = null;
let entering = Promise.resolve();
let shownCode = ""; // of the order that is shown as handed over

for (const told of document.querySelectorAll("[data-word]")) told.textContent = word(told.dataset.word);
document.documentElement.lang = LANGUAGE;
document.title = word("title");
at("states").append(...stateSections());

function tell(text) {
  at("trouble").textContent = text;
  at("trouble").hidden = !text;
}

function showResult(kind, title, ...rest) {
  const mark = element("span", "mark", { good: "✓", bad: "✕", warn: "!" }[kind]);
  mark.setAttribute("aria-hidden", "true");
  shownCode = "";
  at("result").className = kind;
  at("result").replaceChildren(element("p", "title", mark, title), ...rest);
  at("result").scrollIntoView({ block: "nearest" }); // a phone's keyboard may lie over it
}

function clearResult() {
  at("result").className = "";
  at("result").replaceChildren();
}

function clearOrders() {
  for (const section of at("states").children) showState(section, { items: [], next_cursor: null }, onAct);
}

function signOut(why = "") {
  epoch += 1;
  clearTimeout(timer);
  key = point = "";
  known = null;
  waitUntil = 0;
  keep(sessionStorage, KEY, "");
  document.body.classList.remove("in");
  at("counter").hidden = at("of-point").hidden = true;
  at("sign-in").hidden = false;
  clearOrders();
  clearResult();
  document.title = word("title");
  tell(why);
  at("key").value = "";
  at("key").focus();
}

async function signIn() {
  const mine = (epoch += 1);
  let points;
  try {
    points = await pointsOfKey();
  } catch (trouble) {
    if (mine !== epoch) return;
    if (trouble.status === 401 || trouble.status === 403) {
      signOut(word(trouble.status === 401 ? "keyUnknown" : "keyForbidden"));
      return;
    }
    tell(advice(trouble));
    timer = setTimeout(signIn, 1000 * Math.max(5, trouble.afterS));
    return;
  }
  if (mine !== epoch) return;
  if (!points.length) {
    signOut(word("noPoints"));
    return;
  }
  keep(sessionStorage, KEY, key);
  const options = points.map((one) => new Option(`${one.name} (${one.point_id.split(":").pop()})`, one.point_id));
  at("point").replaceChildren(...options);
  const last = stored(localStorage, POINT);
  choosePoint(points.some((one) => one.point_id === last) ? last : points[0].point_id);
  document.body.classList.add("in");
  at("sign-in").hidden = true;
  at("counter").hidden = at("of-point").hidden = false;
  at("code").focus();
}

function choosePoint(id) {
  at("point").value = point = id;
  keep(localStorage, POINT, id);
  known = null;
  endWait();
  clearOrders(); // those of another point must not stand under this one's name until the answer comes
  clearResult();
  refresh();
}

// Reads the orders of the point, and again in a while; an answer that came too late is dropped.
async function refresh() {
  epoch += 1;
  clearTimeout(timer);
  const mine = epoch;
  isAsking = true;
  try {
    const pages = await Promise.all(STATES.map((state) => ordersIn(point, state)));
    if (mine !== epoch) return;
    [...at("states").children].forEach((section, i) => showState(section, pages[i], onAct));
    announce(pages[0].items);
    at("as-of").textContent = word("asOf", { time: new Date().toLocaleTimeString(LOCALE, { hour12: false }) });
    nFailed = 0;
    tell("");
    timer = setTimeout(refresh, POLL_MS);
  } catch (trouble) {
    if (mine !== epoch) return;
    if (trouble.status === 401) {
      signOut(word("keyUnknown"));
      return;
    }
    nFailed += 1;
    const afterMs = Math.max(1000 * trouble.afterS, Math.min(SLOWEST_MS, POLL_MS * 2 ** (nFailed - 1)));
    tell(advice({ ...trouble, afterS: Math.round(afterMs / 1000) }));
    timer = setTimeout(refresh, afterMs);
  } finally {
    if (mine === epoch) isAsking = false;
  }
}

function announce(placed) {
  const ids = placed.map((order) => order.order_id);
  const n = known === null ? 0 : ids.filter((id) => !known.has(id)).length;
  if (n) at("news").textContent = `${word("news", { n })} ${new Date().toLocaleTimeString(LOCALE)}`;
  known = new Set(ids);
  document.title = `${ids.length ? `(${ids.length}) ` : ""}${word("title")}`;
}

async function onAct(order, event, body) {
  const card = document.querySelector(`[data-order="${CSS.escape(order.order_id)}"]`);
  for (const one of card?.querySelectorAll("button") || []) one.disabled = true;
  const whose = key;
  let told = "";
  try {
    await act(order, event, body);
  } catch (trouble) {
    if (key !== whose) return;
    if (trouble.status === 401) {
      signOut(word("keyUnknown"));
      return;
    }
    told = advice(trouble);
    if (card) showActs(card.querySelector(".acts"), order, onAct);
  }
  if (key !== whose) return; // signed out meanwhile
  // On a phone the keyboard would rise over the orders.
  if (matchMedia("(pointer: fine)").matches) at("code").focus();
  await refresh();
  const after = document.querySelector(`[data-order="${CSS.escape(order.order_id)}"]`);
  if (told && after) {
    const note = element("p", "told warn", told);
    note.setAttribute("role", "alert");
    after.append(note);
    setTimeout(() => note.remove(), 10_000);
  } else if (told) tell(told);
}

function startWait(afterS) {
  waitUntil = performance.now() + 1000 * afterS;
  at("code").readOnly = true;
  at("hand-over").setAttribute("aria-disabled", "true");
  const left = element("p", "left", "");
  left.setAttribute("aria-live", "off"); // else each second is read out
  showResult("warn", word("wait"), element("p", "", word(afterS > A_FEW_S ? "waitCodes" : "waitRequests")), left);
  tick();
}

function endWait() {
  waitUntil = 0;
  at("code").readOnly = false;
  at("hand-over").removeAttribute("aria-disabled");
}

function tick() {
  if (!waitUntil) return;
  const leftS = Math.ceil((waitUntil - performance.now()) / 1000);
  const shown = document.querySelector("#result .left");
  if (leftS > 0) {
    const text = `${Math.floor(leftS / 60)}:${String(leftS % 60).padStart(2, "0")}`;
    if (shown && shown.textContent !== text) shown.textContent = text;
    return;
  }
  endWait();
  showResult("good", word("goOn"), element("p", "", word("goOnNote")));
}

function showHandedOver(order, code) {
  const [words, sum] = dueOf(order);
  const due = element("p", "due", element("span", "", words), element("b", "", sum));
  showResult("good", word("handedOver"), element("p", "", nameOf(order)), linesOf(order), due);
  shownCode = code;
}

function showRefused(trouble, code) {
  if (trouble.status === 401) signOut(word("keyUnknown"));
  else if (trouble.status === 429) startWait(trouble.afterS);
  else if (trouble.slug === "code-wrong") showResult("bad", word("wrong"), element("p", "", word("wrongNote")));
  else if (trouble.slug === "code-used") {
    if (code !== shownCode) showResult("warn", word("used"), element("p", "", word("usedNote"))); // else scanned twice
  } else if (trouble.slug === "state-conflict") showResult("warn", word("early"), element("p", "", word("earlyNote")));
  else if (trouble.status === 0 || trouble.status >= 500) {
    showResult("warn", word("unsure"), element("p", "", advice(trouble)), element("p", "", word("unsureNote")));
  } else showResult("bad", word("wrong"), element("p", "", advice(trouble)));
}

async function enter(text, collector) {
  const code = text.normalize("NFKC").replace(/[\s-]/g, ""); // a Chinese keyboard may give full-width digits
  if (!code || !point || waitUntil) return;
  if (!CODE.test(code)) {
    showResult("bad", word("notCode"), element("p", "", word("notCodeNote")));
    return;
  }
  const of = point;
  try {
    const order = await collect(of, code, collector);
    if (of === point) showHandedOver(order, code);
  } catch (trouble) {
    if (of === point) showRefused(trouble, code);
  }
  if (key) refresh();
}

at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const pasted = at("key").value.trim();
  if (!KEY_FORM.test(pasted)) {
    tell(word("keyForm"));
    return;
  }
  tell("");
  key = pasted;
  signIn();
});

at("code-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const [code, collector] = [at("code").value, at("collector").value.trim()];
  at("code").value = "";
  at("code").focus();
  if (!code.trim()) return;
  at("collector").value = "";
  at("for-other").open = false;
  const next = () => enter(code, collector);
  entering = entering.then(next, next); // a scanner does not wait for the answer
});

// A scanner types wherever the focus is: its digits belong into the field, and its Enter presses no other button.
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches?.("input, select, textarea");
  if (at("counter").hidden || isTyping || event.ctrlKey || event.altKey || event.metaKey) return;
  if (/^[0-9]$/.test(event.key)) at("code").focus();
});

at("point").addEventListener("change", () => {
  choosePoint(at("point").value);
  at("code").focus();
});
at("sign-out").addEventListener("click", () => signOut());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && point && !isAsking) refresh();
});
addEventListener("online", () => point && refresh());
setInterval(tick, 250);

if (key) signIn();
else signOut();
