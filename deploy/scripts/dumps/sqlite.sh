# How SQLite's file is dumped and restored: it is replaced while the app's container is stopped, so from outside, by
# docker cp; the old one is kept on the host. Functions as in postgres.sh; nothing is called $beside.
# Expects backups.sh and what that expects, inside_settings.
beside=
replaced=$(backup_folder)/$run.before
# What lies beside the file, and belongs to it.
ends=(-journal -wal)

database_size() { query <<<'select page_count * page_size from pragma_page_count(), pragma_page_size();'; }

revision_of() { revisions_of <<<"$checked"; }
tables_of() { sed -n 's/^tables\t//p' <<<"$checked"; }

exists() { [ -e "$1" ]; }

drop() {
  if [ -n "$1" ]; then
    rm -f "$1" "$1.place" "${ends[@]/#/$1}"
  elif [ ! -e "$replaced" ]; then
    rm -f "$replaced.place"
  fi
}

make_dump() {
  local words
  if ! words=$({
    inside_timeout=$dump_timeout inside dump "$inside_settings" </dev/null | dd of="$1" bs=1M conv=fsync status=none
  } 2>&1); then
    stop "$(say 'no dump could be made: %s' "$(reason dump "$words")")" "$(say 'see that the file of the database can be read')"
  fi
}

tables_in() {
  local checked
  check_dump "$1"
  tables_of
}

# check_dump FILE: have the database's own program read it to its end, in the app's container; what it holds is in `checked`.
check_dump() {
  checked=$(
    { printf '%s\n\n' "select 'tables', count(*) from sqlite_master where type = 'table' and name not like 'sqlite%';
$version_query"; cat "$1"; } | inside_timeout=$dump_timeout inside check "$inside_settings" 2>&1
  ) || stop "$(say 'the dump is damaged: %s' "$(reason check "$checked")")" "$list_dumps"
}

prepare_beside() {
  local free
  check_dump "$1"
  inside place "$inside_settings" </dev/null >"$replaced.place"
  room "$(df -Pk "${replaced%/*}" | awk 'NR == 2 {print $4}')" "$(stat -c %s "$1")" \
    "$(say 'in %s' "${replaced%/*}")" "$(say 'free some space there, or set backup.dir')"
  free=$(docker exec "$container" df -Pk "$(sed -n 1p "$replaced.place")" 2>/dev/null | awk 'NR == 2 {print $4}') || free=
  [ -z "$free" ] || room "$free" "$(stat -c %s "$1")" "$(say 'in %s' "$container")" "$(say 'free some space there')"
}

# exchange ASIDE NEXT: put the dump, or with NEXT the file of before, into the place of the database.
exchange() {
  local place end folder
  folder=$(backup_folder)
  mapfile -t place <"$replaced.place"
  if [ -n "$2" ]; then
    put_archive "$2"
    for end in "${ends[@]}"; do
      if [ -e "$2$end" ]; then put_archive "$2$end"; elif there "$end"; then put_file "$end" /dev/null; fi
    done
    drop "$2"
    return
  fi
  # Once it is there it is what was in use before, whatever was killed since.
  if [ ! -e "$1" ]; then
    for end in "${ends[@]}"; do
      docker cp -a "$container:${place[0]}$end" - >"$1$end" 2>/dev/null || rm -f "$1$end"
    done
    docker cp -a "$container:${place[0]}" - >"$1.part" && sync "$1.part" && mv "$1.part" "$1" ||
      stop "$(say 'the file of the database cannot be taken out of %s' "$container")" "$(say '%s is as it was' "$database")"
  fi
  put_file '' "$folder/$backup.dump"
  # What the old file has left there would be taken for the new one's.
  for end in "${ends[@]}"; do
    [ ! -e "$1$end" ] || put_file "$end" /dev/null
  done
}

there() { docker cp -a "$container:${place[0]}$1" - >/dev/null 2>&1; } # END

put_archive() { docker cp -a - "$container:${place[0]%/*}" <"$1"; } # ARCHIVE

put_file() { # END FILE
  local work
  work=$(mktemp -d "${replaced%/*}/$run.XXXXXX")
  cat "$2" >"$work/${place[0]##*/}$1"
  tar -C "$work" --numeric-owner --owner="${place[1]}" --group="${place[2]}" --mode="${place[3]}" -cf - -- \
    "${place[0]##*/}$1" | docker cp -a - "$container:${place[0]%/*}"
  rm -rf "$work"
}
