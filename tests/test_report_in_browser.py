"""A report as people meet it: opened from the disk in a real Chromium, at a phone's and a desk's
width, in light and dark, with the keyboard, and with words in it that would take it over."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright

from tests.test_report import HOSTILE, TASKS, campaign, hostile_events
from tests.transcripts import plan_of, started
from tests.waiting import HANGS, until_then
from verification.report import write
from verification.verify import write as write_evidence

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None
)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH"),
    pytest.mark.asyncio(loop_scope="module"),
]

NOTES = """\
An opening with a [link](https://example.org) and a table:

| left | right |
| --- | ---: |
| a_long_word_that_has_no_space_in_it_and_goes_on_and_on_and_on | b |

## A section of mine

Words.
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on a campaign in which all that a model could write is hostile."""
    path = tmp_path_factory.mktemp("site")
    folder = campaign(path, hostile=hostile_events(HOSTILE))
    (path / "notes.md").write_text(NOTES, encoding="utf-8")
    folder.prepare()
    write_evidence(folder)
    write(folder)
    return path / "report"


@pytest.fixture(params=["the report", "a transcript"])
def address(site: Path, request: pytest.FixtureRequest) -> str:
    run = started(plan_of(models=["m"], tasks=TASKS), repetition=2).run
    page = "index.html" if request.param == "the report" else f"runs/{run}.html"
    return (site / page).as_uri()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    flags = ["--disable-gpu", "--disable-background-networking", "--no-first-run"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # as root, Chromium's own does not start
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=flags, timeout=1000 * HANGS
        )
        yield browser
        await browser.close()


async def opened(browser: Browser, address: str, **look: Any) -> Page:
    page = await browser.new_page(**look)
    page.set_default_timeout(1000 * HANGS)
    await page.goto(address)
    return page


async def told(page: Page, expression: str) -> Any:
    """What the page answers; ``evaluate`` itself would wait for ever."""
    return await asyncio.wait_for(page.evaluate(expression), HANGS)


async def unfolded(page: Page) -> None:
    await told(page, "document.querySelectorAll('details').forEach(one => one.open = true)")


async def test_hostile_words_run_nothing_load_nothing_and_are_all_to_be_read(
    browser: Browser, address: str
) -> None:
    page = await browser.new_page()
    page.set_default_timeout(1000 * HANGS)
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: heard.append(dialog.message))
    page.on("request", lambda request: heard.append(request.url))
    await page.goto(address)
    await unfolded(page)
    text = await told(page, "document.body.innerText")
    assert [one for one in heard if not one.startswith("data:image/svg+xml;base64,")] == [address]
    assert await page.title() != "owned"
    assert (
        await told(page, "document.scripts.length + document.querySelectorAll('[onerror]').length")
        == 0
    )
    for words in (
        "<script>document.title='owned'</script><img src=x onerror=",
        "</title></style></pre></details>]]><!-- [a](javascript:alert(1)) javascript:alert(1)",
        "{{ 7 * 7 }} {% raw %}",
        r"\x1b[31mred\x1b]0;owned\x07 \u202egnp.exe\u200b",
    ):
        assert words in text


async def test_a_script_that_came_into_the_page_all_the_same_would_not_run(
    browser: Browser, address: str
) -> None:
    page = await opened(browser, address)
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    await told(
        page,
        """(() => {
            const script = document.createElement('script')
            script.textContent = "document.title = 'owned'"
            const image = document.createElement('img')
            image.setAttribute('onerror', "document.title = 'owned'")
            image.src = 'x'
            document.body.append(script, image)
        })()""",
    )
    # The script, and what would be done where the image cannot be loaded.
    await until_then(lambda: sum("Content Security Policy" in one for one in refused) >= 2)
    assert await page.title() != "owned"


async def test_no_link_leads_where_a_model_would_have_it(browser: Browser, address: str) -> None:
    page = await opened(browser, address)
    links = await told(page, "[...document.querySelectorAll('a')].map(a => a.href)")
    assert links
    places = [link for link in links if not link.startswith("file://")]
    assert places == (["https://example.org/"] if address.endswith("index.html") else [])


@pytest.mark.parametrize("width", [400, 1400])
async def test_the_page_never_scrolls_sideways(browser: Browser, address: str, width: int) -> None:
    page = await opened(browser, address, viewport={"width": width, "height": 900})
    assert await told(page, "document.documentElement.scrollWidth") == width
    await unfolded(page)
    assert await told(page, "document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1400])
async def test_axe_finds_nothing_to_mend(
    browser: Browser, address: str, scheme: Any, width: int
) -> None:
    page = await opened(
        browser, address, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    await unfolded(page)
    result = await asyncio.wait_for(Axe().run(page), HANGS)
    assert not result.response["violations"], result.generate_report()


async def test_light_and_dark_are_not_the_same(browser: Browser, address: str) -> None:
    colours = set()
    for scheme in ("light", "dark"):
        page = await opened(browser, address, color_scheme=scheme)
        colours.add(await told(page, "getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2


async def test_the_keyboard_reaches_every_link_and_opens_every_fold(
    browser: Browser, address: str
) -> None:
    page = await opened(browser, address)
    every = await told(page, "document.querySelectorAll('a').length")
    reached: set[int] = set()
    for _ in range(40 + 6 * every):
        await page.keyboard.press("Tab")
        at = await told(
            page,
            """(() => {
                const all = [...document.querySelectorAll('a, summary')]
                const at = document.activeElement
                const outline = getComputedStyle(at).outlineStyle
                return [all.indexOf(at), at.tagName, outline, at.parentElement?.open ?? true]
            })()""",
        )
        place, tag, outline, is_open = at
        if tag == "BODY" and reached:
            break
        if place >= 0:
            assert outline != "none"
            reached.add(place)
        if tag == "SUMMARY" and not is_open:
            await page.keyboard.press("Enter")
    assert len(reached) == await told(page, "document.querySelectorAll('a, summary').length")


async def test_the_first_key_offers_to_skip_to_the_words(browser: Browser, address: str) -> None:
    page = await opened(browser, address)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    assert await told(page, "document.activeElement.tagName") == "MAIN"


async def test_a_screen_reader_finds_one_title_headings_in_order_and_landmarks(
    browser: Browser, address: str
) -> None:
    page = await opened(browser, address)
    levels = await told(
        page, "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert await told(page, "document.querySelectorAll('main').length") == 1
    assert await told(page, "document.querySelectorAll('nav[aria-label]').length") >= 1
    assert await told(page, "document.documentElement.lang") == "en"
    tables = "[...document.querySelectorAll('section table')]"
    names = await told(
        page, f"{tables}.map(t => document.getElementById(t.getAttribute('aria-labelledby')).id)"
    )
    assert len(set(names)) == len(names) == await told(page, f"{tables}.length")
    assert await told(page, "document.querySelectorAll('th:not([scope])').length") == 0


async def test_nothing_is_lost_without_javascript(browser: Browser, address: str) -> None:
    texts = []
    for enabled in (True, False):
        page = await opened(browser, address, java_script_enabled=enabled)
        texts.append(await page.locator("body").inner_text())
    assert texts[0] == texts[1]


async def test_a_citation_leads_to_its_turn(browser: Browser, site: Path) -> None:
    run = started(plan_of(models=["m"], tasks=TASKS), repetition=2).run
    page = await opened(browser, (site / "index.html").as_uri())
    await page.locator(f'a[href="runs/{run}.html#turn=1"]').first.click()
    await page.wait_for_url(f"**/{run}.html#turn=1")
    assert await told(page, "document.querySelector(':target > h3').innerText") == ("Turn 1 1.0 s")


async def test_pictures_are_seen_and_told_in_words(browser: Browser, site: Path) -> None:
    page = await opened(browser, (site / "index.html").as_uri())
    pictures = await told(
        page, "[...document.images].map(i => [i.complete && i.naturalWidth > 0, i.alt.length])"
    )
    assert len(pictures) > 2
    assert all(drawn and length > 20 for drawn, length in pictures)
