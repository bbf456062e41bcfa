(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const svg = document.getElementById("map");
  const tip = document.getElementById("tip");
  const live = document.getElementById("live");
  const focus = document.getElementById("focus");
  const SVG = "http://www.w3.org/2000/svg";
  const reach = 13; // pixels from a symbol that still count as on it
  const [homeX, homeY, homeW, homeH] = data.home;
  let view = { x: 0, y: 0, w: homeW, h: homeH };
  let unitsPerPixel = 1;
  let drawnUnits = 0;
  let stepped = -1;
  let whole = true; // all is shown, and stays so when the frame changes

  // Every mark that has something to tell: the points, and the marks of the examples.
  const marks = [];
  let order = 0;
  for (const group of svg.querySelectorAll(".points"))
    for (const use of group.children)
      marks.push({ x: +use.getAttribute("x"), y: +use.getAttribute("y"), group, text: data.points[order++] });
  for (const mark of svg.querySelectorAll(".refused, .match, .place"))
    marks.push({ x: +mark.dataset.x, y: +mark.dataset.y, group: mark, text: [mark.dataset.title, mark.dataset.label] });
  const shown = ({ group }) => !group.closest("[hidden], .example:not(.chosen) > :not(.place)");

  function draw() {
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
    unitsPerPixel = view.w / Math.max(1, svg.clientWidth);
    if (Math.abs(unitsPerPixel / drawnUnits - 1) > 1e-6 || !drawnUnits) {
      drawnUnits = unitsPerPixel;
      const radius = Math.min(9, Math.max(3.1, 3.6 * (allUnits() / unitsPerPixel) ** 0.5));
      svg.style.setProperty("--k", unitsPerPixel * radius);
      svg.style.setProperty("--u", unitsPerPixel);
      drawScale();
      drawStreetLabels();
    }
    drawCallouts();
  }
  const allUnits = () => Math.max(homeW / Math.max(1, svg.clientWidth), homeH / Math.max(1, svg.clientHeight));

  // The box grown to the shape of the frame, so that nothing of it is cut off.
  function show(x, y, w, h) {
    const shape = Math.max(1, svg.clientWidth) / Math.max(1, svg.clientHeight);
    const width = Math.max(w, h * shape);
    view = { w: width, h: width / shape, x: x + (w - width) / 2, y: y + (h - width / shape) / 2 };
    whole = false;
    draw();
  }
  function showAll() {
    show(homeX - homeW * 0.02, homeY - homeH * 0.02, homeW * 1.04, homeH * 1.04);
    whole = true;
  }

  function zoom(factor, px = svg.clientWidth / 2, py = svg.clientHeight / 2) {
    const widest = allUnits() * svg.clientWidth * 2;
    const w = Math.min(widest, Math.max(widest / 160, view.w * factor));
    const real = w / view.w;
    const x = view.x + px * unitsPerPixel;
    const y = view.y + py * unitsPerPixel;
    view = { x: x - (x - view.x) * real, y: y - (y - view.y) * real, w, h: view.h * real };
    whole = false;
    hideTip();
    draw();
  }
  function pan(dx, dy) {
    view.x = Math.min(homeX + homeW - view.w * 0.1, Math.max(homeX - view.w * 0.9, view.x + dx * unitsPerPixel));
    view.y = Math.min(homeY + homeH - view.h * 0.1, Math.max(homeY - view.h * 0.9, view.y + dy * unitsPerPixel));
    whole = false;
    draw();
  }

  function drawScale() {
    const metresPerPixel = unitsPerPixel * data.metres;
    const most = metresPerPixel * 130;
    const power = 10 ** Math.floor(Math.log10(most));
    const metres = [5, 2, 1].map((step) => step * power).find((length) => length <= most);
    document.getElementById("scale-bar").style.width = `${metres / metresPerPixel}px`;
    document.getElementById("scale-text").textContent = metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;
  }

  const overlaps = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

  function drawStreetLabels() {
    const kept = [];
    for (const text of svg.querySelectorAll(".street-labels text")) {
      text.removeAttribute("hidden");
      const box = text.getBoundingClientRect();
      const room = { x: box.x - 6, y: box.y - 6, w: box.width + 12, h: box.height + 12 };
      if (kept.some((other) => overlaps(room, other))) text.setAttribute("hidden", "");
      else kept.push(room);
    }
  }

  function element(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // Labels beside the marks of the chosen example, moved until none covers another; what finds no room stays in the card.
  function drawCallouts() {
    const example = svg.querySelector(".example.chosen");
    if (!example) return;
    const layer = example.querySelector(".callouts");
    layer.replaceChildren();
    const u = unitsPerPixel;
    const spots = [...example.querySelectorAll(".place, .match, .refused")];
    const taken = spots.map((spot) => ({ x: +spot.dataset.x - 9 * u, y: +spot.dataset.y - 9 * u, w: 18 * u, h: 18 * u }));
    const pin = example.querySelector(".place");
    taken.push({ x: +pin.dataset.x - 12 * u, y: +pin.dataset.y - 32 * u, w: 24 * u, h: 32 * u });
    for (const spot of spots.sort((a, b) => rank(a) - rank(b))) {
      const group = element("g", { class: spot.classList.contains("refused") ? "no" : "yes" });
      layer.append(group);
      const title = element("text", {}, short(spot.dataset.title));
      const why = element("text", { class: "why" }, spot.dataset.label);
      group.append(title, why);
      const w = Math.max(title.getComputedTextLength(), why.getComputedTextLength()) + 12 * u;
      const place = room(+spot.dataset.x, +spot.dataset.y, away(spot, pin, example), w, 36 * u, u, taken);
      if (!place) {
        group.remove();
        continue;
      }
      taken.push(place);
      const rect = element("rect", { x: place.x, y: place.y, width: place.w, height: place.h, rx: 3 * u });
      const nearX = Math.min(place.x + place.w, Math.max(place.x, +spot.dataset.x));
      const nearY = Math.min(place.y + place.h, Math.max(place.y, +spot.dataset.y));
      group.prepend(element("line", { x1: spot.dataset.x, y1: spot.dataset.y, x2: nearX, y2: nearY }), rect);
      for (const [text, down] of [[title, 15], [why, 30]]) {
        text.setAttribute("x", place.x + 6 * u);
        text.setAttribute("y", place.y + down * u);
      }
    }
  }
  const rank = (spot) => (spot.classList.contains("match") ? 0 : spot.classList.contains("place") ? 1 : 2);
  const short = (text) => (text.length > 34 ? `${text.slice(0, 33)}…` : text);

  // Labels stand on the far side of the lines between the order and the points, if there is room.
  function away(spot, pin, example) {
    const from = spot === pin ? example.querySelector(".match, .refused") || pin : pin;
    return Math.atan2(spot.dataset.y - from.dataset.y, spot.dataset.x - from.dataset.x);
  }

  function room(x, y, direction, w, h, u, taken) {
    for (const gap of [12, 22, 36, 56, 80, 110])
      for (const turn of [0, 30, -30, 60, -60, 90, -90, 120, -120, 150, -150, 180]) {
        const dx = Math.cos(direction + (turn * Math.PI) / 180);
        const dy = Math.sin(direction + (turn * Math.PI) / 180);
        const place = { x: x + dx * (gap * u + w / 2) - w / 2, y: y + dy * (gap * u + h / 2) - h / 2, w, h };
        const inside = place.x > view.x && place.y > view.y && place.x + w < view.x + view.w && place.y + h < view.y + view.h;
        if (inside && !taken.some((other) => overlaps(place, other))) return place;
      }
    return null;
  }

  function choose(number) {
    for (const example of svg.querySelectorAll(".example"))
      example.classList.toggle("chosen", example.dataset.example === number);
    for (const button of document.querySelectorAll("[data-show]")) {
      const chosen = button.dataset.show === number;
      button.closest("article").classList.toggle("chosen", chosen);
      button.setAttribute("aria-pressed", chosen);
    }
  }

  function tell(lines, px, py) {
    const head = document.createElement("b");
    head.textContent = lines[0];
    const rest = lines.slice(1).filter(Boolean).map((line) => {
      const span = document.createElement("span");
      span.textContent = line;
      return span;
    });
    tip.replaceChildren(head, ...rest);
    tip.hidden = false;
    const frame = svg.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(px + 14, frame.width - tip.offsetWidth - 4))}px`;
    const below = py + 16 + tip.offsetHeight < frame.height;
    tip.style.top = `${Math.max(4, below ? py + 16 : py - 12 - tip.offsetHeight)}px`;
  }
  function hideTip() {
    tip.hidden = true;
    focus.setAttribute("hidden", "");
  }
  function point(mark) {
    focus.removeAttribute("hidden");
    focus.setAttribute("transform", `translate(${mark.x} ${mark.y})`);
    tell(mark.text, (mark.x - view.x) / unitsPerPixel, (mark.y - view.y) / unitsPerPixel);
  }
  function under(px, py) {
    const x = view.x + px * unitsPerPixel;
    const y = view.y + py * unitsPerPixel;
    let best = null;
    let least = (reach * unitsPerPixel) ** 2;
    for (const mark of marks) {
      const away = (mark.x - x) ** 2 + (mark.y - y) ** 2;
      if (away <= least && shown(mark)) {
        least = away;
        best = mark;
      }
    }
    return best;
  }
  function look(event) {
    const frame = svg.getBoundingClientRect();
    const px = event.clientX - frame.left;
    const py = event.clientY - frame.top;
    const mark = under(px, py);
    if (mark) return point(mark);
    hideTip();
    const hexagon = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-hex]");
    if (hexagon) tell(data.hexes[hexagon.dataset.hex], px, py);
  }

  // Through the points by their distance from the middle of the map.
  function step(by) {
    const x = view.x + view.w / 2;
    const y = view.y + view.h / 2;
    const near = marks.filter((mark) => shown(mark) && Math.abs(mark.x - x) < view.w / 2 && Math.abs(mark.y - y) < view.h / 2);
    if (!near.length) return;
    near.sort((a, b) => (a.x - x) ** 2 + (a.y - y) ** 2 - (b.x - x) ** 2 - (b.y - y) ** 2);
    stepped = (Math.max(stepped, by < 0 ? 0 : -1) + by + near.length) % near.length;
    point(near[stepped]);
    live.textContent = near[stepped].text.filter(Boolean).join(", ");
  }

  const pointers = new Map();
  let moved = 0;
  const spread = () => {
    const [a, b] = [...pointers.values()];
    return { d: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 };
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    svg.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (pointers.size === 1) moved = 0;
    stepped = -1;
  });
  svg.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) {
      if (event.pointerType === "mouse") look(event);
      return;
    }
    const before = pointers.size === 2 ? spread() : null;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    moved += Math.hypot(event.clientX - last.x, event.clientY - last.y);
    if (moved > 4) {
      hideTip();
      svg.classList.add("dragging");
    }
    if (before) {
      const after = spread();
      const frame = svg.getBoundingClientRect();
      pan(before.x - after.x, before.y - after.y);
      zoom(before.d / Math.max(1, after.d), after.x - frame.left, after.y - frame.top);
    } else if (pointers.size === 1 && moved > 4) pan(last.x - event.clientX, last.y - event.clientY);
  });
  for (const end of ["pointerup", "pointercancel"])
    svg.addEventListener(end, (event) => {
      if (!pointers.delete(event.pointerId)) return;
      svg.classList.remove("dragging");
      if (end === "pointerup" && moved <= 4) look(event);
    });
  svg.addEventListener("pointerleave", () => pointers.size || hideTip());
  svg.addEventListener("dblclick", (event) => {
    const frame = svg.getBoundingClientRect();
    zoom(0.5, event.clientX - frame.left, event.clientY - frame.top);
  });
  svg.addEventListener("wheel", (event) => {
    event.preventDefault();
    const frame = svg.getBoundingClientRect();
    const pixels = event.deltaMode ? event.deltaY * 30 : event.deltaY;
    zoom(Math.exp(Math.max(-120, Math.min(120, pixels)) * 0.0025), event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });

  const keys = {
    ArrowLeft: () => pan(-60, 0),
    ArrowRight: () => pan(60, 0),
    ArrowUp: () => pan(0, -60),
    ArrowDown: () => pan(0, 60),
    "+": () => zoom(0.7),
    "=": () => zoom(0.7),
    "-": () => zoom(1 / 0.7),
    0: showAll,
    n: () => step(1),
    p: () => step(-1),
    Escape: hideTip,
  };
  svg.addEventListener("keydown", (event) => {
    const act = keys[event.key] || keys[event.key.toLowerCase()];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (act !== keys.n && act !== keys.p) stepped = -1;
    act();
  });
  for (const button of document.querySelectorAll("[data-zoom]"))
    button.addEventListener("click", () => {
      if (button.dataset.zoom === "all") showAll();
      else zoom(button.dataset.zoom === "in" ? 0.6 : 1 / 0.6);
    });

  const layers = (key) => svg.querySelectorAll(`[data-layer="${CSS.escape(key)}"]`);
  const synthetic = document.querySelector("[data-toggle-synthetic]");
  function toggleAll() {
    for (const box of document.querySelectorAll("[data-toggle]"))
      for (const layer of layers(box.dataset.toggle)) {
        const off = !box.checked || ("synthetic" in layer.dataset && synthetic && !synthetic.checked);
        layer.toggleAttribute("hidden", off);
      }
    const chosen = document.querySelector("[name=hexes]:checked")?.value;
    for (const layer of svg.querySelectorAll(".hexes")) layer.toggleAttribute("hidden", layer.dataset.layer !== chosen);
    for (const classes of document.querySelectorAll("[data-classes]")) classes.hidden = classes.dataset.classes !== chosen;
    hideTip();
  }
  document.querySelector(".legend").addEventListener("change", toggleAll);
  for (const button of document.querySelectorAll("[data-show]"))
    button.addEventListener("click", () => {
      choose(button.dataset.show);
      const box = document.querySelector("[data-toggle=examples]");
      box.checked = true;
      toggleAll();
      const [x, y, w, h] = button.dataset.box.split(" ").map(Number);
      const side = Math.max(w, h, 120 / data.metres);
      show(x + w / 2 - side * 0.85, y + h / 2 - side * 0.85, side * 1.7, side * 1.7);
      svg.scrollIntoView({ block: "nearest" });
    });

  const header = document.querySelector("header");
  new ResizeObserver(() => {
    document.body.style.setProperty("--header", `${header.offsetHeight}px`);
  }).observe(header);
  new ResizeObserver(() => {
    drawnUnits = 0;
    if (whole) return showAll();
    const w = unitsPerPixel * svg.clientWidth;
    const h = unitsPerPixel * svg.clientHeight;
    show(view.x + (view.w - w) / 2, view.y + (view.h - h) / 2, w, h);
  }).observe(svg);
  toggleAll();
  showAll();
})();
