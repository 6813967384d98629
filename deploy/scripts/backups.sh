# The dumps of the database on the host, and how one becomes the database. How one is made and brought back is each kind's
# own: dumps/KIND.sh, which comes first, has the functions with the names that postgres.sh explains.
# Expects that script, containers.sh, the database's script and what these expect, run, backup_dir, backup_client,
# dump_timeout (seconds), min_free_mib, list_dumps (the remedy that names them).
umask 077

stop() { # FACT REMEDY
  say '%s · %s' "$1" "$2" >&2
  exit 1
}

# backups: the ids of this database's whole dumps, the newest first: they begin with their time.
backups() {
  local about
  for about in "$folder"/*.about; do
    [ -e "${about%.about}.dump" ] || continue
    grep -qaxF -- "$(record database "$database")" "$about" || continue
    about=${about##*/}
    ! is_run "${about%.about}" || printf '%s\n' "${about%.about}"
  done | sort -r
}

# unknown_backups: the ids of dumps whose description does not tell, to its end, whose they are.
unknown_backups() {
  local dump
  for dump in "$folder"/*.dump; do
    [ -e "$dump" ] || continue
    # Its last line is there, or it is ours already.
    ! grep -qaxF -- "$(record database "$database")" "${dump%.dump}.about" 2>/dev/null || continue
    ! grep -qa $'^database\t.' "${dump%.dump}.about" 2>/dev/null ||
      ! grep -qax $'time\t[0-9]*' "${dump%.dump}.about" || continue
    dump=${dump##*/}
    ! is_run "${dump%.dump}" || printf '%s\n' "${dump%.dump}"
  done
}

# fact ID NAME: what is known of a dump.
fact() { sed -n "s/^$2\t//p" "$folder/$1.about"; }

mib() { printf '%s' $((($1 + 1048575) / 1048576)); } # BYTES

# room FREE_KIB BYTES PLACE REMEDY: refuse what would not fit, or leave too little.
room() {
  [ $(($1 / 1024)) -ge $(($(mib "$2") + min_free_mib)) ] ||
    stop "$(say '%s MiB free %s: the database has %s MiB, and %s MiB have to stay free' \
      $(($1 / 1024)) "$3" "$(mib "$2")" "$min_free_mib")" "$4"
}

refuse_damaged() {
  local sum
  sum=$(sha256sum "$folder/$backup.dump") || exit 1
  [ "${sum%% *}" = "$(fact "$backup" sha256)" ] ||
    stop "$(say 'the dump %s is damaged: its bytes are not those that were checked when it was made' "$backup")" "$list_dumps"
}

# load: make the dump ready beside the database in use, and see that it is what it should be.
load() {
  local found
  folder=$(backup_folder)
  refuse_damaged
  prepare_beside "$folder/$backup.dump"
  found=$(revision_of "$beside")
  [ "$found" = "$(fact "$backup" revision)" ] ||
    stop "$(say 'restored, the dump %s is at %s and not at %s' \
      "$backup" "$(or_say "$found" 'no revision')" "$(fact "$backup" revision)")" "$list_dumps"
  found=$(tables_of "$beside")
  [ "$found" = "$(fact "$backup" tables)" ] ||
    stop "$(say 'restored, the dump %s has %s tables and not %s' "$backup" "$found" "$(fact "$backup" tables)")" "$list_dumps"
  if [ -n "$beside" ]; then
    say 'restored %s as %s: %s tables, at %s' "$backup" "$beside" "$found" "$(fact "$backup" revision)"
  else
    say 'the dump %s is whole: %s tables, at %s' "$backup" "$found" "$(fact "$backup" revision)"
  fi
}

# by_client SCRIPT ARGUMENT...: a script for sh where the client is, with the connection that the app has in its environment:
# that comes over stdin and stands nowhere else, neither in a file nor on a command line. What is on stdin follows.
# Expects connection, which connect has asked for.
by_client() {
  {
    printf 'PGAPPNAME=hot-update %s\n%s\n\n' "$run" "$connection"
    # Not everybody reads all of it.
    cat || true
  } | at_client "$(client_place)" sh -c "$connected$1" sh "${@:2}"
}
connected='while IFS= read -r line && [ -n "$line" ]; do export "$line"; done
  [ -n "$HOT_UPDATE_DATABASE" ] || exit 1
'

# refuse_other: the names of databases are what all of this goes by, and a URL may name any.
refuse_other() {
  [ -z "$database_container" ] || return 0
  [ -n "$connection" ] ||
    stop "$(say 'how the app connects to %s could not be asked' "$database")" "$(say 'see the lines above')"
  [[ $connection$'\n' == *$'\n'"HOT_UPDATE_DATABASE=$database"$'\n'* ]] ||
    stop "$(say 'the database is not called %s' "$database")" "$(say 'set database.name to the name that it has')"
}
