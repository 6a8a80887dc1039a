"""The live page in a real browser: what it shows is what was done to the cluster. `cargo ci page` runs it."""

import os
import re
import signal

import boto3
from botocore.config import Config
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.color import Color
from sim import soon

MIB = 1 << 20


def browser(sim):
    """One browser for all checks."""
    if hasattr(sim.kept, "browser"):
        return sim.kept.browser
    options = webdriver.ChromeOptions()
    options.accept_insecure_certs = True
    for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1500"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = os.environ["PAGE_BROWSER"]
    driver = webdriver.Chrome(options, webdriver.ChromeService(os.environ["PAGE_DRIVER"]))
    sim.closing.append(driver.quit)
    driver.get(sim.vms + "/")
    sim.kept.browser = driver
    soon(lambda: text(sim, "status") == "live")
    return driver


def text(sim, identity):
    return sim.kept.browser.find_element(By.ID, identity).text


def number(sim, identity):
    return int(text(sim, identity).replace(",", ""))


def rows(sim, table):
    """Cells of every row as shown, read at one moment."""
    script = "return Array.from(document.querySelectorAll(arguments[0]), r => Array.from(r.cells, c => c.innerText))"
    return browser(sim).execute_script(script, f"#{table} tbody tr")


def row(sim, table, first):
    return next((r for r in rows(sim, table) if r[0] == first), None)


def s3(sim):
    if not hasattr(sim.kept, "s3"):
        _, access, secret = sim.user("page")
        sim.bucket("page", "page")
        sim.kept.s3 = boto3.client(
            "s3", endpoint_url=sim.s3[1], aws_access_key_id=access, aws_secret_access_key=secret,
            region_name="us-east-1", config=Config(s3={"addressing_style": "path"}),
        )
    return sim.kept.s3


def check_opens(sim):
    """The page opens without a login, without an error and with the cluster's name"""
    driver = browser(sim)
    assert driver.title == "vast-sim"
    cluster = sim.api("GET", "clusters/")[0]
    assert text(sim, "name") == cluster["name"] and text(sim, "version") == cluster["sw_version"]
    assert [r[0] for r in rows(sim, "vips")] == [u.split("//")[1].split(":")[0] for u in sim.s3]
    assert {r[2] for r in rows(sim, "vips")} == {"serving"}
    errors = [e for e in driver.get_log("browser") if e["level"] in ("SEVERE", "WARNING")]
    assert not errors, errors


def check_alone(sim):
    """Nothing is asked of any other server, and nothing else than the page's own script may run"""
    driver = browser(sim)
    asked = driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    strangers = [url for url in asked if not url.startswith(sim.vms + "/")]
    assert len(asked) >= 3 and not strangers, strangers or asked
    planted = """
        const script = document.createElement('script');
        script.textContent = "document.title = 'taken over'";
        document.body.append(script);
        const image = new Image();
        const done = arguments[arguments.length - 1];
        image.onload = () => done('loaded');
        image.onerror = () => done('refused');
        image.src = arguments[0] + '/page.png';"""
    assert driver.execute_async_script(planted, sim.s3[0]) == "refused"
    assert driver.title == "vast-sim", "a script that is not the page's own ran"
    said = [e["message"] for e in driver.get_log("browser")]
    assert sum("Content Security Policy" in message for message in said) >= 2, said


def check_puts(sim):
    """Objects that are put show in capacity, view, VIP and request figures, and in the rates"""
    browser(sim)
    client = s3(sim)
    soon(lambda: row(sim, "views", "/page"))
    before = number(sim, "s3-requests")
    for n in range(5):
        client.put_object(Bucket="page", Key=f"o{n}", Body=b"x" * MIB)
    soon(lambda: text(sim, "used") == "5.0 MiB")
    soon(lambda: row(sim, "views", "/page")[2:5] == ["page", "5.0 MiB", "5"])
    soon(lambda: number(sim, "s3-requests") == before + 5)
    vip = sim.s3[1].split("//")[1].split(":")[0]
    assert row(sim, "vips", vip)[6] == str(before + 5), rows(sim, "vips")
    assert number(sim, "objects") == 5

    def rate():
        client.put_object(Bucket="page", Key="again", Body=b"y")
        return float(text(sim, "s3-rate")) > 0

    soon(rate)
    client.delete_object(Bucket="page", Key="o0")
    soon(lambda: row(sim, "views", "/page")[3:5] == ["4.0 MiB", "5"])


def check_uploads(sim):
    """An open upload shows with its parts and goes when it is aborted"""
    browser(sim)
    client = s3(sim)
    upload = client.create_multipart_upload(Bucket="page", Key="big/file")["UploadId"]
    client.upload_part(Bucket="page", Key="big/file", UploadId=upload, PartNumber=1, Body=b"z" * (2 * MIB))
    soon(lambda: (row(sim, "uploads", "/page/big/file") or [])[1:3] == ["1", "2.0 MiB"])
    assert text(sim, "open-uploads") == "1"
    client.abort_multipart_upload(Bucket="page", Key="big/file", UploadId=upload)
    soon(lambda: rows(sim, "uploads") == [["none"]])
    assert text(sim, "open-uploads") == "0"


def check_faults(sim):
    """A fault shows while it is armed, with its hits"""
    browser(sim)
    fault = {"operations": ["HeadObject"], "effect": {"type": "error", "status": 503, "code": "SlowDown"}}
    made = sim.call("POST", "/sim/v1/faults", fault, sim.basic).json()["id"]
    shown = soon(lambda: row(sim, "faults", str(made)))
    assert shown[1] == "error code=SlowDown status=503" and "operations=HeadObject" in shown[2], shown
    errors = number(sim, "s3-errors")
    try:
        s3(sim).head_object(Bucket="page", Key="o1")
    except Exception as error:
        assert "503" in str(error), error
    hits = soon(lambda: int(row(sim, "faults", str(made))[3]))
    soon(lambda: number(sim, "s3-errors") == errors + hits)
    shot(sim, "page.png")
    assert sim.call("DELETE", f"/sim/v1/faults/{made}", None, sim.basic).status == 204
    soon(lambda: rows(sim, "faults") == [["none"]])


def check_nodes(sim):
    """VIPs of a CNode that dies move to others on the page, and a VIP that falls silent says so"""
    browser(sim)
    vips = {r[0]: r[1] for r in rows(sim, "vips")}
    first = next(iter(vips))
    faults = [
        {"cnode": vips[first], "effect": {"type": "cnode_down"}},
        {"vip": first, "effect": {"type": "vip_silent"}},
    ]
    for fault in faults:
        assert sim.call("POST", "/sim/v1/faults", fault, sim.basic).status == 201
    soon(lambda: vips[first] not in {r[1] for r in rows(sim, "vips")})
    soon(lambda: row(sim, "vips", first)[2] == "silent")
    assert sim.call("DELETE", "/sim/v1/faults", None, sim.basic).status == 204
    soon(lambda: {r[0]: r[1] for r in rows(sim, "vips")} == vips)
    soon(lambda: {r[2] for r in rows(sim, "vips")} == {"serving"})


def check_events(sim):
    """What happens to the cluster shows as an event"""
    browser(sim)
    sim.api("POST", "views/", {"path": "/event", "policy_id": 1, "protocols": ["NFS"], "create_dir": True})
    soon(lambda: any("/event" in r[-1] for r in rows(sim, "events")))


def check_lost(sim):
    """A cluster that does not answer is said to be lost, and shows again when it is back"""
    browser(sim)
    sim.process.send_signal(signal.SIGSTOP)
    try:
        soon(lambda: text(sim, "status").startswith("not connected"))
    finally:
        sim.process.send_signal(signal.SIGCONT)
    soon(lambda: text(sim, "status") == "live")


def check_keyboard(sim):
    """Everything works from the keyboard: skip link first, then the button that pauses"""
    driver = browser(sim)
    driver.refresh()
    soon(lambda: text(sim, "status") == "live")
    body = driver.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert driver.switch_to.active_element.get_attribute("class") == "skip"
    driver.switch_to.active_element.send_keys(Keys.TAB)
    button = driver.switch_to.active_element
    assert button.get_attribute("id") == "pause"
    button.send_keys(Keys.ENTER)
    assert button.get_attribute("aria-pressed") == "true" and text(sim, "status") == "paused"
    shown = text(sim, "s3-requests")
    s3(sim).list_objects_v2(Bucket="page")
    asked = sim.call("GET", "/sim/v1/overview").json()["totals"]["s3_requests"]
    assert text(sim, "s3-requests") == shown and number(sim, "s3-requests") < asked
    button.send_keys(Keys.SPACE)
    soon(lambda: number(sim, "s3-requests") == asked)


def check_accessible(sim):
    """Tables have captions and headers, and text has contrast in both colour schemes"""
    driver = browser(sim)
    problems = driver.execute_script("""
        const problems = [];
        if (!document.documentElement.lang) problems.push("no language");
        for (const table of document.querySelectorAll("table")) {
            if (!table.caption || !table.caption.textContent) problems.push(table.id + " has no caption");
            for (const head of table.tHead.rows[0].cells)
                if (head.scope !== "col" || !head.textContent) problems.push(table.id + " has a bad header");
        }
        for (const meter of document.querySelectorAll("meter, svg[role]"))
            if (!meter.getAttribute("aria-label") && !meter.getAttribute("aria-labelledby")) problems.push("unnamed " + meter.id);
        return problems;""")
    assert not problems, problems
    readable(driver, ["dt", "dd", "caption", "th", "#version", "#status", "td.good", "footer p", "button"])
    shot(sim, "page-dark.png")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def check_narrow(sim):
    """On a narrow screen tables scroll and the page does not"""
    driver = browser(sim)
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    widths = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    shot(sim, "page-narrow.png")
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert widths[0] <= widths[1] == 360, widths


def readable(driver, selectors, seen=lambda scheme: None):
    """Text has contrast in both colour schemes, which differ; the browser stays in the dark one"""
    backs = set()
    for scheme in ["light", "dark"]:
        feature = {"name": "prefers-color-scheme", "value": scheme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        for selector in selectors:
            element = driver.find_element(By.CSS_SELECTOR, selector)
            front = element.value_of_css_property("color")
            back = driver.execute_script("""
                let e = arguments[0], c;
                do { c = getComputedStyle(e).backgroundColor; e = e.parentElement; } while (c === "rgba(0, 0, 0, 0)" && e);
                return c;""", element)
            ratio = contrast(front, back)
            assert ratio >= 4.5, f"{scheme}: {selector} has a contrast of {ratio:.1f}"
        backs.add(driver.find_element(By.TAG_NAME, "body").value_of_css_property("background-color"))
        seen(scheme)
    assert len(backs) == 2, backs


def contrast(front, back):
    """As WCAG 2 defines it."""
    def luminance(color):
        channels = [int(c) / 255 for c in re.findall(r"\d+", Color.from_string(color).rgb)]
        red, green, blue = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted([luminance(front), luminance(back)])
    return (light + 0.05) / (dark + 0.05)


def shot(sim, name):
    """A picture of the whole page for people."""
    path = os.path.join(os.environ["PAGE_PICTURES"], name)
    assert browser(sim).save_screenshot(path)
    assert os.path.getsize(path) > 10_000, path
