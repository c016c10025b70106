"""A page looked at by headless Chromium: `assert_page_works(page)` holds for every page that is made here.

A copy of the page gets a script that tries everything out and tells the console, which the browser writes to stderr; so
that no driver is needed. It lies in frames of the widths asked for, because a window is never narrower than 500 px.
"""

import base64
import json
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium or google-chrome on PATH")

WIDTHS = (400, 1400)
LONGEST_S = 120
_ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-quic", "--disable-dev-shm-usage",
    "--mute-audio", "--autoplay-policy=no-user-gesture-required", "--hide-scrollbars", "--enable-logging=stderr",
    "--window-size=1500,3000",
)  # fmt: skip
_MESSAGE = re.compile(r':CONSOLE[:(]\d+\)?\] "(.*)", source: ')
_FOUND = re.compile(r"found (\d+) (\d+)/(\d+) (.*)")

_PROBE = """<script>
addEventListener("load", async function () {
  var all = function (selector) { return Array.from(document.querySelectorAll(selector)); };
  var named = function (element) {
    return element.tagName.toLowerCase() + (element.id ? "#" + element.id : "") + "." + element.getAttribute("class");
  };
  var found = { width: innerWidth, links: [], ids: [] };
  all("details").forEach(function (details) { details.open = true; });

  // Wider than the page, and in nothing that scrolls or cuts off.
  var isInside = function (element) {
    for (var up = element.parentElement; up && up !== document.body; up = up.parentElement) {
      if (getComputedStyle(up).overflowX !== "visible") return true;
    }
    return false;
  };
  found.scrollWidth = document.scrollingElement.scrollWidth;
  found.tooWide = all("body *").filter(function (element) {
    return element.getBoundingClientRect().right > innerWidth + 0.5 && !isInside(element);
  }).slice(0, 5).map(named);

  // What cannot be seen has words.
  found.wordless = all("svg, img, audio").filter(function (element) {
    var words = element.getAttribute("aria-label") || element.getAttribute("alt") || "";
    return element.getAttribute("aria-hidden") !== "true" && !element.parentElement.closest("svg") && !words.trim();
  }).map(named);
  found.drawings = all("svg.drawing").length;

  // A click sorts, another turns the order round, what has no value comes last.
  var valueOf = function (cell) {
    var value = cell.getAttribute("data-value");
    return value === null ? cell.textContent.trim() : value === "" ? null : Number(value);
  };
  var inOrder = function (values, down) {
    var known = values.filter(function (value) { return value !== null; });
    if (values.slice(0, known.length).includes(null)) return false;
    return known.every(function (value, k) {
      if (k === 0) return true;
      var both = typeof value === "number" && typeof known[k - 1] === "number";
      var order = both ? known[k - 1] - value
        : String(known[k - 1]).localeCompare(String(value), undefined, { numeric: true });
      return down ? order >= 0 : order <= 0;
    });
  };
  found.unsorted = [];
  var tables = all("table.sortable");
  found.tables = tables.length;
  tables.forEach(function (table) {
    Array.from(table.tHead.rows[0].cells).forEach(function (head, at) {
      var button = head.querySelector("button"), before = new Set(table.tBodies[0].rows), orders = new Set();
      if (!button) return;
      for (var click = 0; click < 2; click++) {
        button.click();
        orders.add(head.getAttribute("aria-sort"));
        var rows = Array.from(table.tBodies[0].rows);
        var values = rows.map(function (row) { return valueOf(row.cells[at]); });
        var same = rows.length === before.size && rows.every(function (row) { return before.has(row); });
        if (!same || !inOrder(values, head.getAttribute("aria-sort") === "descending")) {
          found.unsorted.push(head.textContent.trim());
        }
      }
      if (orders.size !== 2) found.unsorted.push(head.textContent.trim() + " one way only");
    });
  });

  found.links = all("a[href^='#']").map(function (link) { return link.getAttribute("href").slice(1); })
    .filter(function (id) { return !document.getElementById(id); });
  var ids = all("[id]").map(function (element) { return element.id; });
  found.ids = ids.filter(function (id, k) { return ids.indexOf(id) !== k; });

  found.audio = await Promise.all(all("audio").map(async function (audio) {
    audio.preload = "auto";
    var told = new Promise(function (done) {
      audio.onerror = function () { done("cannot be read"); };
      audio.ontimeupdate = function () { if (audio.currentTime > 0) done("plays"); };
    });
    audio.load();
    var refused = await audio.play().then(function () { return ""; }, String);
    var state = refused || await told;
    audio.pause();
    return { state: state, readyState: audio.readyState, duration: audio.duration };
  }));

  var told = btoa(unescape(encodeURIComponent(JSON.stringify(found))));
  var pieces = told.match(/.{1,4000}/g);
  pieces.forEach(function (piece, k) {
    console.log("found WIDTH " + (k + 1) + "/" + pieces.length + " " + piece);
  });
});
</script></body>"""


def look_at(page: Path, widths: tuple[int, ...] = WIDTHS) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """What the script finds on a page in a frame of each width, and what else the page told the console."""
    assert CHROMIUM is not None
    text = page.read_text("utf-8")
    assert text.count("</body>") == 1
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for width in widths:
            probe = _PROBE.replace("WIDTH", str(width))
            (folder / f"{width}.html").write_text(text.replace("</body>", probe), "utf-8")
        frames = "".join(f'<iframe src="{width}.html" width="{width}" height="2000"></iframe>' for width in widths)
        host = folder / "host.html"
        host.write_text(f"<!DOCTYPE html><style>iframe {{ border: 0; display: block }}</style>{frames}", "utf-8")
        return _run(host, folder / "profile", widths)


def _run(host: Path, profile: Path, widths: tuple[int, ...]) -> tuple[dict[int, dict[str, Any]], list[str]]:
    """Opens a page of frames, and closes the browser once every frame has told all that it found."""
    pieces: dict[int, dict[int, str]] = {width: {} for width in widths}
    due, said, log = set(widths), [], []
    command = [str(CHROMIUM), *_ARGUMENTS, f"--user-data-dir={profile}", host.as_uri()]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as it:
        late = threading.Timer(LONGEST_S, it.kill)
        late.start()
        assert it.stderr is not None
        for line in it.stderr:
            log.append(line)
            message = _MESSAGE.search(line)
            if message is None:
                continue
            found = _FOUND.fullmatch(message[1])
            if found is None:
                said.append(message[1])
                continue
            width, piece, of = int(found[1]), int(found[2]), int(found[3])
            pieces[width][piece] = found[4]
            if len(pieces[width]) == of:
                due.discard(width)
            if not due:
                break
        late.cancel()
        it.kill()
    assert not due, f"no answer from a frame of {sorted(due)} px: {said} {''.join(log[-20:])}"
    whole = {width: "".join(parts[k] for k in sorted(parts)) for width, parts in pieces.items()}
    return {width: json.loads(base64.b64decode(told)) for width, told in whole.items()}, said


def assert_page_works(page: Path, *, num_audio: int = 0, least_tables: int = 0, least_drawings: int = 0) -> None:
    """A page says nothing on the console, fits a phone and a desk, plays, sorts, and has words for what is drawn.

    Args:
        num_audio: how many sounds there are.
        least_tables, least_drawings: that something was looked at at all.
    """
    found, said = look_at(page)
    assert said == []
    for width, told in found.items():
        assert told["width"] == width
        assert (told["scrollWidth"], told["tooWide"]) == (width, [])
        for fault in ("wordless", "unsorted", "links", "ids"):
            assert told[fault] == [], (width, fault)
        assert told["tables"] >= least_tables
        assert told["drawings"] >= least_drawings
        assert len(told["audio"]) == num_audio
        for audio in told["audio"]:
            assert audio["state"] == "plays"
            assert audio["readyState"] >= 2
            assert audio["duration"] > 0
