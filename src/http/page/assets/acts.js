// Acts: a button opens its panel, and the panel sends the command.
"use strict";

const access = document.body.dataset.access;
let token = "";
let opened = "";
// The revision when the panel was opened: what the person saw, and decided on.
let seen = "";
let isSending = false;

// The server's updates close all panels; this opens again the one that was open.
function showPanel() {
  for (const panel of document.querySelectorAll("form.confirm")) panel.hidden = panel.id !== opened;
  for (const button of document.querySelectorAll("[data-opens]")) button.setAttribute("aria-expanded", button.dataset.opens === opened);
  if (opened && !document.getElementById(opened)) {
    opened = "";
    say("The rollout has changed, so this is no longer possible.", true);
  }
}

function say(text, isBad) {
  const said = document.getElementById("said");
  said.textContent = text;
  said.className = isBad ? "fails" : "";
}

function shown() {
  return document.getElementById("notes").dataset.revision;
}

function open(panel) {
  opened = panel;
  seen = shown();
  say("");
  showPanel();
}

function allow(may) {
  root.classList.toggle("can-act", may);
  document.getElementById("token").hidden = may || access !== "token";
}

function headers() {
  return token ? { authorization: `Bearer ${token}` } : {};
}

// The fields of a form as the members of a JSON object; what is empty is left out.
function body(form) {
  const members = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") {
      if (field.checked) members[field.name] = true;
    } else if (field.type === "number") {
      if (field.value !== "") members[field.name] = Number(field.value);
    } else if (field.value.trim() !== "") {
      members[field.name] = field.type === "hidden" && field.value === "true" ? true : field.value.trim();
    }
  }
  return members;
}

async function send(form) {
  // A second click would be told that somebody else was faster.
  if (isSending) return;
  isSending = true;
  await answered(form);
  isSending = false;
}

async function answered(form) {
  const revision = (form.id === opened && seen) || shown();
  let answer;
  try {
    answer = await fetch(form.action, {
      method: "POST",
      headers: { ...headers(), "content-type": "application/json", "if-match": `"${revision}"` },
      body: JSON.stringify(body(form)),
    });
  } catch {
    return say("The server did not answer. Reload the page to see whether the command took effect.", true);
  }
  const result = await answer.json().catch(() => ({}));
  if (answer.ok) {
    opened = "";
    showPanel();
    const done = result.headline ? `Done. ${result.headline}` : "Done.";
    say(done);
    // The page shows the rest, which may soon be another.
    setTimeout(() => document.getElementById("said").textContent === done && say(""), 10000);
  } else if (answer.status === 401) {
    refuse();
  } else if (answer.status === 412) {
    // Whoever sends it again has looked again.
    seen = "";
    say(`Someone was faster: ${await since(revision)}. Nothing was done; look again, then decide.`, true);
  } else {
    say(result.detail ?? `The server refused this with status ${answer.status}.`, true);
  }
  document.getElementById("said").scrollIntoView({ block: "nearest" });
}

// What the journal has after a revision.
async function since(revision) {
  const answer = await fetch(`admin/history?after=${revision}`, { headers: headers() }).catch(() => null);
  const history = answer?.ok ? await answer.json() : { entries: [] };
  return history.entries.at(-1)?.sentence ?? "the rollout has changed since this page was updated";
}

function refuse() {
  token = "";
  opened = "";
  showPanel();
  allow(false);
  say("The server refused this token.", true);
}

// A header carries the token: fetch() throws where a character cannot be in one, which looks like a silent server.
function unsendable(token) {
  return [...token].find((letter) => letter < "!" || letter > "~");
}

async function enter(field) {
  const given = field.value.trim();
  const wrong = unsendable(given);
  if (wrong !== undefined) {
    const name = wrong === " " ? "a space" : `the character ${wrong}`;
    return say(`The token was not sent: it has ${name}, which no token of serin has. Enter it again.`, true);
  }
  token = given;
  field.value = "";
  const answer = await fetch("admin/status", { headers: headers() }).catch(() => null);
  if (!answer) return say("The server did not answer.", true);
  if (answer.status === 401) return refuse();
  say("");
  allow(true);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-opens], [data-cancel]");
  if (!button) return;
  const panel = button.dataset.opens ?? "";
  open(panel === opened ? "" : panel);
  document.getElementById(opened)?.querySelector("input:not([type=hidden]), [type=submit]").focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !opened) return;
  const panel = opened;
  open("");
  document.querySelector(`[data-opens="${panel}"]`)?.focus();
});
document.addEventListener("submit", (event) => {
  if (event.target.id === "token") {
    event.preventDefault();
    enter(document.getElementById("token-field"));
  } else if (event.target.matches("[data-act]")) {
    event.preventDefault();
    send(event.target);
  }
});
document.addEventListener("fresh", showPanel);

allow(access === "open");
if (access === "closed") say("This server listens to the network without a token, so nobody can act here; start it with --admin-token.");
