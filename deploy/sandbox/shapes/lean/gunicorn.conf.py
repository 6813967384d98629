"""Gunicorn in production."""

bind = "0.0.0.0:5000"
workers = 2
graceful_timeout = 30
accesslog = "-"
