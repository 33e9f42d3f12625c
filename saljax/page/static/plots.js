"use strict";
// Curves, distributions and the likeness of methods.

const WIDTH = 360, HEIGHT = 230, LEFT = 44, BOTTOM = 34, TOP = 8, RIGHT = 10;

function scale(low, high, from, to) {
  const span = high > low ? high - low : 1;
  return (value) => from + ((value - low) / span) * (to - from);
}

function ticks(low, high, most = 5) {
  const rough = (high - low) / most || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((one) => one >= rough);
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step / 1e6; at += step) found.push(at);
  return found.map((at) => Number(at.toPrecision(6)));
}

function axes(x, y, across, up, along) {
  const made = drawn("g", { class: "axes" });
  for (const at of across) {
    const text = drawn("text", { x: x(at), y: HEIGHT - BOTTOM + 14, "text-anchor": "middle" });
    text.textContent = at;
    made.append(text);
  }
  for (const at of up) {
    const text = drawn("text", { x: LEFT - 6, y: y(at) + 4, "text-anchor": "end" });
    text.textContent = at;
    made.append(text, drawn("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(at), y2: y(at) }));
  }
  const label = drawn("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" });
  label.textContent = along;
  made.append(label);
  return made;
}

// Curves of methods: [{k, values, errors}], in one panel.
function panel(title, along, at, lines) {
  const whole = lines.filter((line) => line.values.every(isNumber));
  const all = whole.flatMap((line) => line.values);
  const low = Math.min(0, ...all), high = Math.max(...all, low + 1e-6);
  const x = scale(at[0], at[at.length - 1], LEFT, WIDTH - RIGHT), y = scale(low, high, HEIGHT - BOTTOM, TOP);
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title });
  svg.append(axes(x, y, ticks(at[0], at[at.length - 1]), ticks(low, high), along));
  for (const { k, values, errors } of whole) {
    const path = (ys) => ys.map((v, i) => `${x(at[i]).toFixed(1)},${y(v).toFixed(1)}`);
    if (errors?.every(isNumber)) {
      const above = path(values.map((v, i) => v + errors[i]));
      const below = path(values.map((v, i) => v - errors[i])).reverse();
      svg.append(drawn("polygon", { points: [...above, ...below].join(" "), fill: colorOf[k], opacity: 0.13 }));
    }
    const line = drawn("polyline", { points: path(values).join(" "), fill: "none", stroke: colorOf[k],
      "stroke-width": 1.6, "stroke-dasharray": dashOf[k] });
    line.append(drawn("title"));
    line.firstChild.textContent = methods[k].name;
    svg.append(line);
  }
  return element("figure", {}, element("figcaption", {}, title), svg);
}

function legend(chosen) {
  return element("p", { class: "legend" }, ...chosen.map((k) => element("span", {},
    element("i", { style: `border-top:3px ${{ none: "solid", "6 3": "dashed" }[dashOf[k]] || "dotted"} ${colorOf[k]}` }),
    methods[k].name)));
}

function drawCurves() {
  if (!saljax.curves.length) {
    byId("curves").hidden = true;
    document.querySelector('a[href="#curves"]').hidden = true;
    return;
  }
  const places = Object.fromEntries(methods.map((method, k) => [method.name, k]));
  byId("lines").replaceChildren(...saljax.curves.map((curve) => panel(curve.name, curve.along, curve.at,
    Object.keys(curve.means).map((name) => (
      { k: places[name], values: curve.means[name], errors: curve.errors[name] })))));
  byId("lines").after(legend(methods.map((_, k) => k)));
}

const quantile = (ordered, q) => {
  const at = q * (ordered.length - 1), low = Math.floor(at);
  return ordered[low] + (at - low) * ((ordered[low + 1] ?? ordered[low]) - ordered[low]);
};
const MOST_DOTS = 400;

function drawSpread() {
  const m = Number(byId("spread").value);
  const values = methods.map((_, k) => saljax.values[m][k].filter(isNumber).sort((a, b) => a - b));
  const low = Math.min(...values.map((v) => v[0] ?? Infinity));
  const high = Math.max(...values.map((v) => v[v.length - 1] ?? -Infinity));
  const row = 26, wide = 720, left = 150, tall = row * methods.length + 30;
  const svg = drawn("svg", { viewBox: `0 0 ${wide} ${tall}`, role: "img",
    "aria-label": `Distribution of ${metrics[m].name}` });
  if (low <= high) {
    const x = scale(low, high, left, wide - 12);
    for (const at of ticks(low, high, 6)) {
      const text = drawn("text", { x: x(at), y: tall - 8, "text-anchor": "middle" });
      text.textContent = at;
      svg.append(drawn("line", { class: "rule", x1: x(at), x2: x(at), y1: 0, y2: tall - 22 }), text);
    }
    values.forEach((own, k) => {
      const y = row * k + row / 2, name = drawn("text", { x: left - 8, y: y + 4, "text-anchor": "end" });
      name.textContent = methods[k].name;
      svg.append(name);
      if (!own.length) return;
      const step = Math.max(1, Math.floor(own.length / MOST_DOTS));
      for (let i = 0; i < own.length; i += step) {
        svg.append(drawn("circle", { cx: x(own[i]), cy: y + ((i * 7) % 11) - 5, r: 1.6, fill: colorOf[k], opacity: 0.35 }));
      }
      const [q1, q2, q3] = [0.25, 0.5, 0.75].map((q) => x(quantile(own, q)));
      const mean = x(own.reduce((a, b) => a + b, 0) / own.length);
      svg.append(drawn("rect", { x: q1, y: y - 7, width: Math.max(q3 - q1, 0.5), height: 14, fill: "none", stroke: colorOf[k] }),
        drawn("line", { x1: q2, x2: q2, y1: y - 7, y2: y + 7, stroke: colorOf[k], "stroke-width": 2.5 }),
        drawn("path", { d: `M${mean} ${y - 5}l5 5l-5 5l-5 -5z`, class: "mean" }));
    });
  }
  byId("dots").replaceChildren(svg);
  drawCorrelation(m);
}

function ranked(values) {
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]), found = [];
  for (let i = 0; i < order.length;) {
    let end = i;
    while (end < order.length && values[order[end]] === values[order[i]]) end += 1;
    for (let j = i; j < end; j += 1) found[order[j]] = (i + end - 1) / 2;
    i = end;
  }
  return found;
}

function spearman(first, second, ranks) {
  let [x, y] = ranks;
  if (!x || !y) {
    const both = first.map((_, i) => i).filter((i) => isNumber(first[i]) && isNumber(second[i]));
    [x, y] = [first, second].map((values) => ranked(both.map((i) => values[i])));
  }
  const middle = (x.length - 1) / 2;
  const sum = (a, b) => a.reduce((total, v, i) => total + (v - middle) * (b[i] - middle), 0);
  const spread = Math.sqrt(sum(x, x) * sum(y, y));
  return spread > 0 ? sum(x, y) / spread : null;
}

function drawCorrelation(m) {
  const whole = saljax.values[m].map((values) => (values.every(isNumber) ? ranked(values) : null));
  const rows = methods.map((method, k) => element("tr", {}, element("th", { scope: "row" }, method.name),
    ...methods.map((_, other) => {
      const value = spearman(saljax.values[m][k], saljax.values[m][other], [whole[k], whole[other]]);
      const strength = isNumber(value) ? Math.round(70 * Math.abs(value)) : 0;
      const style = `background:color-mix(in srgb, ${value < 0 ? "#3b6fb6" : "#c4473a"} ${strength}%, transparent)`;
      return element("td", { style }, isNumber(value) ? value.toFixed(2).replace("-", MINUS) : "–");
    })));
  byId("correlation").replaceChildren(
    element("thead", {}, element("tr", {}, element("td"),
      ...methods.map((method) => element("th", { scope: "col" }, method.name)))),
    element("tbody", {}, ...rows));
}

drawCurves();
options(byId("spread"), ofImages.map((m) => [m, metrics[m].name]));
byId("spread").value = telling;
byId("spread").addEventListener("input", drawSpread);
if (ofImages.length) drawSpread();
