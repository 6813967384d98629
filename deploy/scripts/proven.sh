# Drops the database that a restore exchanged, now that what runs is proven healthy: before that it is the way back.
# Expects backups.sh and what that expects, before (healthy or ill: then an old release's health proved nothing).
# Its argument says what was proven, as that of prove.sh.
exists "$replaced" || exit 0
if [ "$1" = old ] && [ "$before" = ill ]; then
  say 'the old database is kept as %s: drop it when nothing in it is missed' "$replaced"
  exit 0
fi
drop "$replaced"
say 'dropped %s' "$replaced"
