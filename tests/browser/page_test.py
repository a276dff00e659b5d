"""The page in headless Chromium, by W3C WebDriver, which is JSON over HTTP: no library is needed.

Usage: page_test.py URL_OF_SERVER. With WALKPRINT_SCREENSHOTS=DIRECTORY it leaves pictures there to be looked at.
"""

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

PATIENCE = 30.0
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"enter": "\ue007", "down": "\ue015", "escape": "\ue00c", "tab": "\ue004"}


class Browser:
    """One window of a headless Chromium."""

    def __init__(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{port}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1400,1000"]
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"args": arguments}, "goog:loggingPrefs": {"browser": "ALL"}}
        until(lambda: self.is_up(), "the driver starts")
        started = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.base += f"/session/{started['sessionId']}"

    def is_up(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, content=None):
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.base + path, body, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE * 2) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.read().decode()[:400]}") from None

    def close(self):
        try:
            self.call("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()

    def run(self, script, *arguments):
        return self.call("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def find(self, selector):
        return self.call("POST", "/element", {"using": "css selector", "value": selector})[ELEMENT]

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def hover(self, selector):
        move = {"type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": {ELEMENT: self.find(selector)}}
        pointer = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [move]}
        self.call("POST", "/actions", {"actions": [pointer]})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector)

    def count(self, selector):
        return self.run("return document.querySelectorAll(arguments[0]).length", selector)

    def command(self, name, **parameters):
        self.call("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def size(self, width, height):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def dark(self, is_dark):
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, name):
        directory = os.environ.get("WALKPRINT_SCREENSHOTS")
        if directory:
            os.makedirs(directory, exist_ok=True)
            with open(os.path.join(directory, f"{name}.png"), "wb") as file:
                file.write(base64.b64decode(self.call("GET", "/screenshot")))

    def errors(self):
        """What the console has said since it was last asked, but for refusals that the test itself provoked."""
        lines = self.call("POST", "/se/log", {"type": "browser"})
        return [line["message"] for line in lines if line["level"] in ("SEVERE", "WARNING") and " 404 " not in line["message"]]


def until(condition, what):
    """Waits until something is true, and gives it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"never: {what}")


def equal(got, expected, what):
    assert got == expected, f"{what}: expected {expected!r}, got {got!r}"


def ids(browser):
    return browser.run("return [...document.querySelectorAll('#results tbody button')].map((one) => one.title)")


def asked(url, body):
    request = urllib.request.Request(url + "/v1/stores/wordnet/query", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return json.load(response)


def pick(browser, box, wanted):
    """Marks an option with the arrows and takes it."""
    until(lambda: wanted in browser.text(f"{box}-options"), f"{wanted} is offered")
    equal(browser.run("return document.querySelector(arguments[0]).getAttribute('aria-expanded')", box), "true", "the list is announced")
    until(lambda: press_down_to(browser, box, wanted), f"{wanted} is marked")
    browser.type(box, KEYS["enter"])
    equal(browser.run("return document.querySelector(arguments[0]).getAttribute('aria-expanded')", box), "false", "the list is closed")


def press_down_to(browser, box, wanted):
    browser.type(box, KEYS["down"])
    marked = "const at = document.querySelector(arguments[0]).getAttribute('aria-activedescendant');"
    return browser.run(marked + "return at ? document.getElementById(at).firstChild.textContent : ''", box) == wanted


def add_by_keyboard(browser, prefix, wanted):
    browser.type("#seed", prefix)
    pick(browser, "#seed", wanted)
    chosen = "return [...document.querySelectorAll('#seeds .id')].map((one) => one.title)"
    until(lambda: wanted in browser.run(chosen), f"{wanted} is a seed")


def the_page_is_whole(browser, url):
    browser.call("POST", "/url", {"url": url + "/"})
    until(lambda: "nodes" in browser.text("#store-facts"), "a store is chosen")
    equal(browser.count("h1"), 1, "headings of the first order")
    unlabelled = browser.run("""return [...document.querySelectorAll('input, select, button')].filter((one) =>
        !one.labels?.length && !one.getAttribute('aria-label') && !one.textContent.trim()).map((one) => one.id)""")
    equal(unlabelled, [], "every input has a label")
    browser.picture("1-empty")


def a_store_is_chosen_by_typing(browser):
    browser.run("document.getElementById('store').value = ''")
    browser.type("#store", "word")
    pick(browser, "#store", "wordnet")
    until(lambda: "116,650 nodes" in browser.text("#store-facts"), "WordNet is chosen")


def seeds_are_typed_and_asked(browser, url):
    add_by_keyboard(browser, "dog.n.0", "dog.n.01")
    add_by_keyboard(browser, "cat.n.0", "cat.n.01")
    weigh = """const slider = document.querySelectorAll('#seeds input[type=range]')[1]; slider.value = 2.5;
        slider.dispatchEvent(new Event('input', { bubbles: true }));"""
    browser.run(weigh)
    browser.click("#ask")
    until(lambda: browser.count("#results tbody tr") == 15, "fifteen results")
    answer = asked(url, {"seeds": ["dog.n.01", {"id": "cat.n.01", "weight": 2.5}], "top": 15})
    equal(ids(browser), [result["id"] for result in answer["results"]], "results are those of the API")
    assert "estimated" in browser.text("#summary") and "combine" in browser.text("#summary"), browser.text("#summary")
    assert '"weight":2.5' in browser.text("#curl"), browser.text("#curl")
    equal(browser.count("#results .whisker"), 15, "error bars")
    assert 10 <= browser.count("#drawing .node"), "a drawing"
    browser.picture("2-answer")


def paths_are_seen(browser):
    browser.hover("#results tbody tr:nth-child(6)")
    until(lambda: 1 <= browser.count("#drawing .edge.lit"), "its paths are lit")
    assert browser.count("#drawing .edge.lit") < browser.count("#drawing .edge"), "and only they"
    browser.picture("3-pointed-at")
    browser.click("#results tbody tr:nth-child(6) button")
    until(lambda: "→" in browser.text("#chosen .path"), "paths in words")
    until(lambda: browser.count("#neighbors .share") > 0, "its neighbours")
    assert "%" in browser.text("#chosen"), browser.text("#chosen")
    browser.run("document.querySelector('#drawing g.seed').focus()")
    until(lambda: 1 <= browser.count("#drawing svg.some"), "the keyboard reaches the drawing")
    browser.picture("4-chosen")


def filters_act(browser):
    before = ids(browser)
    browser.run("document.getElementById('more').open = true")
    browser.click("#exclude_seeds")
    browser.type("#exclude", f"id:{before[3]}" + KEYS["enter"])
    browser.click("#ask")
    until(lambda: ids(browser) and "dog.n.01" not in ids(browser), "seeds are left out")
    assert before[3] not in ids(browser), "and what was excluded"
    browser.type("#only", "type:animal" + KEYS["enter"])
    browser.run("document.getElementById('exclude_seeds').click()")
    browser.click("#ask")
    until(lambda: sorted(ids(browser)) == ["cat.n.01", "dog.n.01"], "only animals")
    assert "animal" in browser.text("#results tbody"), "types are shown"


def a_link_shows_the_same(browser):
    seen = ids(browser)
    link = browser.run("return location.href")
    browser.call("POST", "/refresh", {})
    until(lambda: ids(browser) == seen, "the page is as it was")
    equal(browser.run("return document.querySelectorAll('#seeds input[type=number]')[1].value"), "2.5", "weights too")
    browser.call("POST", "/back", {})
    until(lambda: ids(browser) and len(ids(browser)) == 15, "back goes back")
    browser.call("POST", "/url", {"url": link})
    until(lambda: ids(browser) == seen, "a link shows the same")


def problems_are_told(browser):
    browser.type("#seed", "no-such-id")
    browser.click("#ask")
    until(lambda: "no-such-id" in browser.text("#problem p"), "the problem names the id")
    assert "request " in browser.text("#problem small"), "and the request"
    browser.picture("5-problem")
    browser.click("#seeds li:last-child .remove")
    browser.click("#ask")
    until(lambda: browser.run("return document.getElementById('problem').hidden"), "and goes away")


def numbers_are_ids_too(browser, url):
    browser.call("POST", "/url", {"url": url + "/#" + urllib.parse.quote(json.dumps({"store": "numbers"}))})
    until(lambda: "5 nodes" in browser.text("#store-facts"), "the other store")
    add_by_keyboard(browser, "10", "100")
    browser.click("#ask")
    until(lambda: "exact" in browser.text("#summary") and "100" in ids(browser), "an exact answer")
    equal(browser.count("#results .whisker"), 0, "no error bars where there is no error")


def it_is_good_to_look_at_everywhere(browser, url):
    question = {"store": "wordnet", "seeds": [{"id": "dog.n.01", "weight": 1}, {"id": "wolf.n.01", "weight": 3}]}
    browser.call("POST", "/url", {"url": url + "/#" + urllib.parse.quote(json.dumps(question))})
    until(lambda: len(ids(browser)) == 15, "an answer")
    browser.dark(True)
    browser.click("#results tbody tr:nth-child(4) button")
    until(lambda: browser.count("#neighbors .share") > 0, "its neighbours")
    browser.picture("6-dark")
    browser.size(360, 800)
    wide = browser.run("return document.documentElement.scrollWidth")
    assert wide <= 360, f"the page is {wide} wide on a screen of 360"
    browser.picture("7-narrow")
    browser.run("document.getElementById('answer').scrollIntoView()")
    browser.picture("8-narrow-answer")
    browser.dark(False)
    browser.size(1400, 1000)


def main():
    url = sys.argv[1].rstrip("/")
    browser = Browser()
    try:
        the_page_is_whole(browser, url)
        a_store_is_chosen_by_typing(browser)
        seeds_are_typed_and_asked(browser, url)
        paths_are_seen(browser)
        filters_act(browser)
        a_link_shows_the_same(browser)
        problems_are_told(browser)
        numbers_are_ids_too(browser, url)
        it_is_good_to_look_at_everywhere(browser, url)
        equal(browser.errors(), [], "the console has no errors")
    except AssertionError as failed:
        browser.picture("failed")
        print(f"page: {failed}", file=sys.stderr)
        sys.exit(1)
    finally:
        browser.close()
    print("page: all is well")


main()
