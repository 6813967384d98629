# How MySQL is dumped and restored: it has no names of databases to exchange, so the dump is first restored into a database
# beside, to see that it can be, and then, while the app is stopped, over the one in use, which is dumped before.
# Functions as in postgres.sh. Expects backups.sh, the database's script and what these expect.
beside=${database:0:34}_restore_$run
replaced=$(backup_folder)/$run.before
# Asked for now, since the app is stopped for some of what follows.
[ -n "$database_container" ] || connect || connection=

# admin_ NAMES ARGUMENT...: a program in the database's container, as root where its password is known there, for no
# longer than dump_timeout.
admin_() {
  if [ -z "$database_container" ]; then
    by_client 'limit=$1 names=$2; shift 2
      for name in $(echo "$names" | tr , " "); do ! command -v "$name" >/dev/null || break; done
      exec timeout -k 5 "$limit" "$name" --host="$HOT_UPDATE_HOST" --port="$HOT_UPDATE_PORT" --user="$HOT_UPDATE_USER" \
        --default-character-set=utf8mb4 "$@"' "$dump_timeout" "$@"
    return
  fi
  client_ "limit=$dump_timeout"'
  [ -z "$MARIADB_ROOT_PASSWORD$MYSQL_ROOT_PASSWORD$MARIADB_ROOT_PASSWORD_FILE$MYSQL_ROOT_PASSWORD_FILE" ] ||
    { shift; set -- root "$@"; }
  '"$as_client" "$@"
}
ask() { admin_ mariadb,mysql --batch --skip-column-names "${@:2}" <<<"$1"; } # SQL [DATABASE]

as_name() { printf '`%s`' "${1//\`/\`\`}"; }

database_size() {
  query <<<'select coalesce(sum(data_length + index_length), 0) from information_schema.tables where table_schema = database();'
}

revision_of() {
  # The tables are called by their database.
  local version_table=${version_table:+$1.${version_table#*.}}
  ask "$version_query" "$1" | revisions_of
}
tables_of() {
  ask "select count(*) from information_schema.tables where table_type = 'BASE TABLE' and table_schema = $(as_text "$1");"
}

exists() { [ -e "$1" ]; }

drop() {
  case $1 in
    "$beside") ask "drop database if exists $(as_name "$1");" ;;
    *) rm -f "$1" ;;
  esac
}

make_dump() {
  local words
  refuse_other
  if ! words=$({
    admin_ mariadb-dump,mysqldump --single-transaction --routines --triggers --events --hex-blob --no-tablespaces \
      --loose-set-gtid-purged=OFF --loose-column-statistics=0 "$database" </dev/null |
      dd of="$1" bs=1M conv=fsync status=none
  } 2>&1); then
    printf '%s\n' "$words" >&2
    stop "$(say 'no dump could be made: %s' "${words##*$'\n'}")" "$(say 'see the lines above')"
  fi
}

# The last line is there once all is written. Line ends within data are escaped.
tables_in() {
  tail -n 1 "$1" | grep -q '^-- Dump completed' ||
    stop "$(say 'the dump is not whole: it has no end')" "$(say 'see that its disk is not full')"
  grep -ac '^CREATE TABLE `' "$1" || [ $? = 1 ]
}

prepare_beside() {
  local words
  refuse_other
  room "$(df -Pk "${replaced%/*}" | awk 'NR == 2 {print $4}')" "$(database_size)" \
    "$(say 'in %s' "${replaced%/*}")" "$(say 'free some space there, or set backup.dir')"
  words=$(make_empty "$beside" 2>&1) ||
    stop "$(say 'no database can be made beside %s: %s' "$database" "${words##*$'\n'}")" \
      "$(say 'give the container the password of root, or %s the right to make databases' "$database_user")"
  fill "$beside" "$1"
}

# make_empty NAME: a new database, as the one in use is.
make_empty() {
  local charset collation
  read -r charset collation < <(ask "select default_character_set_name, default_collation_name
    from information_schema.schemata where schema_name = $(as_text "$database");") || [ -n "${charset-}" ]
  ask "drop database if exists $(as_name "$1"); create database $(as_name "$1") character set $charset collate $collation;"
}

fill() { # NAME FILE
  local words
  if ! words=$(admin_ mariadb,mysql "$1" <"$2" 2>&1); then
    printf '%s\n' "$words" >&2
    stop "$(say 'the dump %s cannot be restored: %s' "${2##*/}" "${words##*$'\n'}")" "$(say 'see the lines above')"
  fi
}

# exchange ASIDE NEXT: put the dump, or with that as NEXT the one of before, into the place of the database.
exchange() {
  local folder
  folder=$(backup_folder)
  case $2 in
    "$beside")
      # Once it is there it is what was in use before, whatever was killed since.
      if [ ! -e "$1" ]; then
        make_dump "$1.part"
        tables_in "$1.part" >/dev/null
        mv "$1.part" "$1"
      fi
      drop "$beside"
      make_empty "$database"
      fill "$database" "$folder/$backup.dump"
      ;;
    *)
      make_empty "$database"
      fill "$database" "$2"
      drop "$2"
      ;;
  esac
}
