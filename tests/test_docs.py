"""The built documentation, as a reader meets it: names, links, formulas, and widths in a real browser.

Build it first: ``python -m sphinx docs docs/_build``. Without it, or without a browser, these tests are
skipped and say so.
"""

import importlib
import json
import os
import queue
import re
import shutil
import subprocess
import threading
import zlib
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import meanfield

ROOT = Path(__file__).resolve().parent.parent
DOCS, SITE = ROOT / "docs", ROOT / "docs" / "_build"
ROOMS = (
    "",
    ".activations",
    ".datasets",
    ".experiments",
    ".flow",
    ".kernel_law",
    ".kernels",
    ".limits",
    ".plotting",
    ".symbolic",
)
#: Widths of a desktop's window and of a telephone's, in CSS pixels.
WIDTHS = (1280, 390)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
#: Seconds for the browser to show all pages.
PATIENCE = 300


class Page(HTMLParser):
    """What a page refers to, and what it can be referred by."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in ("img", "script") and found.get("src"):
            self.loads.append(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "icon"):
            self.loads.append(found["href"])


@pytest.fixture(scope="module")
def site():
    """The pages by their path below the site; skips if they are missing or older than their sources."""
    how = "build it: python -m sphinx docs docs/_build"
    if not (SITE / "searchindex.js").exists():
        pytest.skip(f"the documentation is not built; {how}")
    pages = [SITE / f"{name}.html" for name in ("genindex", "search", "py-modindex")]
    for source in DOCS.rglob("*.md"):
        # What begins with an underscore is part of another page.
        if {"_build", "jupyter_execute"} & set(source.relative_to(DOCS).parts) or source.name[0] == "_":
            continue
        page = SITE / source.relative_to(DOCS).with_suffix(".html")
        if not page.exists() or page.stat().st_mtime < source.stat().st_mtime:
            pytest.skip(f"the built documentation is older than {source.relative_to(ROOT)}; {how}")
        pages.append(page)
    return {str(path.relative_to(SITE)): Page(path) for path in sorted(pages)}


def test_every_public_name_has_an_entry(site):
    """Sphinx's inventory holds all names of ``__all__``, of the package and of its rooms."""
    content = (SITE / "objects.inv").read_bytes().split(b"\n", 4)[4]
    entries = {line.split(" ")[0] for line in zlib.decompress(content).decode().splitlines()}
    missing = []
    for room in ROOMS:
        module = importlib.import_module("meanfield" + room)
        missing += [
            f"{module.__name__}.{name}"
            for name in module.__all__
            if not {f"{module.__name__}.{name}", f"meanfield.{name}"} & entries
        ]
    assert not missing


def test_links_lead_somewhere(site):
    """Links within the site, with their anchors; the network is not asked."""
    broken = []
    for name, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (SITE / name).parent / unquote(parts.path) if parts.path else SITE / name
            other = site.get(os.path.relpath(target, SITE))
            if not target.exists() or (parts.fragment and other and unquote(parts.fragment) not in other.ids):
                broken.append(f"{name}: {link}")
    assert not broken


def test_nothing_is_loaded_from_the_network(site):
    """Pages can be read offline: scripts, styles and pictures are files of the site."""
    for name, page in site.items():
        for source in page.loads:
            parts = urlsplit(source)
            assert not parts.netloc, f"{name} loads {source}"
            assert ((SITE / name).parent / unquote(parts.path)).exists(), f"{name} loads {source}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_the_repository_s_pages(page):
    """They name files that exist, and headings of them."""
    for link in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        parts = urlsplit(link)
        if not parts.scheme and parts.path:
            assert (ROOT / parts.path).exists(), f"{page}: {link}"


def test_versions_agree():
    """What one is asked to cite is the version that is installed."""
    assert f"version = {{{meanfield.__version__}}}" in (DOCS / "citing.md").read_text()
    assert f"version: {meanfield.__version__}\n" in (ROOT / "CITATION.cff").read_text()


#: Shows each page in a frame of each width, waits for its formulas, and sends back what it looks like.
HARNESS = """<!doctype html><body><script>
async function look(page, width) {
  const frame = document.createElement("iframe");
  frame.style.cssText = `width: ${width}px; height: 900px; border: 0`;
  frame.src = "/" + page;
  await new Promise(done => { frame.onload = done; document.body.append(frame); });
  const view = frame.contentWindow, text = frame.contentDocument;
  if (text.querySelector(".math")) await view.MathJax.startup.promise;
  await Promise.all([...text.images].map(image => {
    image.loading = "eager";
    return image.decode().catch(() => {});
  }));
  const root = text.scrollingElement, formulas = [...text.querySelectorAll("span.math, div.math")];
  const result = {
    page, width,
    overflow: root.scrollWidth - root.clientWidth,
    untypeset: formulas.filter(formula => !formula.querySelector("mjx-container")).length,
    errors: text.querySelectorAll("mjx-merror, [data-mjx-error]").length,
    invisible: [...text.images].filter(image => !image.naturalWidth).map(image => image.src),
    formulas: formulas.length,
  };
  frame.remove();
  return result;
}
(async () => {
  const results = [];
  for (const page of PAGES)
    for (const width of WIDTHS) {
      try { results.push(await look(page, width)); }
      catch (error) { results.push({page, width, failure: String(error)}); }
    }
  await fetch("/results", {method: "POST", body: JSON.stringify(results)});
})();
</script>"""


@pytest.fixture(scope="module")
def seen(site, tmp_path_factory):
    """What a browser makes of every page at every width."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser to look at the pages with; install one of {', '.join(BROWSERS)}")
    harness = HARNESS.replace("PAGES)", json.dumps(sorted(site)) + ")", 1)
    harness = harness.replace("WIDTHS)", json.dumps(WIDTHS) + ")", 1)
    answers = queue.Queue()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(SITE))

        def do_GET(self):
            if self.path != "/harness":
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(harness.encode())
            return None

        def do_POST(self):
            answers.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            """Say nothing."""

    options = [
        "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1400,1000",
        "--remote-debugging-port=0",  # keeps a headless browser open
    ]  # fmt: skip
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        profile = f"--user-data-dir={tmp_path_factory.mktemp('browser')}"
        address = f"http://127.0.0.1:{server.server_port}/harness"
        window = subprocess.Popen(
            [browser, *options, profile, address], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            return answers.get(timeout=PATIENCE)
        finally:
            window.terminate()
            window.wait(30)
            server.shutdown()


class TestInABrowser:
    def test_all_pages_were_seen(self, site, seen):
        assert {(one["page"], one["width"]) for one in seen} == {(p, w) for p in site for w in WIDTHS}
        assert not [one for one in seen if "failure" in one]

    def test_nothing_is_wider_than_the_screen(self, seen):
        """Formulas, tables and code scroll by themselves; the page does not."""
        assert not [(one["page"], one["width"], one["overflow"]) for one in seen if one["overflow"] > 0]

    def test_formulas_are_typeset(self, seen):
        assert max(one["formulas"] for one in seen) > 100
        assert not [one for one in seen if one["untypeset"] or one["errors"]]

    def test_pictures_are_there(self, seen):
        assert not [one["invisible"] for one in seen if one["invisible"]]
