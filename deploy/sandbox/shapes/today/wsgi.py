"""What both of Gunicorn's programs serve: the app, and in the scheduler's its jobs too."""

from app import create_app, features, scheduler

application = create_app()
application.register_blueprint(scheduler.routes)
scheduler.start()
features.start()
