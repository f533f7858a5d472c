#!/usr/bin/env python3
"""The page that `rondo tune --report` writes, opened by headless Chromium without network: it has its drawings, all of them on the page, and the
browser's console stays silent. Skipped where Chromium is not installed (`apt-get install chromium`, 122 MB: too much for every run of CI).
A page with faults is opened first, so that a browser that reports nothing does not count as a silent console.
"""
import html.parser
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

BUILD = Path(os.environ.get("RONDO_BUILD", "build")).resolve()
FAULTY = "<!DOCTYPE html><p id=here>text<img src='http://example.invalid/a.png'><script>nothing.there()</script>"


class Elements(html.parser.HTMLParser):
    """How often each tag stands inside each element that has an id."""

    def __init__(self, text):
        super().__init__()
        self.open, self.inside, self.texts = [], {}, {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes).get("id")
        for _, above in self.open:
            if above:
                self.inside[above][tag] = self.inside[above].get(tag, 0) + 1
        if named:
            self.inside[named] = {}
        if tag not in ("meta", "link", "img", "br"):
            self.open.append((tag, named))

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        for _, above in self.open:
            if above:
                self.texts[above] = self.texts.get(above, "") + data

    def count(self, named, tag):
        return self.inside.get(named, {}).get(tag, 0)


def browse(browser, folder, page, *words):
    """Standard output, and what the page made the browser complain of."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={folder}/profile",
               "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--v=0", *words, page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def faults_of(page, measured):
    elements, faults = Elements(page), []
    for named, tag, least in [("times", "rect", measured), ("space", "circle", measured), ("roofline", "circle", measured),
                              ("roofline", "polyline", 1), ("stages", "tr", 2), ("plans", "tr", measured + 1)]:
        if elements.count(named, tag) < least:
            faults.append(f"#{named} has {elements.count(named, tag)} of {least} <{tag}>")
    if "--plan '" not in elements.texts.get("plan", ""):
        faults.append("the plan is not shown")
    # Drawings stay inside their frames, and no number is none.
    for svg in re.findall(r'<svg id="\w+" viewBox="0 0 (\d+) (\d+)".*?</svg>', page, re.S):
        if float(svg[0]) <= 0 or float(svg[1]) <= 0:
            faults.append("a drawing without size")
    for x in re.findall(r'<circle[^>]* cx="([^"]*)"', page):
        if not 0 <= float(x) <= 900:
            faults.append(f"a mark at x = {x}")
    if re.search(r"\b(nan|inf)\b", page):
        faults.append("a number is nan or inf")
    return faults


def main():
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        print("chromium is not installed: the report is not opened in a browser")
        return 77
    folder = BUILD / "test" / "report"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    env = dict(os.environ, RONDO_RECORDS=str(folder / "records.sqlite"))
    report = folder / "report.html"
    tuned = subprocess.run([BUILD / "bin" / "rondo", "tune", "gla", "--dim", "K=16,V=16", "--random", "1,T=64,H=2", "--seconds", "20",
                            "--exhaustive", "--report", report], env=env, capture_output=True, text=True)
    if tuned.returncode != 0:
        print(tuned.stdout + tuned.stderr)
        return 1
    measured = len(re.findall(r" ms ± ", tuned.stdout))
    faulty = folder / "faulty.html"
    faulty.write_text(FAULTY)
    _, noticed = browse(browser, folder, faulty, "--dump-dom")
    if not noticed or not faults_of(FAULTY, measured):
        print("a page with faults was not noticed")
        return 1
    page, complaints = browse(browser, folder, report, "--dump-dom")
    faults = faults_of(page, measured) + complaints
    picture = folder / "report.png"
    browse(browser, folder, report, f"--screenshot={picture}", "--window-size=1100,2400")
    header = picture.read_bytes()[:24] if picture.exists() else b""
    if len(header) < 24 or struct.unpack(">II", header[16:24]) != (1100, 2400) or picture.stat().st_size < 40000:
        faults.append("the picture of the page is missing or empty")
    for fault in faults:
        print(fault)
    print(f"{measured} plans on the page, {len(faults)} faults; {picture}")
    return 1 if faults or measured < 5 else 0


if __name__ == "__main__":
    sys.exit(main())
