
// How the page asks linli. The key is sent as a header, never in an address.
const KEY = "linli-counter-key";
const POINT = "linli-counter-point";
const TIMEOUT_MS = 10_000;

class Trouble extends Error {
  constructor(status, slug = "", detail = "", afterS = 0) {
    super(detail);
    Object.assign(this, { status, slug, detail, afterS });
  }
}

function stored(store, name) {
  try {
    return store.getItem(name) || "";
  } catch {
    return ""; // the browser keeps nothing: the page works on without
  }
}

function keep(store, name, value) {
  try {
    if (value) store.setItem(name, value);
    else store.removeItem(name);
  } catch {
    // as above
  }
}

let key = stored(sessionStorage, KEY);

async function ask(method, path, body, headers = {}) {
  const sent = { Authorization: `Bearer ${key}`, Accept: "application/json", ...headers };
  if (body) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: sent,
      body: body && JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const told = await answer.json();
    if (answer.ok) return told;
    const afterS = Number(answer.headers.get("Retry-After")) || 1;
    throw new Trouble(answer.status, String(told.type).split("/").pop(), String(told.detail), afterS);
  } catch (error) {
    if (error instanceof Trouble) throw error;
    throw new Trouble(answer && !answer.ok ? answer.status : 0); // no answer, or not linli's
  }
}

// A colon stands as it is: linli tells ids and actions apart by it.
const inPath = (id) => encodeURIComponent(id).replaceAll("%3A", ":");

async function pointsOfKey() {
  const found = [];
  let cursor = "";
  do {
    const page = await ask("GET", `/v1/points?page_size=200${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    found.push(...page.items.filter((point) => point.offers.some((one) => one.offer.endsWith("/pickup"))));
    cursor = page.next_cursor;
  } while (cursor && found.length < 2000);
  return found;
}

const ordersIn = (point, state) => ask("GET", `/v1/orders?point=${encodeURIComponent(point)}&state=${state}`);

const collect = (point, code, collector) =>
  ask("POST", `/v1/points/${inPath(point)}:collect`, collector ? { code, collector } : { code });

const act = (order, event, body) =>
  ask("POST", `/v1/orders/${inPath(order.order_id)}:${event}`, body, { "If-Match": `"${order.revision}"` });

// What to do about a trouble, in words.
function advice(trouble) {
  const { status, slug, detail, afterS } = trouble;
  if (status === 0) return word("offline");
  if (status === 403) return word("keyForbidden");
  if (status === 404) return word("gone");
  if (status === 412) return word("changed");
  if (status === 429 || status === 503) return word("busy", { n: afterS });
  if (slug && status < 500) return word("refused", { detail });
  return word("failed", { status });
}
