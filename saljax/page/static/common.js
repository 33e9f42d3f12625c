"use strict";
// What all parts of the page share: elements, numbers, colors.

const saljaxCurves = {};
const byId = (id) => document.getElementById(id);
const methods = saljax.methods, metrics = saljax.metrics, images = saljax.images;
const isNumber = (value) => value !== null && value !== undefined;
const ofImages = metrics.map((_, m) => m).filter((m) => metrics[m].ofImages);
// The first metric that is more than a hit or a miss.
const telling = ofImages.find((m) => new Set(saljax.values[m].flat().filter(isNumber)).size > 2) ?? ofImages[0];
const MINUS = "\u2212";

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && isNumber(value)) made.setAttribute(name, value);
  }
  made.append(...children.filter(isNumber));
  return made;
}

function drawn(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function options(select, pairs) {
  select.replaceChildren(...pairs.map(([value, text]) => element("option", { value }, text)));
}

function shownNumber(value, digits = 3) {
  if (!isNumber(value)) return "–";
  const size = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : digits;
  return value.toFixed(size).replace("-", MINUS);
}

function percent(value) {
  if (!isNumber(value)) return "–";
  if (value > 0 && value < 0.001) return "< 0.1 %";
  if (value > 0.999 && value < 1) return "> 99.9 %";
  return `${(100 * value).toFixed(1)} %`;
}

function arrow(metric) {
  return { higher: " ↑", lower: " ↓" }[metric.better] || "";
}

// +1 where a larger value is better, -1 where a smaller one is; larger first where neither is.
const sign = (m) => (metrics[m].better === "lower" ? -1 : 1);

const PALETTE = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2",
  "#bcbd22", "#17becf", "#3b3eac", "#0b6623", "#b8860b"];
let taken = 0;
const colorOf = methods.map((m) => (m.reference ? "#8a8a8a" : PALETTE[taken++ % PALETTE.length]));
const dashOf = methods.map((m, k) => (m.reference ? (k % 2 ? "2 3" : "6 3") : "none"));

function methodName(k) {
  return element("span", { class: methods[k].reference ? "reference" : "" }, methods[k].name);
}

// Gray maps get their colors from filters: a page from disk may not read the pixels of pictures.
function filter(name, samples, alpha) {
  const made = drawn("filter", { id: name, "color-interpolation-filters": "sRGB",
    x: "0", y: "0", width: "1", height: "1" });
  const rows = ["1 0 0 0 0", "1 0 0 0 0", "1 0 0 0 0", alpha ? "1 0 0 0 0" : "0 0 0 1 0"];
  made.append(drawn("feColorMatrix", { type: "matrix", values: rows.join(" ") }));
  const transfer = drawn("feComponentTransfer");
  ["R", "G", "B"].forEach((channel, i) => transfer.append(
    drawn(`feFunc${channel}`, { type: "table", tableValues: samples[i].join(" ") })));
  if (alpha) transfer.append(drawn("feFuncA", { type: "table", tableValues: alpha }));
  made.append(transfer);
  return made;
}

const GLOW = "0 0.55 0.8 0.95 1", GLOW_SIGNED = "1 0.8 0 0.8 1";
for (const [name, samples] of Object.entries(saljax.colors)) {
  const both = name === saljax.signedColors;
  document.querySelector("svg.filters").append(
    filter(name, samples, ""), filter(`${name}-glow`, samples, both ? GLOW_SIGNED : GLOW));
}

function pictureOf(place) {
  if (place >= saljax.shown) return element("span", { class: "none" }, "no picture");
  return element("img", { src: `photo/${place}.jpg`, loading: "lazy", alt: images[place].image,
    onerror: (event) => event.target.replaceWith(element("span", { class: "none" }, "not there")) });
}

function boxesOf(place) {
  return images[place].boxes.map(([x1, y1, x2, y2]) => element("span", { class: "box",
    style: `left:${100 * x1}%;top:${100 * y1}%;width:${100 * (x2 - x1)}%;height:${100 * (y2 - y1)}%` }));
}

// One of the maps that lie side by side in a picture.
function mapOf(place, k) {
  const across = methods.length > 1 ? (100 * k) / (methods.length - 1) : 0;
  const style = `background-image:url(maps/${place}.jpg);background-size:${100 * methods.length}% 100%;`
    + `background-position:${across}% 0`;
  return element("div", { class: methods[k].signed ? "map signed" : "map", style });
}

function tile(place, k) {
  return element("div", { class: "tile" }, pictureOf(place),
    place < saljax.shown ? mapOf(place, k) : null, ...boxesOf(place));
}

function recolor() {
  const glow = byId("glow").checked ? "-glow" : "", root = document.documentElement.style;
  root.setProperty("--opacity", byId("opacity").value);
  root.setProperty("--colors", `url(#${byId("colors").value}${glow})`);
  root.setProperty("--signed", `url(#${saljax.signedColors}${glow})`);
  document.body.classList.toggle("unboxed", !byId("boxes").checked);
}

options(byId("colors"), Object.keys(saljax.colors).filter((n) => n !== saljax.signedColors)
  .map((name) => [name, name]));
for (const id of ["opacity", "colors", "glow", "boxes"]) byId(id).addEventListener("input", recolor);
recolor();
