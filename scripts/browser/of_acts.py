"""People act by the page alone: deploy, promote, roll back; with a token, against somebody who was faster."""

from __future__ import annotations

import time

from .checks import check
from .checks import quiet
from .chromium import Chromium
from .chromium import Tab
from .of_page import HIDE
from .of_page import SHOW
from .of_page import opened
from .serving import Serving
from .states import CANARY
from .states import FILE
from .states import STABLE
from .states import TAIL
from .states import TOKEN
from .states import WIDE

DEPLOY = f"form.confirm[action='admin/deploy-canary']:has([value='{FILE}'])"
#: Metrics that are proven soon, however busy the machine is.
PROVEN_SOON = [WIDE, TAIL]


def verdict(tab: Tab, word: str) -> None:
    tab.wait(f"document.querySelector('h1').innerText.startsWith({word!r})")


def press(tab: Tab, act: str) -> None:
    """Opens the panel of an act."""
    tab.wait(f"document.querySelector('[data-opens=act-{act}]')?.getClientRects().length > 0")
    tab.click(f"[data-opens=act-{act}]")
    tab.wait(f"document.querySelector('#act-{act}').hidden === false")


def confirm(tab: Tab, act: str) -> None:
    tab.click(f"#act-{act} [type=submit]")


def deploy(tab: Tab, percent: str) -> None:
    """From the list of models: the panel says what follows before anything is sent."""
    tab.wait(f"document.querySelector({DEPLOY!r})")
    panel = tab.js(f"document.querySelector({DEPLOY!r}).id")
    tab.click(f"[data-opens={panel}]")
    tab.wait("document.activeElement.name === 'traffic_percent'")
    check(f"{STABLE} answers the rest" in tab.text(f"#{panel}"), tab.text(f"#{panel}"))
    tab.js("document.activeElement.select()")
    tab.type(percent)
    tab.click(f"#{panel} [type=submit]")
    tab.wait(f"document.querySelector('#traffic .c')?.innerText.includes('{percent} %')")


def deploy_and_promote(serving: Serving, chromium: Chromium) -> None:
    with serving.started("promote", metrics=PROVEN_SOON) as server, opened(chromium, server) as tab:
        deploy(tab, "50")
        verdict(tab, "Waiting")
        with server.traffic():
            verdict(tab, "Passing")
            press(tab, "promote-canary")
            check(f"{CANARY} answers everybody" in tab.text("#act-promote-canary"), tab.text("#act-promote-canary"))
            confirm(tab, "promote-canary")
            verdict(tab, "Promoted")
        check(tab.text("#said").startswith("Done."), tab.text("#said"))
        check(server.status()["stable"]["version"] == CANARY, "it did not become stable")
        quiet(tab, server.url)


def deploy_and_roll_back(serving: Serving, chromium: Chromium) -> None:
    with serving.started("rollback") as server, opened(chromium, server) as tab:
        deploy(tab, "10")
        with server.traffic():
            press(tab, "rollback-canary")
            check(f"{STABLE} answers everybody" in tab.text("#act-rollback-canary"), tab.text("#act-rollback-canary"))
            check(tab.js("document.activeElement.name") == "reason", "the reason has not the focus")
            requests = tab.text("#traffic dl")
            tab.type("support reports ")
            # The page changes meanwhile, and neither the panel nor what is typed may be lost.
            tab.wait(f"document.querySelector('#traffic dl').innerText !== {requests!r}")
            tab.wait(f"document.querySelector('#traffic dl').innerText !== {tab.text('#traffic dl')!r}")
            tab.type("odd scores")
            confirm(tab, "rollback-canary")
            verdict(tab, "Rolled back")
        check("support reports odd scores" in tab.text("#timeline"), tab.text("#timeline"))
        check(server.status()["canary"] is None, "there is still a canary")
        quiet(tab, server.url)


def a_panel_is_left_by_escape(serving: Serving, chromium: Chromium) -> None:
    with serving.started("escape") as server:
        server.client.deploy(FILE, traffic_percent=10)
        with opened(chromium, server) as tab:
            press(tab, "pause-canary")
            tab.key("Escape", 27)
            tab.wait("document.querySelector('#act-pause-canary').hidden")
            check(tab.js("document.activeElement.dataset.opens") == "act-pause-canary", "the focus is lost")
            check(server.status()["state"] == "running", "it was sent")


def keys_open_panels(serving: Serving, chromium: Chromium) -> None:
    with serving.started("keys") as server:
        server.client.deploy(FILE, traffic_percent=10)
        with opened(chromium, server) as tab:

            def strike(letter: str) -> None:
                tab.key(letter, ord(letter.upper()), letter)

            def are_closed() -> bool:
                return bool(tab.probe("areGone", ".confirm"))

            for letter, act in [("r", "rollback-canary"), ("p", "promote-canary"), ("s", "set-traffic")]:
                strike(letter)
                tab.wait(f"document.querySelector('#act-{act}').hidden === false")
                # Where the panel has a field, it has the focus.
                before = tab.js("document.activeElement.value")
                strike("5" if letter == "s" else "r")
                check(tab.js("document.activeElement.value") != before, f"the field of {act} takes no key")
                check(not are_closed(), f"a key in a field has closed the panel of {act}")
                tab.key("Escape", 27)
                tab.wait(f"document.querySelector('#act-{act}').hidden")
            strike("?")
            tab.wait("!document.querySelector('#keys').hidden")
            check("Roll back" in tab.text("#keys"), tab.text("#keys"))
            tab.click("#keys-on")
            tab.key("Escape", 27)
            tab.wait("document.querySelector('#keys').hidden")
            tab.js("document.activeElement.blur()")
            strike("r")
            check(are_closed(), "a key acts although the keys are off")
            check(server.status()["traffic_percent"] == 10, "a key has changed the rollout")
            quiet(tab, server.url)
    with serving.started("no-keys", TOKEN) as server:
        server.client.deploy(FILE, traffic_percent=10)
        with opened(chromium, server) as tab:
            tab.key("r", 82, "r")
            check(tab.probe("areGone", ".acts, .confirm"), "a key opens a panel without a token")


def a_wrong_token_is_refused(serving: Serving, chromium: Chromium) -> None:
    with serving.started("token", TOKEN) as server:
        server.client.deploy(FILE, traffic_percent=10)
        with opened(chromium, server) as tab:
            check(tab.probe("areGone", ".acts, .confirm"), "there are buttons without a token")

            def enter(token: str) -> None:
                tab.js("document.querySelector('#token-field').value = ''")
                tab.click("#token-field")
                tab.type(token)
                tab.click("#token [type=submit]")

            enter("a-token-with-a-\u017e")
            tab.wait("said.innerText.includes('it has the character \u017e')")
            enter("a-guess-of-the-token")
            tab.wait("said.innerText.includes('refused this token')")
            check(tab.probe("areGone", ".acts, .confirm"), "there are buttons with a wrong token")
            enter(TOKEN)
            press(tab, "pause-canary")
            confirm(tab, "pause-canary")
            verdict(tab, "Paused")
            kept = tab.js("[document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage)].join()")
            check(TOKEN not in kept, f"the token is kept: {kept}")
            check(TOKEN not in tab.js("document.documentElement.outerHTML"), "the token is in the page")
            quiet(tab, server.url, "401")
            tab.open(server.url)
            check(not tab.probe("areGone", "#token"), "after a reload the page does not ask for the token")


def the_slower_of_two_is_told(serving: Serving, chromium: Chromium) -> None:
    with serving.started("race") as server:
        server.client.deploy(FILE, traffic_percent=10)
        with opened(chromium, server) as tab:
            press(tab, "rollback-canary")
            # The page hears nothing for a moment, in which somebody else acts.
            tab.js(HIDE)
            server.client.set_traffic(25)
            time.sleep(0.6)
            confirm(tab, "rollback-canary")
            tab.wait("said.innerText.includes('Someone was faster')")
            check("25 %" in tab.text("#said") and "Nothing was done" in tab.text("#said"), tab.text("#said"))
            check(server.status()["canary"] is not None, "it was rolled back")
            tab.js(SHOW)
            tab.wait("document.querySelector('#traffic .c').innerText.includes('25 %')")
            confirm(tab, "rollback-canary")
            verdict(tab, "Rolled back")
            quiet(tab, server.url, "412")


TESTS = [
    deploy_and_promote,
    deploy_and_roll_back,
    a_panel_is_left_by_escape,
    keys_open_panels,
    a_wrong_token_is_refused,
    the_slower_of_two_is_told,
]
