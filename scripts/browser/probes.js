// What the tests ask of a page. They call one of these functions by its name.

function style(element, property) {
  return getComputedStyle(element)[property];
}

// How much wider than the window the page is, and what reaches beyond it.
function overflow() {
  const width = document.documentElement.clientWidth;
  const reaches = (it) => it.getBoundingClientRect().right > width + 1;
  const name = (it) => `${it.tagName} ${it.getAttribute("class") ?? ""} ${it.textContent.slice(0, 40)}`;
  const beyond = [...document.querySelectorAll("body *")].filter(reaches).map(name);
  return [document.documentElement.scrollWidth - width, beyond.slice(0, 5)];
}

// The sections of the page.
function sections() {
  return [...document.querySelectorAll("main > section")].map((it) => it.id);
}

// What the verdict says, and where each section begins, and each column of the metrics. All at one moment: the page may be
// updated between two calls.
function places() {
  const found = {};
  for (const it of document.querySelectorAll("main > section")) found[it.id] = it.getBoundingClientRect().top + scrollY;
  document.querySelectorAll(".metrics thead th").forEach((it, n) => (found[`column ${n}`] = it.getBoundingClientRect().left));
  return [document.querySelector("h1").innerText, document.getElementById("verdict").innerText, found];
}

// What has the focus, whether that shows, and whether the strip covers it; null if nothing has it.
function focus() {
  const it = document.activeElement;
  if (it === document.body) return null;
  const box = it.getBoundingClientRect();
  const strip = document.getElementById("strip").getBoundingClientRect();
  const isRinged = style(it, "outlineStyle") !== "none" && parseFloat(style(it, "outlineWidth")) >= 2;
  const isCovered = !it.closest(".strip, .skip") && box.top < strip.bottom && box.bottom > 0;
  return [`${it.tagName} ${it.id} ${it.className} ${it.innerText}`.trim(), isRinged, isCovered];
}

// The ground, and the colors of the marks that say something.
function colors() {
  const marks = {
    ".bar .canary": "fill",
    ".forest .zero": "stroke",
    ".forest .harmful": "stroke",
    ".forest .interval": "fill",
    ".forest .estimate": "fill",
    h1: "color",
  };
  const color = ([at, of]) => [at, document.querySelector(at) && style(document.querySelector(at), of)];
  return [style(document.body, "backgroundColor"), Object.entries(marks).map(color)];
}

// What moves by itself.
function moving() {
  const moves = (it) => parseFloat(style(it, "transitionDuration")) > 0 || style(it, "animationName") !== "none";
  return [...document.querySelectorAll("*")].filter(moves).map((it) => it.outerHTML.slice(0, 80));
}

// Whether none of these elements takes room.
function areGone(selector) {
  return [...document.querySelectorAll(selector)].every((it) => it.getClientRects().length === 0);
}

// The middle of an element, in view; null without one.
function middle(selector) {
  const it = document.querySelector(selector);
  if (!it) return null;
  it.scrollIntoView({ block: "center" });
  const box = it.getBoundingClientRect();
  return box.width ? [box.x + box.width / 2, box.y + box.height / 2] : null;
}

// What axe finds: impact, rule, and the first elements.
async function violations(runOnly) {
  const { violations } = await axe.run(document, { runOnly, resultTypes: ["violations"] });
  const nodes = (it) => it.nodes.slice(0, 3).map((node) => `${node.target.join(" ")}: ${node.failureSummary}`);
  return violations.map((it) => [it.impact, it.id, nodes(it)]);
}
