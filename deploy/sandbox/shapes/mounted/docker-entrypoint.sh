#!/bin/sh
# Bring the database to the schema of the code, then become the server.
set -e
flask db upgrade
exec gunicorn --config gunicorn.conf.py wsgi:application
