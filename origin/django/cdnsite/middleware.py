"""Shows what a page cost, so that a cached one can be told from a made one."""

import time

from django.db import connection


class DatabaseTiming:
    """Adds `Server-Timing: db;dur=…;desc="3 queries", app;dur=…` to every answer."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        cost = {"queries": 0, "seconds": 0.0}

        def measure(execute, sql, params, many, context):
            start = time.perf_counter()
            try:
                return execute(sql, params, many, context)
            finally:
                cost["queries"] += 1
                cost["seconds"] += time.perf_counter() - start

        start = time.perf_counter()
        with connection.execute_wrapper(measure):
            response = self.get_response(request)
        total = time.perf_counter() - start
        response["Server-Timing"] = (f'db;dur={cost["seconds"] * 1000:.1f};desc="{cost["queries"]} queries", '
                                     f"app;dur={total * 1000:.1f}")
        return response
