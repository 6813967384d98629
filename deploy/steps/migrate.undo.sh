# Say where a step that may have written to the database leaves it, or bring back the dump of this run; never downgrade.
# What was done is what the schema shows, beside the revision: a migration may fail when some of it is there for good.
# Expects backups.sh and what that expects, schema.sh, was (the revision before), backup (the dump's id; empty: none),
# target, undo_database (keep, or restore: restart.sh follows, since copy.undo.sh leaves that to us).

# Whatever fails here, the app has to run again, and with the old files; where neither it nor they were touched it does.
leave() { # STATUS
  if [ "$1" = 0 ] || [ "$undo_database" = keep ]; then return 0; fi
  exists "$replaced" 2>/dev/null || drop "$beside" 2>/dev/null || true
  [ -n "$stopping" ] || [ -e "copied-$container" ] || return 0
  control restart
}

# find_differences: what the schema has now and had not before; nothing, too, where it was not seen before.
find_differences() {
  differences=
  keep_schema schema.now
  if [ -e schema.before ] && [ -e schema.now ]; then differences=$(schema_differences schema.before schema.now); fi
  rm -f schema.now schema.now.problem
}

tell_kept() {
  local at line
  at=$(or_say "$now" 'no revision')
  if [ "$now" = "$was" ]; then
    say 'the database is at %s, as before, but its schema is not:' "$at"
  else
    say 'the database stays at %s (before: %s): the old code runs on the new schema' "$at" "$(or_say "$was" 'none')"
  fi
  tell_differences <<<"$differences" | while IFS= read -r line; do say '  %s' "$line"; done
  if [ -n "$backup" ]; then
    say 'if it is ill there: %s; what was written since is then lost' "inv restore --backup $backup --target $target"
  else
    say 'no dump was made before'
  fi
}

bring_back() {
  load
  stopping=1
  control stop
  : >restored
  exchange "$replaced" "$beside"
  say '%s is at %s again; the other one is kept as %s until health is proven' \
    "$database" "$(or_say "$was" 'no revision')" "$replaced"
}

stopping=
trap 'leave $?' EXIT
now=$(revisions) ||
  stop "$(say '%s cannot be asked: whether it was changed is unknown' "$database")" "$(say 'see the line above')"
find_differences
if [ "$now" = "$was" ] && [ -z "$differences" ]; then
  at=$(or_say "$was" 'no revision')
  if [ -e schema.before ]; then
    say 'the database is at %s, as before, and so is its schema' "$at"
  else
    say 'the database is at %s, as before' "$at"
  fi
  # An undo that was killed may have exchanged it already, and have left the app stopped.
  if [ "$undo_database" = keep ] || ! exists "$replaced"; then exit 0; fi
elif [ "$undo_database" = keep ]; then
  tell_kept
  exit 0
else
  bring_back
fi
trap - EXIT
