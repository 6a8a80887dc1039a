"""The certification's page in a real browser. `cargo ci page` runs it, with a certification's `report.html` in
PAGE_REPORT."""

import os
import pathlib
import re

from page import readable
from selenium import webdriver
from selenium.webdriver.common.by import By


def browser(sim):
    """One browser for all checks, with the page open."""
    if hasattr(sim.kept, "browser"):
        return sim.kept.browser
    options = webdriver.ChromeOptions()
    for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1500"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = os.environ["PAGE_BROWSER"]
    driver = webdriver.Chrome(options, webdriver.ChromeService(os.environ["PAGE_DRIVER"]))
    sim.closing.append(driver.quit)
    driver.get(pathlib.Path(os.environ["PAGE_REPORT"]).resolve().as_uri())
    sim.kept.browser = driver
    return driver


def shot(driver, name):
    """A picture for people."""
    path = os.path.join(os.environ["PAGE_PICTURES"], name)
    assert driver.save_screenshot(path)
    assert os.path.getsize(path) > 10_000, path


def first_scenario(driver):
    # Runs with a library that is no plug-in come first, and have no jobs to draw.
    return driver.find_element(By.CSS_SELECTOR, "details.scenario[id*='-NBU-']")


def check_alone(sim):
    """The page opens from a file without an error, without a script and without loading anything"""
    driver = browser(sim)
    assert "certif" in driver.title.lower() or "passed" in driver.title, driver.title
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert not driver.find_elements(By.CSS_SELECTOR, "script, link, img, iframe")
    said = [e["message"] for e in driver.get_log("browser")]
    assert not said, said
    shot(driver, "report.png")


def check_matrix(sim):
    """Every check has a row and an outcome in words for every plug-in"""
    driver = browser(sim)
    rows = driver.execute_script("""
        return Array.from(document.querySelectorAll('#matrix tbody tr:not(.group)'), r => Array.from(r.cells, c => c.innerText))
        """)
    plugins = len(driver.find_elements(By.CSS_SELECTOR, "#matrix thead th")) - 3
    assert len(rows) > 50 and plugins >= 1, (len(rows), plugins)
    words = ("pass", "FAIL", "ERROR", "UNKNOWN", "skip", "not run", "expected fail")
    for row in rows:
        assert re.fullmatch(r"[A-Z]{3}-\d{3}", row[0]), row
        assert len(row) == 3 + plugins and all(cell.startswith(words) for cell in row[3:]), row


def check_scenario(sim):
    """A scenario opens to its charts, jobs and defaults, and each chart has a name and bars of a visible size"""
    driver = browser(sim)
    scenario = first_scenario(driver)
    assert not scenario.find_element(By.TAG_NAME, "table").is_displayed(), "it is closed at first"
    scenario.find_element(By.TAG_NAME, "summary").click()
    charts = scenario.find_elements(By.TAG_NAME, "svg")
    assert len(charts) == 3, len(charts)
    for chart in charts:
        assert chart.get_attribute("aria-label"), chart.get_attribute("outerHTML")[:200]
        assert chart.size["width"] > 600 and chart.size["height"] > 40, chart.size
    outside = driver.execute_script("""
        const wrong = [];
        for (const svg of arguments[0].querySelectorAll('svg')) {
            const box = svg.getBoundingClientRect();
            for (const part of svg.querySelectorAll('rect, text, polyline')) {
                const inner = part.getBoundingClientRect();
                if (inner.left < box.left - 1 || inner.right > box.right + 1 || inner.bottom > box.bottom + 1)
                    wrong.push(part.outerHTML);
            }
        }
        return wrong;""", scenario)
    assert not outside, outside
    driver.execute_script("arguments[0].scrollIntoView()", scenario)
    shot(driver, "report-scenario.png")


def check_links(sim):
    """Every link leads to a place on the page"""
    driver = browser(sim)
    lost = driver.execute_script("""
        return Array.from(document.querySelectorAll('a'), a => a.getAttribute('href'))
            .filter(to => !to.startsWith('#') || !document.getElementById(to.slice(1)));""")
    assert not lost, lost


def check_accessible(sim):
    """Tables have captions and headers, and text has contrast in both colour schemes"""
    driver = browser(sim)
    problems = driver.execute_script("""
        const problems = [];
        if (!document.documentElement.lang) problems.push("no language");
        for (const table of document.querySelectorAll("table")) {
            if (!table.caption || !table.caption.textContent) problems.push("no caption: " + table.outerHTML.slice(0, 80));
            for (const head of table.tHead.rows[0].cells)
                if (head.scope !== "col" || !head.textContent) problems.push("bad header: " + head.outerHTML);
        }
        return problems;""")
    assert not problems, problems
    selectors = [".verdict", ".quiet", "a", "caption", "th", "td", ".good", ".none", "summary", "footer p"]
    readable(driver, selectors, lambda scheme: shot(driver, f"report-{scheme}.png"))
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def check_narrow(sim):
    """On a telephone tables and charts scroll and the page does not"""
    driver = browser(sim)
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.execute_script("scrollTo(0, 0)")
    widths = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    wide = driver.execute_script("""
        return Array.from(document.querySelectorAll('.scroll'), e => e.scrollWidth > e.clientWidth).filter(x => x).length""")
    shot(driver, "report-narrow.png")
    driver.execute_script("arguments[0].scrollIntoView()", first_scenario(driver))
    shot(driver, "report-narrow-scenario.png")
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert widths[0] <= widths[1] == 360, widths
    assert wide > 3, wide
