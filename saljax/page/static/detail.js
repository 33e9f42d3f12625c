"use strict";
// One image: large pictures, what the classifier says, all values and curves.

const detail = byId("detail");
let inDetail = [], placeInDetail = 0;

function loadCurves(place) {
  const first = place - (place % saljax.curvesAtOnce);
  return new Promise((done) => {
    if (saljaxCurves[first] || !saljax.curves.length) {
      done(saljaxCurves[first]);
      return;
    }
    document.body.append(element("script", { src: `curves/${first}.js`,
      onload: () => done(saljaxCurves[first]), onerror: () => done(undefined) }));
  });
}

function valuesTable(place) {
  const rows = ofImages.map((m) => {
    const values = methods.map((_, k) => saljax.values[m][k][place]);
    const there = values.filter(isNumber).map((value) => sign(m) * value);
    const best = metrics[m].better && there.length ? Math.max(...there) : null;
    return element("tr", {}, element("th", { scope: "row" }, metrics[m].name + arrow(metrics[m])),
      ...values.map((value) => element("td", {}, isNumber(value) && sign(m) * value === best
        ? element("b", {}, shownNumber(value)) : shownNumber(value))));
  });
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Values of this image" },
    element("table", {}, element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "metric"),
      ...methods.map((_, k) => element("th", { scope: "col" }, methodName(k))))),
    element("tbody", {}, ...rows)));
}

function sawAs(place) {
  const one = images[place];
  const rows = one.predicted.map(([name, value, index]) => element("li",
    { class: index === one.index ? "expected" : "" }, `${name} ${percent(value)}`));
  return [element("p", {}, "Explained: ", element("b", {}, one.label), ` ${percent(one.probability)}`,
    one.small ? "; a small object" : ""), element("p", {}, "The classifier sees:"),
  element("ol", { class: "predicted" }, ...rows)];
}

function curvesOf(place, found) {
  const offset = place % saljax.curvesAtOnce;
  const figures = saljax.curves.map((curve, c) => panel(curve.name, curve.along, curve.at,
    methods.map((_, k) => ({ k, values: found[c][k][offset] ?? [null] }))));
  return [element("div", { class: "panels" }, ...figures), legend(methods.map((_, k) => k))];
}

function showDetail(place) {
  placeInDetail = place;
  const number = inDetail.indexOf(place) + 1;
  const below = element("div", {});
  const step = (by, text) => element("button", { type: "button", onclick: () => stepDetail(by) }, text);
  detail.replaceChildren(
    element("div", { class: "bar" }, step(-1, "← previous"), step(1, "next →"),
      element("span", { class: "small" }, `${number} of ${inDetail.length}`),
      element("button", { type: "button", onclick: () => detail.close() }, "close")),
    element("h2", { id: "detailTitle" }, images[place].image),
    ...sawAs(place),
    element("div", { class: "large" }, element("figure", {},
      element("div", { class: "tile" }, pictureOf(place), ...boxesOf(place)), element("figcaption", {}, "picture")),
    ...methods.map((_, k) => element("figure", {}, tile(place, k), element("figcaption", {}, methodName(k))))),
    valuesTable(place), below);
  if (!detail.open) detail.showModal();
  detail.scrollTop = 0;
  loadCurves(place).then((found) => {
    if (found && placeInDetail === place) below.replaceChildren(...curvesOf(place, found));
  });
}

function stepDetail(by) {
  const at = inDetail.indexOf(placeInDetail) + by;
  if (at < 0 || at >= inDetail.length) return;
  showDetail(inDetail[at]);
  detail.querySelectorAll(".bar button")[by < 0 ? 0 : 1].focus(); // its own was drawn anew
}

function openDetail(place, order) {
  inDetail = order;
  showDetail(place);
}

detail.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by && !event.target.closest(".scroll, select, input")) stepDetail(by);
});
