"""Every state of a rollout: what the page says, at every width, in light and dark, with and without scripts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .axe import violations
from .checks import check
from .checks import fits
from .checks import quiet
from .chromium import Chromium
from .chromium import Tab
from .serving import Serving
from .states import State

#: Pictures for the documents: what a window shows at first, by the state and the theme.
OF_DOCS = {
    ("holding", "light"),
    ("holding", "dark"),
    ("passing", "light"),
    ("harmful", "light"),
    ("rolled-back", "light"),
}
WINDOW = (1200, 800)

THEMES = ("light", "dark")
WIDTHS = (375, 1440)


def says(state: State, text: str) -> None:
    for words in (state.word, *state.says):
        check(words in text, f"{words!r} is not on the page: {' '.join(text.split())[:600]}")


def in_state(state: State, pictures: Path | None = None) -> Callable[[Serving, Chromium], None]:
    """The test of a state; its pictures are written into a folder, if one is given."""

    def test(serving: Serving, chromium: Chromium) -> None:
        look(state, serving, chromium, pictures)

    return test


def of_docs(state: State, tab: Tab, folder: Path) -> None:
    """The pictures of a state in the documents."""
    folder.mkdir(exist_ok=True)
    tab.size(*WINDOW)
    for theme in THEMES:
        if (state.name, theme) in OF_DOCS:
            tab.media(prefers_color_scheme=theme, prefers_reduced_motion="reduce")
            (folder / f"page-{state.name}-{theme}.png").write_bytes(tab.picture(whole=False))


def look(state: State, serving: Serving, chromium: Chromium, pictures: Path | None) -> None:
    """Reaches a state, and looks at its page from all sides."""
    with serving.started(state.name, state.token, **state.settings) as server, state.reach(server):
        with Tab(chromium) as tab:
            tab.open(server.url).wait("clock.textContent === 'up to date'")
            says(state, tab.text("body"))
            check(tab.text("h1").startswith(state.word), f"the verdict is {tab.text('h1')!r}, not {state.word}")
            # At once, because what follows may take so long that the state is another one.
            complete_without_scripts(state, server.url, tab.probe("sections"), chromium)
            if pictures is not None:
                of_docs(state, tab, pictures / "docs")
            from_all_sides(tab, server.url, state.name, pictures)


def from_all_sides(tab: Tab, url: str, name: str, pictures: Path | None) -> None:
    """Looks at a page at every width, in light and dark, or takes its pictures."""
    fits(tab)
    quiet(tab, url)
    for width in WIDTHS:
        tab.size(width)
        for theme in THEMES:
            # Colors that fade in would have too little contrast for a moment.
            tab.media(prefers_color_scheme=theme, prefers_reduced_motion="reduce")
            if pictures is not None:
                (pictures / f"{name}-{width}-{theme}.png").write_bytes(tab.picture())
                continue
            found = violations(tab, only_colors=theme != THEMES[0])
            check(not found, f"{name} at {width} px, {theme}: {found}")


def complete_without_scripts(state: State, url: str, sections: list[str], chromium: Chromium) -> None:
    with Tab(chromium, scripts=False) as tab:
        tab.open(url)
        says(state, tab.text("body"))
        found = tab.probe("sections")
        check(found == sections, f"without scripts there are {found}, not {sections}")
        check(tab.js("document.querySelector('meta[http-equiv=refresh]').content") == "5", "no refresh")
