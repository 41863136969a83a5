"""A page of the Django site (html and 40 files) in Chromium at some place of the network, and what the model says it takes.

    Page(cdn)      Django, the CDN in front of it (`up --origin URL --wan`)
    .load(PLACE, HOST)    a browser with nothing cached, by itself: milliseconds to the load event, and every file's bytes
    .model_ms(PLACE, NODE, SIZES)    what its requests take on their way, by the model
"""

import contextlib
import heapq

from browser import chromium
from cdn import Client, parse_address
from travel import World, first_bytes_ms

PATH = "/shop/gallery/"
FILES = 40
MSS = 1460
NOTHING = {"html": 0, "file": 0, "rest": 0}
PER_HOST = 6  # connections that Chromium opens to one host; two of them at once, before it knows the page

LOADED = """
const done = arguments[arguments.length - 1], html = performance.getEntriesByType('navigation')[0];
const files = performance.getEntriesByType('resource').filter(e => !e.name.includes('favicon'));
Promise.all(files.map(e => fetch(e.name, {cache: 'force-cache'}).then(r => r.text()).then(t => [new URL(e.name).pathname, t])))
  .then(texts => done({load: html.loadEventStart, html: html.responseEnd, files: texts,
    each: files.map(e => e.responseEnd - e.requestStart), last: Math.max(...files.map(e => e.responseEnd)),
    broken: [...document.images].filter(i => !i.naturalWidth).map(i => i.src)}));
"""


class Page:
    def __init__(self, cdn):
        self.cdn = cdn
        self.site = cdn.django(DJANGO_ALLOWED_HOSTS="127.0.0.1,origin.cdn.test,www.cdn.test")
        self.world = World(cdn, "--origin", self.site.url, "--port", 0)
        with Client(parse_address(self.site.url.removeprefix("http://"))) as client:
            self.html = client.get(PATH, host="127.0.0.1").body

    def fetch(self, path):
        """What Django itself says."""
        with Client(parse_address(self.site.url.removeprefix("http://"))) as client:
            r = client.get(path, host="127.0.0.1")
        assert r.status == 200
        return r.body

    @contextlib.contextmanager
    def browser(self, place):
        proxy = self.world.proxy(place).replace("socks5h", "socks5")
        with chromium(self.cdn.folder("browser"), f"--proxy-server={proxy}", "--proxy-bypass-list=<-loopback>") as driver:
            yield driver

    def load(self, place, host):
        """{"load": milliseconds, "files": {path: text}, "broken": [...]} and when its parts came."""
        with self.browser(place) as driver:
            driver.get(f"http://{host}{PATH}")
            loaded = driver.execute_async_script(LOADED)
        loaded["files"] = dict(loaded["files"])
        return loaded

    def nearest(self, place):
        """The edge that DNS leads to."""
        return first_bytes_ms(self.world.proxy(place), f"http://www.cdn.test{PATH}")[1]

    def model_ms(self, place, node, sizes, own=NOTHING):
        """`sizes`: of the files, in the order of the page; `own`: of own_of()."""
        return model_ms(self.world.ask("travel", place)["paths"][node], len(self.html), sizes, own)


def own_of(loaded):
    """What the programs at both ends took in a load with no way between them: until the html was there, for each file (one
    after the other: they share a processor), and after the last one."""
    return {"html": loaded["html"], "file": (loaded["last"] - loaded["html"]) / len(loaded["files"]),
            "rest": loaded["load"] - loaded["last"]}


def rounds(n, window):
    """(rounds that n bytes take, the window afterwards): it doubles by each round that fills it."""
    count = 1
    while n > window:
        n -= window
        window *= 2
        count += 1
    return count, window


def model_ms(path, html, sizes, own):
    """A connection and the html, then the files in their order over six connections, each taking the next file when it has
    one; four of the six are opened when the html is there. Every request costs its rounds on the way; in the middle of the
    first one it waits for its turn at the programs."""
    rtt, per_ms = path["rtt_ms"], path["down"]["bytes_per_s"] / 1000 or float("inf")
    first, window = rounds(html, path["down"]["initial_window"])
    known = rtt + first * rtt + html / per_ms + own["html"]
    free = [(known, 0, window), (known, 1, path["down"]["initial_window"])]
    free += [(known + rtt, i, path["down"]["initial_window"]) for i in range(2, PER_HOST)]
    heapq.heapify(free)
    end = turn = known
    for n in sizes:
        at, i, window = heapq.heappop(free)
        count, window = rounds(n, window)
        turn = max(turn, at + rtt / 2) + own["file"]
        at = turn + rtt / 2 + (count - 1) * rtt + n / per_ms
        end = max(end, at)
        heapq.heappush(free, (at, i, window))
    return end + own["rest"]
