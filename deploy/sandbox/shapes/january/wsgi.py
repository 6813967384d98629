"""What Gunicorn serves: the app, with what runs beside the requests in a worker."""

from app import create_app, features, scheduler

application = create_app()
scheduler.start()
features.start()
