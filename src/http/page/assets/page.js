// Keeps the page up to date: the server sends the parts that have changed.
"use strict";

const root = document.documentElement;
const clock = document.getElementById("clock");
let heard = Date.now();
let stream = null;
let isConnected = false;
// Why the server sends this page no news, in its own words.
let refusal = "";

// Changes only what differs, so that focus stays, and a screen reader speaks only new words. What is marked with
// data-keep is filled by another script.
function morph(old, fresh) {
  if (old.isEqualNode(fresh) || old.dataset?.keep !== undefined) return;
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.data = fresh.data;
    return;
  }
  // What the reader has opened stays open.
  const isKept = (name) => name === "open" && old.nodeName === "DETAILS";
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !isKept(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  morphChildren(old, fresh);
}

// Children with an id are paired by it, so that a row that comes, goes or moves takes nothing from another one.
function morphChildren(old, fresh) {
  let place = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const twin = child.id ? [...old.children].find(({ id }) => id === child.id) : place && !place.id ? place : null;
    if (!twin) {
      old.insertBefore(child, place);
      continue;
    }
    if (twin === place) place = place.nextSibling;
    else old.insertBefore(twin, place);
    morph(twin, child);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function take(html) {
  const focused = document.activeElement;
  const parts = document.createElement("template");
  parts.innerHTML = html;
  for (const part of [...parts.content.children]) {
    const old = document.getElementById(part.id);
    if (old) morph(old, part);
  }
  // What moves loses the focus.
  if (document.activeElement !== focused && focused.isConnected) focused.focus({ preventScroll: true });
  name();
  countDown();
  document.dispatchEvent(new Event("fresh"));
}

// How far the server's clock is ahead of the browser's, which may be wrong.
const [loaded] = performance.getEntriesByType("navigation");
const ahead = Number(document.body.dataset.now) - performance.timeOrigin - (loaded?.responseStart ?? 0);

// As the server writes durations.
function duration(seconds) {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours >= 48) return `${Math.floor((hours + 12) / 24)} days`;
  return [hours && `${hours} h`, minutes % 60 && `${minutes % 60} min`].filter(Boolean).join(" ");
}

// How long it is to the time of what happens next.
function countDown() {
  for (const time of document.querySelectorAll("time.left")) {
    const seconds = (Date.parse(time.dateTime) - Date.now() - ahead) / 1000;
    time.textContent = seconds > 0 ? `in ${duration(seconds)}` : "now";
  }
}

// The title says how the rollout is doing, for those who have the page in another tab.
function name() {
  document.title = document.getElementById("verdict").dataset.title;
}

function hear() {
  heard = Date.now();
  isConnected = true;
  refusal = "";
  tell();
}

// The server is heard every five seconds at least. After ten seconds of silence the figures are old.
function tell() {
  const seconds = Math.round((Date.now() - heard) / 1000);
  const isStale = refusal !== "" || seconds >= 10;
  document.body.classList.toggle("stale", isStale);
  document.getElementById("banner").hidden = !isStale;
  document.getElementById("no-news").hidden = refusal !== "";
  document.getElementById("refusal").textContent = refusal;
  clock.textContent = isStale ? `nothing new for ${seconds} s` : isConnected ? "up to date" : "connecting";
}

function connect() {
  stream?.close();
  isConnected = false;
  const events = new EventSource("live");
  stream = events;
  events.onmessage = (event) => {
    take(event.data);
    hear();
    if (document.hidden) events.close();
  };
  events.addEventListener("beat", hear);
  // A browser opens a broken stream again, but not one that was refused: by a server that stops, or has too many pages.
  events.onerror = () => {
    if (events.readyState !== EventSource.CLOSED) return;
    explain();
    setTimeout(() => events === stream && connect(), 5000);
  };
}

// The stream does not say why it was refused.
async function explain() {
  const asked = new AbortController();
  const answer = await fetch("live", { signal: asked.signal }).catch(() => null);
  const problem = answer && !answer.ok ? await answer.json().catch(() => ({})) : {};
  asked.abort();
  refusal = problem.detail ?? "";
  tell();
}

name();
countDown();
connect();
setInterval(() => {
  tell();
  countDown();
}, 1000);
// A browser opens six connections to a server, so a page that nobody sees does not keep one, and only looks in for its
// title.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return stream.close();
  // Two seconds for the first news.
  heard = Math.max(heard, Date.now() - 8000);
  connect();
});
setInterval(() => document.hidden && connect(), 15000);
