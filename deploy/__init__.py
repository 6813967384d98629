"""Hot updates of a Flask application in a running Compose container."""
