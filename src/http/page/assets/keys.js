// Keys: each opens a panel, and nothing is sent before that is confirmed. They can be switched off, and are silent while
// a field has the focus.
"use strict";

{
  const panels = { r: "act-rollback-canary", p: "act-promote-canary", s: "act-set-traffic" };
  const list = document.getElementById("keys");
  const button = document.getElementById("keys-button");
  const isOn = document.getElementById("keys-on");
  isOn.checked = sessionStorage.getItem("keys") !== "off";
  isOn.addEventListener("change", () => sessionStorage.setItem("keys", isOn.checked ? "on" : "off"));

  function show(shows) {
    list.hidden = !shows;
    button.setAttribute("aria-expanded", shows);
  }

  button.addEventListener("click", () => show(list.hidden));
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#keys, #keys-button")) show(false);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !list.hidden) {
      show(false);
      button.focus();
    }
    const isOfField = event.target.closest("input, select, textarea");
    if (!isOn.checked || isOfField || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.key === "?") return show(list.hidden);
    const act = document.querySelector(`[data-opens="${panels[event.key.toLowerCase()]}"]`);
    // Without a token there are none to see.
    if (!act?.getClientRects().length) return;
    event.preventDefault();
    act.click();
  });
}
