# Give the database that was in use its name back; restart.sh, which follows, starts the app again.
# Expects backups.sh and what that expects.
trap '[ $? = 0 ] || control start' EXIT
if exists "$replaced"; then
  control stop
  exchange "$beside" "$replaced"
  say '%s is the one of before again' "$database"
fi
drop "$beside"
trap - EXIT
