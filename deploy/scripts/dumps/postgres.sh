# How PostgreSQL is dumped and restored: into a database beside the one in use, then the two change their names.
# Of each kind, the functions of these names are used: what is restored but not yet in use is called $beside, and what was
# in use before $replaced. Expects backups.sh, the database's script and what these expect.
# PostgreSQL cuts names after 63 bytes.
beside=${database:0:34}_restore_$run
replaced=${database:0:34}_before_$run
maintenance=postgres
[ "$database" != postgres ] || maintenance=template1
# Asked for now, since the app is stopped for some of what follows.
[ -n "${database_container-}" ] || [ -z "${backup_client-}" ] || connect || connection=

# pg_ PROGRAM ARGUMENT...: a program of PostgreSQL in its container; the password stays in there. Ended in there too,
# since the end of docker exec would not end it; and its sessions are marked, so that they can be ended.
pg_() {
  if [ -z "$database_container" ]; then
    by_client 'exec timeout -k 5 "$@"' "$dump_timeout" "$@"
    return
  fi
  docker exec -i -e "PGAPPNAME=hot-update $run" -e "PGUSER=$database_user" "$database_container" \
    sh -c 'PGPASSWORD=$POSTGRES_PASSWORD PGCONNECT_TIMEOUT=10 exec timeout -k 5 "$@"' sh "$dump_timeout" "$@"
}

[ -n "${database_container-}" ] || psql_() { pg_ psql -X -q -A -t -F $'\t' -v ON_ERROR_STOP=1 "$@"; }

# ask SQL [NAME=VALUE...]: ask the server where no database of ours has to be left alone.
ask() {
  local sql=$1 options=() pair
  for pair in "${@:2}"; do options+=(-v "$pair"); done
  psql_ -d "$maintenance" ${options[@]+"${options[@]}"} <<<"set client_min_messages = warning; $sql"
}

# database_size: in bytes, at the most what a dump of it takes.
database_size() { query <<<'select pg_database_size(current_database());'; }

# revision_of NAME, tables_of NAME: what one of the databases is at, and how many tables it has.
revision_of() { psql_ -d "$1" <<<"$version_query" | revisions_of; }
tables_of() { psql_ -d "$1" <<<"$tables_query"; }

# exists NAME, drop NAME: is it there, and away with it.
exists() { [ -n "$(ask "select 1 from pg_database where datname = :'name'" name="$1")" ]; }

drop() { ask 'drop database if exists :"name" with (force)' name="$1"; }

# make_dump FILE: write a whole dump of the database in use.
make_dump() {
  local words
  refuse_other
  if ! words=$({
    pg_ pg_dump --format=custom --lock-wait-timeout=60s --dbname="$database" |
      dd of="$1" bs=1M conv=fsync status=none
  } 2>&1); then
    printf '%s\n' "$words" >&2
    words=$(grep -m 1 -E 'error( writing|:)' <<<"$words" || tail -n 1 <<<"$words")
    stop "$(say 'no dump could be made: %s' "$words")" "$(say 'see the lines above')"
  fi
}

# tables_in FILE: of a dump that is whole, how many tables it has. The list is at its head; whether the rest is there too
# shows only when all of it is read.
tables_in() {
  local list
  list=$(pg_ pg_restore --list <"$1") || stop "$(say 'pg_restore cannot list the dump')" "$(say 'see the lines above')"
  pg_ pg_restore --file=/dev/null <"$1" || stop "$(say 'pg_restore cannot read the dump to its end')" "$(say 'see the lines above')"
  awk '$4 == "TABLE" && $5 != "DATA" && $5 != "ATTACH" {count++} END {print count + 0}' <<<"$list"
}

refuse_forbidden() {
  local allowed
  allowed=$(ask "select rolsuper or rolcreatedb from pg_roles where rolname = current_user")
  [ "$allowed" = t ] ||
    stop "$(say '%s may not make databases, and a dump is restored into a new one' "$database_user")" \
      "$(say 'as a superuser: ALTER ROLE "%s" CREATEDB' "$database_user")"
}

# The new database is as the one in use: encoding, locale, owner, limit, settings and grants are not in a dump of its
# content. Under the lock, what is left of an earlier restore is of one that was killed.
make_beside() {
  local words
  words=$(ask "$make_query" name="$database" new="$beside" leftovers="${database:0:34}_restore_" 2>&1) ||
    stop "$(say 'no database like %s can be made beside it: %s' "$database" "$words")" \
      "$(say 'see what its settings and grants need')"
}

make_query="
select format('drop database %I with (force)', datname) from pg_database where starts_with(datname, :'leftovers') \gexec
select format('create database %I owner %I template template0 encoding %L lc_collate %L lc_ctype %L connection limit %s',
    :'new', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit)
  || case when more->>'datlocprovider' = 'i' then
    format(' locale_provider icu icu_locale %L', coalesce(more->>'daticulocale', more->>'datlocale')) else '' end
  from (select *, to_jsonb(d) as more from pg_database d where datname = :'name') as found \gexec
select format('revoke all on database %I from public', :'new') from pg_database
  where datname = :'name' and datacl is not null \gexec
select format('grant %s on database %I to %s%s', privilege_type, :'new',
    case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
    case when is_grantable then ' with grant option' else '' end)
  from pg_database, aclexplode(datacl) where datname = :'name' \gexec
select format('alter %s database %I set %I to %s',
    case setrole when 0 then '' else format('role %I in', pg_get_userbyid(setrole)) end, :'new', split_part(one, '=', 1),
    case when split_part(one, '=', 1) in ('search_path', 'temp_tablespaces', 'local_preload_libraries',
      'session_preload_libraries') then substr(one, strpos(one, '=') + 1)
    else quote_literal(substr(one, strpos(one, '=') + 1)) end)
  from pg_db_role_setting join pg_database d on d.oid = setdatabase, unnest(setconfig) as one
  where datname = :'name' \gexec"

# Tables as pg_restore --list counts them: those of extensions come with these.
tables_query="select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace
  where relkind in ('r', 'p') and nspname !~ '^(pg_|information_schema\$)'
  and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid and deptype = 'e')"

# prepare_beside FILE: restore a dump into a new database.
prepare_beside() {
  local free words
  refuse_other
  refuse_forbidden
  free=$(docker exec "$database_container" sh -c 'df -Pk "${PGDATA:-/var/lib/postgresql/data}"' 2>/dev/null |
    awk 'NR == 2 {print $4}') || free=
  [ -z "$free" ] || room "$free" "$(fact "$backup" size)" \
    "$(say 'for the database in %s' "$database_container")" "$(say 'free some space there')"
  make_beside
  if ! words=$(pg_ pg_restore --exit-on-error --dbname="$beside" <"$1" 2>&1); then
    printf '%s\n' "$words" >&2
    words=$(grep -m 1 error: <<<"$words" || tail -n 1 <<<"$words")
    stop "$(say 'the dump %s cannot be restored: %s' "$backup" "$words")" "$(say 'see the lines above')"
  fi
  psql_ -d "$beside" <<<"set client_min_messages = error; analyze"
}

# exchange ASIDE NEXT: the database in use gets the name ASIDE, and NEXT gets its name; both or neither.
exchange() {
  local attempt words
  # Somebody may connect again between the end of all sessions and the lock that keeps new ones out.
  for attempt in {1..5}; do
    words=$(ask "$exchange_query" name="$database" aside="$1" next="$2" 2>&1) || continue
    return 0
  done
  stop "$(say 'the two databases could not change their names: %s' "${words##*$'\n'}")" "$(say '%s is as it was' "$database")"
}

exchange_query="set lock_timeout = '20s';
select pg_terminate_backend(pid, 5000) from pg_stat_activity
  where datname in (:'name', :'next') and pid <> pg_backend_pid();
begin;
alter database :\"name\" rename to :\"aside\";
alter database :\"next\" rename to :\"name\";
commit;"
