"""A client of the Django site that keeps cookies and sends forms, as a browser does; and Debian's Chromium, which is one."""

import contextlib

from cdn import SLOW

CHROMIUM_FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-extensions",
                  "--disable-default-apps", "--window-size=800,600", "--mute-audio")


class Browser:
    """Asks one server (the site, or an edge in front of it)."""

    def __init__(self, server):
        self.server, self.jar = server, {}

    def __call__(self, method, target, body=""):
        headers = [("Cookie", "; ".join(f"{k}={v}" for k, v in self.jar.items()))] if self.jar else []
        if body:
            headers.append(("Content-Type", "application/x-www-form-urlencoded"))
        r = self.server.request(method, target, headers, body.encode(), host="127.0.0.1")
        for line in r.all("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.jar[name] = value
        return r

    def post_form(self, target, fields):
        self("GET", target)
        return self("POST", target, f"csrfmiddlewaretoken={self.jar['csrftoken']}&{fields}")


def signed_in(server):
    browser = Browser(server)
    assert browser.post_form("/admin/login/", "username=editor&password=editor").status == 302
    return browser


@contextlib.contextmanager
def chromium(folder, *flags):
    """Its driver of selenium; `folder` is its own."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*CHROMIUM_FLAGS, *flags, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.set_page_load_timeout(60 * SLOW)
    driver.set_script_timeout(60 * SLOW)
    try:
        yield driver
    finally:
        driver.quit()
