"""What Gunicorn serves."""

from app import create_app, features

application = create_app()
features.start()
