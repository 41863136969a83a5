"""manage.py serve [HOST:PORT]: the site on Django's own threaded WSGI server, without reloader and debug pages.

Port 0 lets the kernel choose; the address stands in the line that says `event=ready`."""

import signal
import sys

from django.core.management.base import BaseCommand, CommandError
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

from cdnsite.wsgi import application


class Handler(WSGIRequestHandler):
    def log_message(self, *args):
        """The CDN logs requests."""


class Command(BaseCommand):
    help = "Serves the site."
    requires_system_checks = []

    def add_arguments(self, parser):
        parser.add_argument("address", nargs="?", default="127.0.0.1:8000", help="HOST:PORT")

    def handle(self, *args, **options):
        host, _, port = options["address"].rpartition(":")
        try:
            server = ThreadedWSGIServer((host, int(port)), Handler)
        except (OSError, ValueError) as error:
            raise CommandError(f"cannot listen on {options['address']}: {error}") from None
        server.set_app(application)
        server.daemon_threads = True
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        host, port = server.server_address
        print(f"level=info program=django event=ready public={host}:{port}", file=sys.stderr, flush=True)
        server.serve_forever()
