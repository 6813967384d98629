# Say where a migration that is undone leaves the database, or bring back the dump of this run; never downgrade.
# Expects backups.sh and what that expects, was (the revision before), backup (the dump's id; empty: none), target,
# undo_database (keep, or restore: restart.sh follows, since copy.undo.sh leaves that to us).
now=$(revision_of "$database")
if [ "$now" = "$was" ]; then
  echo "the database is at ${was:-no revision}, as before"
  exit 0
fi
if [ "$undo_database" = keep ]; then
  echo "the database stays at ${now:-no revision} (before: ${was:-none}): the old code runs on the new schema"
  if [ -n "$backup" ]; then
    echo "if it is ill there: inv restore --backup $backup --target $target; what was written since is then lost"
  else
    echo 'no dump was made before the migration'
  fi
  exit 0
fi

# Whatever fails here, the app has to run again, and with the old files.
leave() { # STATUS
  [ "$1" != 0 ] || return 0
  exists "$replaced" || drop "$beside" || true
  compose_ restart "$service"
}

trap 'leave $?' EXIT
load
compose_ stop "$service"
exchange "$replaced" "$beside"
trap - EXIT
echo "$database is at ${was:-no revision} again; the migrated one is kept as $replaced until health is proven"
