"use strict";
// Images by methods: as many as fit are in the page, more when one scrolls on.

const AT_ONCE = 24;
let found = [], drawnSoFar = 0;

const chosen = () => ({ m: Number(byId("sort").value), k: Number(byId("sortMethod").value) });

function passes(place) {
  const one = images[place], only = byId("only").value, { m, k } = chosen();
  if (byId("class").value !== "" && one.label !== byId("class").value) return false;
  const right = one.predicted[0][2] === one.index, value = saljax.values[m]?.[k]?.[place];
  return { small: one.small === true, right, wrong: !right, hit: value > 0, miss: value === 0, "": true }[only];
}

// How far methods are apart on an image, in units of the spread of the metric over all images.
function disagreement(m, place) {
  const values = methods.map((method, k) => (method.reference ? null : saljax.values[m][k][place])).filter(isNumber);
  return values.length > 1 ? Math.max(...values) - Math.min(...values) : null;
}

function keyOf(place) {
  const { m, k } = chosen(), order = byId("order").value;
  if (order === "differ") {
    const apart = disagreement(m, place);
    return isNumber(apart) ? -apart : null;
  }
  const value = saljax.values[m][k][place];
  return isNumber(value) ? (order === "best" ? -1 : 1) * sign(m) * value : null;
}

function rowOf(place) {
  const one = images[place], { m } = chosen(), [first, probability, index] = one.predicted[0];
  const said = index === one.index ? "" : `, seen as ${first} ${percent(probability)}`;
  const values = (k) => (byId("sort").value === "" ? "" : shownNumber(saljax.values[m][k][place]));
  const open = () => openDetail(place, found);
  return element("article", { class: "row" },
    element("button", { type: "button", class: "title", onclick: open },
      element("b", {}, one.label), ` ${percent(one.probability)}`,
      element("span", { class: index === one.index ? "" : "wrong" }, said),
      element("small", {}, ` ${one.image}`)),
    element("div", { class: "tiles", onclick: open },
      element("figure", {}, element("div", { class: "tile" }, pictureOf(place), ...boxesOf(place)),
        element("figcaption", {}, "picture")),
      ...methods.map((_, k) => element("figure", {}, tile(place, k),
        element("figcaption", {}, methodName(k), element("small", {}, ` ${values(k)}`))))));
}

function drawMore() {
  const next = found.slice(drawnSoFar, drawnSoFar + AT_ONCE);
  byId("grid").append(...next.map(rowOf));
  drawnSoFar += next.length;
  byId("more").hidden = drawnSoFar >= found.length;
}

function drawGrid() {
  const keys = new Map();
  found = images.map((_, place) => place).filter(passes);
  if (ofImages.length) {
    for (const place of found) keys.set(place, keyOf(place));
    const last = (place) => (isNumber(keys.get(place)) ? 0 : 1);
    found.sort((a, b) => last(a) - last(b) || keys.get(a) - keys.get(b) || a - b);
  }
  drawnSoFar = 0;
  byId("grid").replaceChildren();
  drawMore();
  const { k } = chosen(), only = byId("order").value === "differ" ? "" : ` of ${methods[k].name}`;
  const by = ofImages.length ? `, by ${byId("sort").selectedOptions[0].text}${only}` : "";
  const rest = saljax.total > images.length ? `, the first of ${saljax.total}` : "";
  byId("found").textContent = `${found.length} of ${images.length} images${rest}${by}`;
}

const classes = [...new Set(images.map((one) => one.label))].sort();
options(byId("class"), [["", "all"], ...classes.map((name) => [name, name])]);
options(byId("sort"), ofImages.map((m) => [m, metrics[m].name + arrow(metrics[m])]));
byId("sort").value = telling;
options(byId("sortMethod"), methods.map((method, k) => [k, method.name]));
for (const id of ["sort", "sortMethod", "order", "class", "only"]) byId(id).addEventListener("input", drawGrid);
byId("more").addEventListener("click", drawMore);
new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting) && drawnSoFar < found.length) drawMore();
}, { rootMargin: "600px" }).observe(byId("more"));
drawGrid();
