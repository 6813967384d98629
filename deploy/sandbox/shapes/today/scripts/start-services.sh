#!/bin/sh
# The container's first process: write the Nginx site from its template, then become supervisord.
set -eu
export WHALEFALL_NGINX_SERVER_NAMES="${WHALEFALL_NGINX_SERVER_NAMES:-_}"
export WHALEFALL_NGINX_SSL_CERTIFICATE="${WHALEFALL_NGINX_SSL_CERTIFICATE:-/etc/nginx/whalefall.crt}"
export WHALEFALL_NGINX_SSL_CERTIFICATE_KEY="${WHALEFALL_NGINX_SSL_CERTIFICATE_KEY:-/etc/nginx/whalefall.key}"
# Only these: Nginx has variables of its own.
names='${WHALEFALL_NGINX_SERVER_NAMES} ${WHALEFALL_NGINX_SSL_CERTIFICATE} ${WHALEFALL_NGINX_SSL_CERTIFICATE_KEY}'
envsubst "$names" </etc/nginx/templates/whalefall-prod.template >/etc/nginx/sites-available/whalefall
ln -sf /etc/nginx/sites-available/whalefall /etc/nginx/sites-enabled/whalefall
nginx -t
exec /usr/bin/supervisord --nodaemon --configuration /etc/supervisor/supervisord.conf
