"""The one page of the old kind; Nginx serves the frontend itself."""

from flask import Blueprint, render_template

from app.features import news
from app.release import RELEASE

routes = Blueprint("pages", __name__)


@routes.get("/")
@routes.get("/old/")
def index():
    """Show the release and its news."""
    return render_template("index.html", release=RELEASE, news=news.TEXT)
