# Dump the database, and keep the dump only when it is whole. Changes nothing of production.
# Expects backups.sh and what that expects, keep, code (the revision that runs; empty: unknown).

leave() { # STATUS
  rm -f "$part"
  # What is left of a pg_dump in its container would hold its locks against the next migration.
  [ "$1" = 0 ] ||
    ask "select pg_terminate_backend(pid) from pg_stat_activity where application_name = :'name'" \
      name="hot-update $run" >/dev/null 2>&1 || true
}

# A folder that the operator named may be on a disk that is not there: only the last part of its path is made.
prepare_folder() {
  local words
  if [ ! -d "$folder" ]; then
    words=$(mkdir "$folder" 2>&1) || refuse_folder "$words" "$(say 'make it on the host, or set backup.dir')"
    own "$folder"
  fi
  words=$({ : >"$part"; } 2>&1) || refuse_folder "$words" "$(say 'mend it, or set backup.dir')"
  # Under the lock, a part is what a killed run left.
  find "$folder" -maxdepth 1 -name '*.dump.part' ! -path "$part" -delete
}

refuse_folder() { # WORDS REMEDY
  stop "$(say 'backups cannot go to %s: %s' "$folder" "${1##*: }")" "$2"
}

# What root makes in somebody's clone must still be theirs at their own next run.
own() { [ "$EUID" != 0 ] || chown --reference="$path" "$@"; }

dump() {
  local words
  if ! words=$({
    pg_ pg_dump --format=custom --lock-wait-timeout=60s --dbname="$database" |
      dd of="$part" bs=1M conv=fsync status=none
  } 2>&1); then
    printf '%s\n' "$words" >&2
    words=$(grep -m 1 -E 'error( writing|:)' <<<"$words" || tail -n 1 <<<"$words")
    stop "$(say 'no dump could be made: %s' "$words")" "$(say 'see the lines above')"
  fi
}

# The list is at its head; whether the rest is there too shows only when all of it is read.
check() {
  local list
  list=$(pg_ pg_restore --list <"$part") || stop "$(say 'pg_restore cannot list the dump')" "$(say 'see the lines above')"
  pg_ pg_restore --file=/dev/null <"$part" || stop "$(say 'pg_restore cannot read the dump to its end')" "$(say 'see the lines above')"
  tables=$(awk '$4 == "TABLE" && $5 != "DATA" && $5 != "ATTACH" {count++} END {print count + 0}' <<<"$list")
}

# The dump is there once it has its name, and its description has it before.
complete() {
  local sum
  bytes=$(stat -c %s "$part")
  sum=$(sha256sum "$part")
  {
    record run "$run"
    record database "$database"
    record revision "$revision"
    record code "$code"
    record bytes "$bytes"
    record size "$size"
    record tables "$tables"
    record sha256 "${sum%% *}"
    record time "$(date +%s)"
  } >"$folder/$run.about.new"
  sync "$folder/$run.about.new"
  mv "$folder/$run.about.new" "$folder/$run.about"
  own "$folder/$run.about" "$part"
  mv "$part" "$folder/$run.dump"
}

prune() {
  local id about
  # This run's own stays, whatever its name and those of the others say of their age.
  for id in $(backups | grep -vxF -- "$run" | tail -n +"$keep"); do
    rm -f "$folder/$id.dump" "$folder/$id.about"
    say 'removed %s: %s are kept' "$id" "$keep"
  done
  for about in "$folder"/*.about; do
    [ -e "${about%.about}.dump" ] || rm -f "$about"
  done
}

folder=$(backup_folder)
part=$folder/$run.dump.part
trap 'leave $?' EXIT
prepare_folder
size=$(psql_ <<<'select pg_database_size(current_database())')
room "$(df -Pk "$folder" | awk 'NR == 2 {print $4}')" "$size" "$(say 'in %s' "$folder")" "$(say 'free some space there, or set backup.dir')"
revision=$(revision_of "$database")
dump
check
complete
amount=$(numfmt --to=iec-i --suffix=B "$bytes" | sed 's/[A-Z]/ &/')
say '%s at %s: %s tables, %s in %s' "$database" "$(or_say "$revision" 'no revision')" "$tables" "$amount" "$folder/$run.dump"
prune
