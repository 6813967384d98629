# Say where a migration that is undone leaves the database, or bring back the dump of this run; never downgrade.
# Expects backups.sh and what that expects, was (the revision before), backup (the dump's id; empty: none), target,
# undo_database (keep, or restore: restart.sh follows, since copy.undo.sh leaves that to us).

# Whatever fails here, the app has to run again, and with the old files.
leave() { # STATUS
  if [ "$1" = 0 ] || [ "$undo_database" = keep ]; then return 0; fi
  exists "$replaced" 2>/dev/null || drop "$beside" 2>/dev/null || true
  compose_ restart "$service"
}

tell_kept() {
  echo "the database stays at ${now:-no revision} (before: ${was:-none}): the old code runs on the new schema"
  if [ -n "$backup" ]; then
    echo "if it is ill there: inv restore --backup $backup --target $target; what was written since is then lost"
  else
    echo 'no dump was made before the migration'
  fi
}

bring_back() {
  load
  compose_ stop "$service"
  exchange "$replaced" "$beside"
  echo "$database is at ${was:-no revision} again; the migrated one is kept as $replaced until health is proven"
}

trap 'leave $?' EXIT
now=$(revision_of "$database") || stop "$database cannot be asked: whether it was migrated is unknown" 'see the line above'
if [ "$now" = "$was" ]; then
  echo "the database is at ${was:-no revision}, as before"
  # An undo that was killed may have exchanged it already, and have left the app stopped.
  exists "$replaced" || exit 0
elif [ "$undo_database" = keep ]; then
  tell_kept
  exit 0
else
  bring_back
fi
trap - EXIT
