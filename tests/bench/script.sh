# The runbook's steps as a plain shell script, run on the host: what inv bench measures the hot update beside.
# Arguments: the clone, the app's container, the code's owner there, the database's container, the URL through Nginx, the
# direct URL.
set -euo pipefail
clone=$1 app=$2 owner=$3 postgres=$4 urls=("$5" "$6")
baseline=20251219161048
cd "$clone"

was=$(git rev-parse HEAD)
git fetch -q origin main
git reset -q --hard origin/main

# The copy leaves what git does not know alone; what was deleted upstream has to go too.
git -c tar.umask=022 archive HEAD | docker exec -i -u "$owner" "$app" tar -x -C /app
git diff -z --name-only --no-renames --diff-filter=D "$was" HEAD | docker exec -i -w /app "$app" xargs -0 -r rm -f --

docker exec "$app" find /app \( -path /app/.venv -o -path /app/userdata \) -prune -o -type d -name __pycache__ -exec rm -rf {} +
docker exec "$app" find /var/cache/nginx -mindepth 1 -delete

# A database that cannot be asked ends the script here: it is neither empty nor unstamped.
ask() {
  docker exec "$postgres" sh -c 'PGPASSWORD=$POSTGRES_PASSWORD exec psql "$@"' \
    psql -X -q -A -t -U whalefall_user -d whalefall_prod -c "$1"
}
flask() { docker exec -u "$owner" -w /app -e ENABLE_SCHEDULER=false "$app" /app/.venv/bin/flask db "$@"; }
stamped=$(ask "select to_regclass('alembic_version') is not null")
tables=$(ask "select count(*) from information_schema.tables where table_schema = 'public'")
if [ "$stamped" = f ] && [ "$tables" != 0 ]; then flask stamp "$baseline"; fi
flask upgrade

docker compose -f docker-compose.prod.yml restart whalefall
sleep 10
for url in "${urls[@]}"; do
  for attempt in {1..30}; do
    if curl -fsS --noproxy '*' -o /dev/null --max-time 5 "$url"; then continue 2; fi
    sleep 2
  done
  echo "$url is not healthy" >&2
  exit 1
done
docker exec "$app" nginx -t
docker exec "$app" nginx -s reload
git rev-parse --short HEAD
