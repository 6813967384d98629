# Say where a step that may have written to the database leaves it, or bring back the dump of this run; never downgrade.
# What was done is what the schema shows, beside the revision: a migration may fail when some of it is there for good.
# Expects backups.sh and what that expects, schema.sh, was (the revision before), backup (the dump's id; empty: none),
# target, undo_database (keep, or restore: restart.sh follows, since copy.undo.sh leaves that to us).

# Whatever fails here, the app has to run again, and with the old files.
leave() { # STATUS
  if [ "$1" = 0 ] || [ "$undo_database" = keep ]; then return 0; fi
  exists "$replaced" 2>/dev/null || drop "$beside" 2>/dev/null || true
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
  if [ "$now" = "$was" ]; then
    echo "the database is at ${now:-no revision}, as before, but its schema is not:"
  else
    echo "the database stays at ${now:-no revision} (before: ${was:-none}): the old code runs on the new schema"
  fi
  [ -z "$differences" ] || sed 's/^\([a-z]*\)\t/  \1: /' <<<"$differences"
  if [ -n "$backup" ]; then
    echo "if it is ill there: inv restore --backup $backup --target $target; what was written since is then lost"
  else
    echo 'no dump was made before'
  fi
}

bring_back() {
  load
  control stop
  : >restored
  exchange "$replaced" "$beside"
  echo "$database is at ${was:-no revision} again; the other one is kept as $replaced until health is proven"
}

trap 'leave $?' EXIT
now=$(revision_of "$database") || stop "$database cannot be asked: whether it was changed is unknown" 'see the line above'
find_differences
if [ "$now" = "$was" ] && [ -z "$differences" ]; then
  echo "the database is at ${was:-no revision}, as before$([ ! -e schema.before ] || echo ', and so is its schema')"
  # An undo that was killed may have exchanged it already, and have left the app stopped.
  exists "$replaced" || exit 0
elif [ "$undo_database" = keep ]; then
  tell_kept
  exit 0
else
  bring_back
fi
trap - EXIT
