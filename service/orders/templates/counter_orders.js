
// Orders as cards. Whatever the API tells is set as text: it cannot become HTML.
const STATES = ["placed", "accepted", "ready"];
const ACTS = { accept: "accept", ready: "markReady", reject: "reject" };
const REASONS = ["out_of_stock", "closed", "too_busy", "other"];
const GONE = ["missing", "replaced", "declined", "parted"];

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function button(text, className, onClick) {
  const made = element("button", className, text);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

function linesOf(order) {
  return element("ul", "lines", ...order.lines.map((line) => {
    const name = element("span", GONE.includes(line.state) ? "gone" : "", line.name || line.sku);
    const row = element("li", "", element("b", "", `${line.quantity} ×`), name);
    if (line.state in WORDS[LANGUAGE] && line.state !== "wanted") row.append(element("em", "", word(line.state)));
    return row;
  }));
}

// [words, sum] of what the customer still has to pay, or has paid.
function dueOf(order) {
  if (!order.total_minor) return [word("nothingToPay"), ""];
  const isPaid = order.payment !== null && order.payment.method !== "counter";
  return [word(isPaid ? "paid" : "toPay"), money(order.total_minor, order.currency)];
}

function whenOf(order) {
  const [name, at] = {
    placed: ["answerBy", order.expires_at],
    accepted: ["wantedAt", order.handover_at],
    ready: ["heldUntil", order.expires_at],
  }[order.state];
  if (!at) return "";
  const made = element("span", new Date(at) < new Date() ? "when late" : "when", word(name, { time: clock(at) }));
  made.dataset.at = at;
  return made;
}

const nameOf = (order) => order.order_id.slice(-6).toUpperCase();

function cardOf(order, onAct) {
  const head = element("div", "head", element("span", "name", nameOf(order)), whenOf(order));
  const [words, sum] = dueOf(order);
  const card = element("li", "order", head, linesOf(order), element("p", "more", `${words} ${sum}`.trim()));
  if (order.has_collector) card.append(element("p", "more", word("named")));
  card.dataset.order = order.order_id;
  card.dataset.revision = order.revision;
  const acts = element("div", "acts");
  card.append(acts);
  showActs(acts, order, onAct);
  return card;
}

function showActs(acts, order, onAct) {
  const known = order.next.filter((event) => event in ACTS);
  acts.replaceChildren(...known.map((event) => {
    const go = event === "reject" ? () => askWhy(acts, order, onAct) : () => onAct(order, event);
    const made = button(word(ACTS[event]), event === "reject" ? "danger" : "main", go);
    made.dataset.act = event;
    made.setAttribute("aria-label", `${word(ACTS[event])} ${nameOf(order)}`);
    return made;
  }));
}

// A rejection asks for its reason, so that one touch beside the mark rejects nothing.
function askWhy(acts, order, onAct) {
  const reasons = REASONS.map((reason) => {
    const made = button(word(reason), "danger", () => onAct(order, "reject", { reason }));
    made.dataset.reason = reason;
    return made;
  });
  const back = button(word("keep"), "", () => {
    showActs(acts, order, onAct);
    acts.querySelector("[data-act=reject]")?.focus();
  });
  acts.replaceChildren(element("p", "", word("whyReject")), ...reasons, back);
  reasons[0].focus();
}

// Cards whose order has not changed stay: whoever is about to press a button keeps it under his finger.
function showState(section, page, onAct) {
  const list = section.querySelector("ul");
  const before = new Map([...list.children].map((card) => [`${card.dataset.order} ${card.dataset.revision}`, card]));
  const cards = page.items.map((order) => before.get(`${order.order_id} ${order.revision}`) || cardOf(order, onAct));
  const isSame = cards.length === list.children.length && cards.every((card, i) => card === list.children[i]);
  if (!isSame) list.replaceChildren(...cards);
  for (const when of list.querySelectorAll(".when")) when.classList.toggle("late", new Date(when.dataset.at) < new Date());
  const count = section.querySelector(".count");
  count.textContent = `${cards.length}${page.next_cursor ? "+" : ""}`;
  count.classList.toggle("some", cards.length > 0);
  const note = section.querySelector("p");
  note.textContent = cards.length ? (page.next_cursor ? word("more") : "") : word("none");
  note.hidden = !note.textContent;
}

function stateSections() {
  return STATES.map((state) => {
    const title = element("h3", "", element("span", "", word(state)), element("span", "count", "0"));
    title.id = `state-${state}`;
    const section = element("section", "state", title, element("p", "", word("none")), element("ul"));
    section.dataset.state = state;
    section.setAttribute("aria-labelledby", title.id);
    return section;
  });
}
