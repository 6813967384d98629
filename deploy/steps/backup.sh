# Dump the database, and keep the dump only when it is whole. Changes nothing of production.
# Expects backups.sh and what that expects, keep, code (the revision that runs; empty: unknown).

leave() { # STATUS
  stop_telling
  rm -f "$part"
  # What is left of it in its container would hold its locks against the next migration.
  [ "$1" = 0 ] || end_sessions >/dev/null 2>&1 || true
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

# Who waits for a long dump sees that it grows, less often the longer it takes.
tell_growth() {
  local pause=5 never
  exec {never}<> <(:)
  while ! read -r -t "$pause" <&"$never"; do
    say '%s dumped so far' "$(in_units "$(stat -c %s "$part")")"
    [ "$pause" -ge 60 ] || pause=$((pause * 2))
  done
}

# By a signal that Bash has no words for.
stop_telling() {
  [ -z "${growth-}" ] || kill -PIPE "$growth" 2>/dev/null || true
  growth=
}

in_units() { numfmt --to=iec-i --suffix=B "$1" | sed 's/[A-Z]/ &/'; }

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
size=$(database_size)
room "$(df -Pk "$folder" | awk 'NR == 2 {print $4}')" "$size" "$(say 'in %s' "$folder")" "$(say 'free some space there, or set backup.dir')"
revision=$(revisions)
# Should it be left alone it holds no lock.
tell_growth 9>&- &
growth=$!
make_dump "$part"
stop_telling
tables=$(tables_in "$part")
complete
say '%s at %s: %s tables, %s in %s' \
  "$database" "$(or_say "$revision" 'no revision')" "$tables" "$(in_units "$bytes")" "$folder/$run.dump"
prune
