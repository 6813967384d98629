# Give the database that was in use its name back; restart.sh, which follows, starts the app again.
# Expects backups.sh and what that expects.
trap '[ $? = 0 ] || compose_ start "$service"' EXIT
if exists "$replaced"; then
  compose_ stop "$service"
  exchange "$beside" "$replaced"
  echo "$database is the one of before again"
fi
drop "$beside"
trap - EXIT
