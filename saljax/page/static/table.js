"use strict";
// The table: methods by metrics.

const NAMES = { all: "all", small: "small objects" };
const groups = [...new Set(metrics.map((metric) => metric.group))];
let sorted = { metric: metrics.findIndex((metric) => metric.better), best: true };

function cellOf(subset, m, k) {
  const cell = saljax.table[subset][m][k];
  return cell && isNumber(cell.mean) ? cell : null;
}

function ranksOf(subset, m) {
  const means = methods.map((_, k) => cellOf(subset, m, k)?.mean);
  return means.map((one) => {
    if (!isNumber(one) || !metrics[m].better) return null;
    const better = means.filter((other) => isNumber(other) && sign(m) * (other - one) > 0).length;
    const equal = means.filter((other) => other === one).length;
    return better + (equal + 1) / 2;
  });
}

function contents(subset, m, k, rank) {
  const cell = cellOf(subset, m, k), shown = byId("shown").value;
  if (!cell) return element("td", {}, "–");
  const error = isNumber(cell.error) ? ` ± ${shownNumber(cell.error)}` : "";
  const whole = `${methods[k].name}, ${metrics[m].name}: ${shownNumber(cell.mean)}${error}, `
    + `n = ${cell.images}${cell.note ? `, ${cell.note}` : ""}`;
  if (shown === "center" || shown === "best") {
    const found = cell[shown];
    if (!found) return element("td", { title: whole }, rank === 1 && shown === "best" ? "best" : "–");
    const [mean, low, high, verdict] = found;
    const plus = mean > 0 ? "+" : "";
    const interval = isNumber(low) ? ` (${shownNumber(low)} to ${shownNumber(high)})` : "";
    const kind = { better: "good", worse: "bad" }[verdict] || "same";
    return element("td", { class: kind, title: `${verdict}; ${whole}` },
      `${plus}${shownNumber(mean)}`, element("small", {}, interval), element("small", {}, ` ${verdict}`));
  }
  if (shown === "rank") return element("td", { title: whole }, isNumber(rank) ? String(rank) : "–");
  const means = methods.map((_, other) => cellOf(subset, m, other)?.mean).filter(isNumber);
  const differ = metrics[m].better && new Set(means).size > 1;
  const isBest = differ && means.every((other) => sign(m) * (cell.mean - other) >= 0);
  const isLike = differ && cell.best?.[3] === "not different";
  const value = element(isBest ? "b" : isLike ? "i" : "span", {}, shownNumber(cell.mean));
  const center = cell.center ? `; against center: ${cell.center[3]}` : "";
  return element("td", { title: whole + center }, value, element("small", {}, error),
    rank ? element("sub", { title: "rank" }, String(rank)) : null);
}

function drawTable() {
  const subset = byId("subset").value, group = byId("group").value;
  const chosen = metrics.map((_, m) => m).filter((m) => !group || metrics[m].group === group);
  const order = methods.map((_, k) => k).sort((a, b) => {
    const [x, y] = [a, b].map((k) => cellOf(subset, sorted.metric, k)?.mean);
    if (!isNumber(x) || !isNumber(y)) return isNumber(y) - isNumber(x) || a - b;
    return (sorted.best ? 1 : -1) * sign(sorted.metric) * (y - x) || a - b;
  });
  const sort = (m) => (m !== sorted.metric ? "none"
    : sorted.best === (metrics[m].better === "lower") ? "ascending" : "descending");
  const heads = chosen.map((m) => element("th", { scope: "col", "aria-sort": sort(m) },
    element("button", { type: "button", title: metrics[m].group, onclick: () => {
      sorted = { metric: m, best: sorted.metric === m ? !sorted.best : true };
      drawTable();
      byId("numbers").querySelectorAll("thead button")[chosen.indexOf(m)].focus();
    } }, metrics[m].name + arrow(metrics[m]))));
  const ranks = Object.fromEntries(chosen.map((m) => [m, ranksOf(subset, m)]));
  const rows = order.map((k) => element("tr", { class: methods[k].reference ? "reference" : "" },
    element("th", { scope: "row" }, methods[k].name),
    ...chosen.map((m) => contents(subset, m, k, ranks[m][k])),
    element("td", {}, isNumber(methods[k].seconds) ? methods[k].seconds.toPrecision(2) : "–")));
  byId("numbers").replaceChildren(
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "method"), ...heads,
      element("th", { scope: "col" }, "seconds an image"))),
    element("tbody", {}, ...rows));
}

options(byId("subset"), Object.keys(saljax.table).map((name) => [name, NAMES[name] || name]));
options(byId("group"), [["", "all"], ...groups.map((name) => [name, name])]);
for (const id of ["subset", "group", "shown"]) byId(id).addEventListener("input", drawTable);
drawTable();
