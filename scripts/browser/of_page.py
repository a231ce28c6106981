"""The page changes by itself, says when it is old, and serves everybody: by keyboard, on paper, in any colors."""

from __future__ import annotations

import http.client
import re
import time
import urllib.parse
from contextlib import ExitStack

from .checks import check
from .checks import fits
from .checks import quiet
from .chromium import Chromium
from .chromium import Tab
from .serving import Serin
from .serving import Serving
from .states import FILE
from .states import TAIL
from .states import WIDE
from .states import plan

#: Pages that a server keeps up to date.
MOST = 32

TAB, ENTER = ("Tab", 9), ("Enter", 13)

#: What a browser tells a page that goes behind another one, and comes back.
SEEN = "Object.defineProperty(document, 'hidden', {{ value: {}, configurable: true }});"
SEEN += "document.dispatchEvent(new Event('visibilitychange'))"
HIDE, SHOW = SEEN.format("true"), SEEN.format("false")

UP_TO_DATE = "clock.textContent === 'up to date'"


def opened(chromium: Chromium, server: Serin) -> Tab:
    """The page, once it hears the server. The mark is gone if it is loaded again."""
    tab = Tab(chromium).open(server.url)
    tab.wait(UP_TO_DATE)
    tab.js("globalThis.mark = 1")
    return tab


def it_changes_without_reload(serving: Serving, chromium: Chromium) -> None:
    with serving.started("changes") as server, opened(chromium, server) as tab:
        check(tab.text("h1").startswith("No canary"), tab.text("h1"))
        server.client.deploy(FILE, plan=plan(5, 10, 50, bake="1h"))
        tab.wait("document.querySelector('h1').innerText.startsWith('Waiting')")
        measured = "document.querySelector('#traffic dl').innerText"
        with server.traffic():
            tab.wait(f"/\\([\\d,]+ of [\\d,]+\\)/.test({measured})")
            before = tab.js(measured)
            tab.wait(f"{measured} !== {before!r}")
            tab.wait("document.querySelector('#m-failures .a').innerText.includes('%')")
        server.client.rollback("seen enough")
        tab.wait("document.querySelector('h1').innerText.startsWith('Rolled back')")
        tab.wait("document.querySelector('#timeline').innerText.includes('seen enough')")
        check(tab.js("globalThis.mark") == 1, "the page was loaded again")
        quiet(tab, server.url)


def nothing_jumps(serving: Serving, chromium: Chromium) -> None:
    with serving.started("jumps") as server:
        server.client.deploy(FILE, plan=plan(5, 10, 50, bake="1h"))
        with server.traffic():
            server.until("holding", "healthy")
            for width in [375, 1440]:
                with opened(chromium, server) as tab:
                    tab.size(width)
                    text, before = tab.text("#traffic dl"), tab.probe("places")
                    end = time.monotonic() + 4
                    while time.monotonic() < end:
                        after = tab.probe("places")
                        # Another sentence may need another number of lines.
                        if before[:2] == after[:2]:
                            moved = {
                                it: (top, after[2].get(it)) for it, top in before[2].items() if top != after[2].get(it)
                            }
                            check(not moved, f"at {width} px these have moved: {moved}")
                        before = after
                        time.sleep(0.1)
                    check(tab.text("#traffic dl") != text, "nothing has changed")


def it_counts_down_to_what_happens_next(serving: Serving, chromium: Chromium) -> None:
    left, words = "document.querySelector('time.left').innerText", "document.querySelector('.next > div')"
    with serving.started("countdown") as server:
        server.client.deploy(FILE, plan=plan(10, 50, bake="80s"))
        with opened(chromium, server) as tab:
            for width in [375, 1440]:
                tab.size(width)
                place = f"JSON.stringify({words}.getBoundingClientRect())"
                before, at = tab.js(left), tab.js(place)
                check(re.fullmatch(r"in \d\d s", before), f"the countdown says {before!r}")
                tab.wait(f"{left} !== {before!r}", 3)
                check(tab.js(place) == at, "the countdown moves what is beside it")
        with Tab(chromium, scripts=False) as tab:
            tab.open(server.url)
            check(tab.js(left) == "", "the countdown is not kept up to date without scripts")
            check(re.search(r"50 % at \d\d:\d\d:\d\d UTC", tab.text(".next")), tab.text(".next"))


def what_is_opened_stays_open(serving: Serving, chromium: Chromium) -> None:
    with serving.started("details", metrics=[WIDE, TAIL]) as server:
        server.client.deploy(FILE, traffic_percent=50)
        with server.traffic():
            server.until("healthy")
        server.client.promote()
        with opened(chromium, server) as tab:
            check("difference" not in tab.text("#timeline"), tab.text("#timeline"))
            tab.click("#timeline summary")
            tab.wait("document.querySelector('#timeline').innerText.includes('difference')")
            server.client.deploy("model_v1.bin", traffic_percent=5)
            tab.wait("document.querySelector('#timeline').innerText.includes('model_v1 is deployed')")
            check("difference" in tab.text("#timeline"), "what was open is closed")


def a_restart_is_seen(serving: Serving, chromium: Chromium) -> None:
    with serving.started("restart") as server, opened(chromium, server) as tab:
        server.client.deploy(FILE, traffic_percent=10)
        tab.wait("document.querySelector('h1').innerText.startsWith('Waiting')")
        server.kill()
        tab.wait("!banner.hidden && document.body.classList.contains('stale')", 15)
        check("These figures are old" in tab.text("#banner"), tab.text("#banner"))
        check("nothing new for" in tab.text("#clock"), tab.text("#clock"))
        fits(tab)
        server.start()
        server.client.rollback("while nobody looked")
        tab.wait(f"banner.hidden && !document.body.classList.contains('stale') && {UP_TO_DATE}", 15)
        tab.wait("document.querySelector('h1').innerText.startsWith('Rolled back')")
        check(tab.js("globalThis.mark") == 1, "the page was loaded again")
        quiet(tab, server.url, "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET")


def a_drain_ends_the_streams(serving: Serving, chromium: Chromium) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(serving.started("drain"))
        for _ in range(3):
            stack.enter_context(opened(chromium, server))
        seconds = server.stop()
        check(seconds < 2, f"with three pages open the server needs {seconds:.1f} s to end")


def one_page_too_many_is_told(serving: Serving, chromium: Chromium) -> None:
    with serving.started("many") as server:
        streams = [http.client.HTTPConnection(server.address) for _ in range(MOST)]
        for stream in streams:
            stream.request("GET", "/live")
            check(stream.getresponse().status == 200, "a stream was refused")
        with Tab(chromium) as tab:
            tab.open(server.url).wait("!banner.hidden")
            check(f"{MOST} pages are open; close one" in tab.text("#banner"), tab.text("#banner"))
            check("No canary" in tab.text("h1"), tab.text("h1"))
            for stream in streams:
                stream.close()
            tab.wait(f"banner.hidden && {UP_TO_DATE}")
            quiet(tab, server.url, "429")


def a_hidden_page_holds_no_stream(serving: Serving, chromium: Chromium) -> None:
    with serving.started("hidden") as server, opened(chromium, server) as tab:
        tab.js(HIDE)
        server.client.deploy(FILE, traffic_percent=10)
        time.sleep(1.5)
        check(tab.text("h1").startswith("No canary"), "a hidden page was kept up to date")
        tab.js(SHOW)
        tab.wait("document.querySelector('h1').innerText.startsWith('Waiting')")
        quiet(tab, server.url)


def it_works_by_keyboard(serving: Serving, chromium: Chromium) -> None:
    with serving.started("keyboard") as server:
        server.client.deploy(FILE, plan=plan(5, 10, 50, bake="1h"))
        with opened(chromium, server) as tab:
            tab.key(*TAB)
            check(tab.js("document.activeElement.className") == "skip", "the first stop is not the link to the verdict")
            top = "document.activeElement.getBoundingClientRect().top"
            check(tab.js(top) >= 0, "the link is not in view while it has the focus")
            tab.key(*ENTER, text="\r")
            tab.wait("location.hash === '#main'")
            seen: list[str] = []
            for _ in range(60):
                tab.key(*TAB)
                focused = tab.probe("focus")
                if focused is None or focused[0] in seen:
                    break
                name, is_ringed, is_covered = focused
                seen.append(name)
                check(is_ringed, f"{name} shows no focus")
                check(not is_covered, f"{name} is behind the strip")
            check(len(seen) >= 3, f"only {seen} can be reached")


def text_twice_as_large_fits(serving: Serving, chromium: Chromium) -> None:
    with serving.started("zoom") as server:
        server.client.deploy(FILE, plan=plan(5, 10, 50, bake="1h"))
        server.send(60)
        with opened(chromium, server) as tab:
            words = tab.text("main").split()
            # What zooming to 200 % makes of a window of 1,280 pixels.
            tab.size(640)
            wide = tab.js("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            check(wide <= 0, f"zoomed to 200 %, the page is {wide} px too wide")
            check(set(words[:10]) <= set(tab.text("main").split()), "words of the verdict are lost")


def colors_and_motion_of_the_system_hold(serving: Serving, chromium: Chromium) -> None:
    with serving.started("colors") as server:
        server.client.deploy(FILE, plan=plan(5, 10, 50, bake="1h"))
        with server.traffic(300):
            server.until("holding", "healthy")
        with opened(chromium, server) as tab:
            tab.media(forced_colors="active", prefers_color_scheme="dark")
            check(tab.js("matchMedia('(forced-colors: active)').matches"), "colors are not forced")
            # What says something in a picture must differ from the ground.
            ground, marks = tab.probe("colors")
            for name, color in marks:
                check(color is not None and color != ground, f"{name} cannot be seen: {color} on {ground}")
            tab.media(prefers_reduced_motion="reduce")
            moving = tab.probe("moving")
            check(not moving, f"with reduced motion these move: {moving}")
            tab.media("print")
            check(tab.probe("areGone", ".tools, .acts"), "there are buttons on paper")
            tab.media()
            paper = tab.pdf()
            check(paper.startswith(b"%PDF-") and len(paper) > 10_000, f"the page on paper has {len(paper)} bytes")


def the_theme_can_be_chosen(serving: Serving, chromium: Chromium) -> None:
    with serving.started("theme") as server, opened(chromium, server) as tab:
        ground = "getComputedStyle(document.body).backgroundColor"
        tab.media(prefers_color_scheme="dark")
        dark = tab.js(ground)
        tab.click("#theme")
        light = tab.js(ground)
        check(light == "rgb(255, 255, 255)" and dark != light, f"from {dark} to {light}")
        tab.click("#theme")
        check(tab.js(ground) == dark, "it does not go back")


def page_and_files_are_small(serving: Serving, chromium: Chromium) -> None:
    with serving.started("small") as server:
        server.client.deploy(FILE, plan=plan(1, 5, 10, 25))
        with server.traffic(300):
            server.until("holding", "healthy")
        with Tab(chromium) as tab:
            tab.open(server.url).wait(UP_TO_DATE)
            sizes = {}
            for url in tab.requested:
                path = urllib.parse.urlsplit(url).path
                if path != "/live" and url.startswith(server.url):
                    connection = http.client.HTTPConnection(server.address)
                    connection.request("GET", path, headers={"Accept": "text/html"})
                    sizes[path] = len(connection.getresponse().read())
                    connection.close()
            check(len(sizes) >= 3, f"only {sizes}")
            check(sum(sizes.values()) < 150_000, f"page and files have {sum(sizes.values())} bytes: {sizes}")


TESTS = [
    it_changes_without_reload,
    a_restart_is_seen,
    nothing_jumps,
    it_counts_down_to_what_happens_next,
    what_is_opened_stays_open,
    a_drain_ends_the_streams,
    one_page_too_many_is_told,
    a_hidden_page_holds_no_stream,
    it_works_by_keyboard,
    text_twice_as_large_fits,
    colors_and_motion_of_the_system_hold,
    the_theme_can_be_chosen,
    page_and_files_are_small,
]
