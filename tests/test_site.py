"""The site: built without a warning, its pages of code executed; every link leads somewhere; a real browser shows every page."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Of a page that has been loaded: formulas that are drawn, formulas that failed, pictures without a picture.
SEEN = """async () => {
    if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
    const pictures = [...document.images];
    for (const picture of pictures) picture.loading = "eager";
    await Promise.all(pictures.map(picture => picture.decode().catch(() => null)));
    return {
        title: document.title,
        formulas: document.querySelectorAll("span.math, div.math").length,
        drawn: document.querySelectorAll("mjx-container svg").length,
        failed: [...document.querySelectorAll("mjx-container")].filter(m => m.querySelector("[data-mml-node=merror]")).length,
        missing: pictures.filter(picture => !picture.naturalWidth).map(picture => picture.src),
        pictures: pictures.length,
    };
}"""


class Page(HTMLParser):
    """What a page links to and what in it can be linked to; what it loads from elsewhere."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = {"", "top"}
        self.loads: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.links.add(value)
                if tag in ("script", "link", "img", "iframe"):
                    self.loads.add(value)


def built(out: Path, doctrees: Path) -> None:
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-d", str(doctrees), str(DOCS), str(out)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=900, cwd=DOCS.parent, env=os.environ | {"COLUMNS": "100"}
    )
    assert done.returncode == 0, done.stderr[-4000:]


def pages(out: Path) -> Iterator[Path]:
    """All but what pages hold or lead to: the chart, and the sources with their lines."""
    yield from (page for page in sorted(out.rglob("*.html")) if not {"_static", "code"} & set(page.relative_to(out).parts))


def check_links(out: Path) -> None:
    """Within the site; nothing is loaded from elsewhere."""
    parsed = cache(Page)
    for path in pages(out):
        page = parsed(path)
        assert not [each for each in page.loads if urlsplit(each).scheme in ("http", "https")], path
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.exists(), f"{path.relative_to(out)} links to {link}"
            if target.suffix == ".html" and parts.fragment and "_static" not in target.parts:
                assert unquote(parts.fragment) in parsed(target).anchors, f"{path.relative_to(out)} links to {link}"


def check_in_a_browser(out: Path, browser: str) -> None:
    """Every page loads, with no error and nothing from elsewhere; its mathematics is drawn, and its pictures are there."""
    from playwright.sync_api import sync_playwright

    formulas = pictures = 0
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        view = chromium.new_page()
        troubles: list[str] = []
        view.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        view.on("pageerror", lambda error: troubles.append(str(error)))
        view.on("requestfailed", lambda request: troubles.append(request.url))
        view.on("request", lambda request: troubles.append(request.url) if request.url.startswith("http") else None)
        for path in pages(out):
            view.goto(path.as_uri())
            seen = view.evaluate(SEEN)
            assert seen["title"], path
            assert (seen["failed"], seen["missing"], troubles) == (0, [], []), path
            assert seen["drawn"] >= seen["formulas"], path
            formulas, pictures = formulas + seen["formulas"], pictures + seen["pictures"]
        # The page with sliders: curves are drawn, and others when a slider moves.
        view.goto((out / "explore.html").as_uri())
        frame = view.frame_locator("iframe")
        frame.locator("canvas, svg.marks").first.wait_for()
        slider = frame.locator("input[type=range]").first
        before = frame.locator(".vega-embed").first.screenshot()
        slider.evaluate("e => { e.value = e.max; e.dispatchEvent(new Event('input', {bubbles: true})); }")
        view.wait_for_timeout(500)
        assert frame.locator(".vega-embed").first.screenshot() != before
        chromium.close()
    assert formulas > 100
    assert pictures > 10


@pytest.mark.slow
def test_the_site_is_built_without_warnings_and_shown_by_a_browser(tmp_path: Path) -> None:
    for needed in ("myst_nb", "furo", "altair", "playwright", "numpydoc"):
        pytest.importorskip(needed, reason="the extra docs is not installed")
    out = tmp_path / "html"
    built(out, tmp_path / "doctrees")
    check_links(out)
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip("the site is built and its links hold, but no Chromium is installed to open it")
    check_in_a_browser(out, browser)
