"""Gunicorn in production, for the scheduler: one worker, since its jobs have no other lock."""

import os

bind = "127.0.0.1:5002"
worker_class = "sync"
workers = 1
preload_app = False
max_requests = int(os.environ.get("GUNICORN_MAX_REQUESTS", "1000"))
max_requests_jitter = max_requests // 20
timeout = 120
graceful_timeout = 30
accesslog = "/app/userdata/logs/gunicorn_scheduler_access.log"
errorlog = "/app/userdata/logs/gunicorn_scheduler_error.log"
loglevel = "info"
