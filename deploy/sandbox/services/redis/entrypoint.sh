# The password goes in by a file: a command line is for all to read.
set -eu
umask 077
printf 'bind *\nprotected-mode no\ndir /data\nappendonly yes\nrequirepass "%s"\n' "$REDIS_PASSWORD" >/etc/redis/whalefall.conf
chown redis /etc/redis/whalefall.conf /data
exec setpriv --reuid=redis --regid=redis --init-groups redis-server /etc/redis/whalefall.conf
