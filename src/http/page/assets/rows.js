// Opens and closes the rows of metrics in place, and keeps the open ones up to date.
"use strict";

{
  // An open row asks no sooner again than after this many milliseconds.
  const pause = 2000;
  const asked = new Map();

  const row = (metric) => document.getElementById(`o-${metric}`);
  const isOpen = (metric) => row(metric)?.hidden === false;

  async function fill(metric) {
    asked.set(metric, Date.now());
    try {
      const answer = await fetch(`bands/${encodeURIComponent(metric)}`);
      if (!answer.ok || !row(metric)) return;
      const parts = document.createElement("template");
      parts.innerHTML = await answer.text();
      morphChildren(row(metric), parts.content);
    } catch {
      // The banner says that the server does not answer.
    }
  }

  function keep(metric) {
    const wait = (asked.get(metric) ?? 0) + pause - Date.now();
    if (wait <= 0) fill(metric);
    else if (!waiting.has(metric)) {
      waiting.add(metric);
      setTimeout(() => {
        waiting.delete(metric);
        if (isOpen(metric)) fill(metric);
      }, wait);
    }
  }
  const waiting = new Set();

  function toggle(link) {
    const metric = link.dataset.row;
    const opens = !isOpen(metric);
    row(metric).hidden = !opens;
    link.setAttribute("aria-expanded", opens);
    link.setAttribute("href", opens ? "./" : `./?open=${encodeURIComponent(metric)}`);
    // A reload shows the row that was opened last.
    history.replaceState(null, "", opens ? `./?open=${encodeURIComponent(metric)}` : "./");
    if (opens) fill(metric);
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-row]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    toggle(link);
  });

  document.addEventListener("fresh", () => {
    for (const link of document.querySelectorAll("a[data-row]")) if (isOpen(link.dataset.row)) keep(link.dataset.row);
  });
}
