"""manage.py setup: database, contents, static files. May be repeated: contents that are there stay as they are."""

import os

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand

from newsroom.models import Story
from shop.models import Product

PRODUCTS = [
    ("lamp", "Desk lamp", 4900, "A lamp that bends where you need it.", "home light"),
    ("mug", "Enamel mug", 1200, "Survives camp fires and dishwashers.", "home kitchen"),
    ("bike", "City bike", 64900, "Seven gears, one bell, no nonsense.", "outdoor"),
    ("radio", "Kitchen radio", 8900, "Plays what the air brings.", "home kitchen"),
    ("tent", "Two-person tent", 15900, "Up in five minutes, down in four.", "outdoor"),
    ("clock", "Wall clock", 3500, "Tells the time; does not tick.", "home"),
]
STORIES = [
    ("storm", "Storm closes the harbour", "Ferries stay in port until further notice.",
     "The harbour office closed both piers at noon. Winds are expected to ease by the evening."),
    ("bridge", "New bridge opens a month early", "The first cyclists crossed at dawn.",
     "After two years of work the bridge over the river is open. Cars follow next week."),
    ("library", "Library lends out tools", "Drills next to novels.",
     "Members can borrow forty tools from today. Most wanted so far: the pressure washer."),
]


class Command(BaseCommand):
    help = "Makes the database, fills it with products and stories, and collects the static files."

    def add_arguments(self, parser):
        parser.add_argument("--no-static", action="store_true", help="leave the static files alone")

    def handle(self, *args, **options):
        verbosity = max(0, options["verbosity"] - 1)
        call_command("migrate", interactive=False, verbosity=verbosity)
        for slug, name, cents, text, topics in PRODUCTS:
            Product.objects.get_or_create(slug=slug, defaults={
                "name": name, "price_cents": cents, "description": text, "topics": topics, "image": f"shop/{slug}.svg"})
        for slug, title, lead, body in STORIES:
            Story.objects.get_or_create(slug=slug, defaults={"title": title, "lead": lead, "body": body})
        self._editor()
        if not options["no_static"]:
            call_command("collectstatic", interactive=False, verbosity=verbosity)
        self.stdout.write(f"{Product.objects.count()} products, {Story.objects.count()} stories; "
                          "sign in at /admin/ as 'editor'")

    @staticmethod
    def _editor():
        """The account of the demo. Its password is DJANGO_EDITOR_PASSWORD, or 'editor' on a machine of your own."""
        users = get_user_model().objects
        if not users.filter(username="editor").exists():
            users.create_superuser("editor", "editor@example.org", os.environ.get("DJANGO_EDITOR_PASSWORD", "editor"))
