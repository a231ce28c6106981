// Light or dark, as the system is until somebody chooses; the choice is kept while the tab is open. Runs before the page
// is drawn.
"use strict";
{
  const root = document.documentElement;
  const chosen = sessionStorage.getItem("theme");
  if (chosen) root.dataset.theme = chosen;
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    sessionStorage.setItem("theme", root.dataset.theme);
  });
}
