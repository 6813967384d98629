"""WhaleFall: as small as it can be and still behave like the real one."""

import os

from flask import Flask

from app import features, health, import_time, logs, pages
from app.models import db, migrate


def create_app() -> Flask:
    """Build the application from the container's environment."""
    application = Flask(__name__)
    application.config.from_mapping(
        SECRET_KEY=os.environ["SECRET_KEY"],
        SEND_FILE_MAX_AGE_DEFAULT=600,
        SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"],
        SQLALCHEMY_ENGINE_OPTIONS={"pool_pre_ping": True, "connect_args": {"connect_timeout": 3}},
    )
    logs.configure()
    db.init_app(application)
    migrate.init_app(application, db)
    application.register_blueprint(health.routes)
    application.register_blueprint(pages.routes)
    features.register(application)
    import_time.spend()
    return application
