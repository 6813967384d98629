"""Gunicorn in production."""

import os

bind = "0.0.0.0:5001"
worker_class = "gevent"
workers = int(os.environ.get("GUNICORN_WORKERS", "1"))
preload_app = False
max_requests = int(os.environ.get("GUNICORN_MAX_REQUESTS", "1000"))
max_requests_jitter = max_requests // 20
timeout = 120
graceful_timeout = 30
keepalive = 5
accesslog = "/app/userdata/logs/gunicorn_access.log"
errorlog = "/app/userdata/logs/gunicorn_error.log"
loglevel = "info"
