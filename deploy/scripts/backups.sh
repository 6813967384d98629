# The dumps of the database on the host, and how one becomes the database. How one is made and brought back is each kind's
# own: dumps/KIND.sh, which comes first, has the functions with the names that postgres.sh explains.
# Expects that script, containers.sh, the database's script and what these expect, run, backup_dir, dump_timeout (seconds),
# min_free_mib, list_dumps (the remedy that names them).
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
