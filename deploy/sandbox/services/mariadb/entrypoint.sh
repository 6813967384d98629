# Make the database on the first start, then become the server.
set -eu
data=/var/lib/mysql
install -d -o mysql -g mysql -m 700 "$data" /run/mysqld
if [ ! -d "$data/mysql" ]; then
  mariadb-install-db --no-defaults --datadir="$data" --user=mysql --auth-root-authentication-method=normal --skip-test-db >/dev/null
  # The passwords go in by stdin: a command line is for all to read.
  setpriv --reuid=mysql --regid=mysql --init-groups mariadbd --no-defaults --datadir="$data" --bootstrap <<SQL
FLUSH PRIVILEGES;
ALTER USER root@localhost IDENTIFIED BY '$MARIADB_ROOT_PASSWORD';
CREATE DATABASE $MARIADB_DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
CREATE USER $MARIADB_USER@'%' IDENTIFIED BY '$MARIADB_PASSWORD';
GRANT ALL ON $MARIADB_DATABASE.* TO $MARIADB_USER@'%';
SQL
fi
exec setpriv --reuid=mysql --regid=mysql --init-groups mariadbd --no-defaults --datadir="$data" --socket=/run/mysqld/mysqld.sock
