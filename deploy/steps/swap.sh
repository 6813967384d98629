# Stop the app and let the restored database and the one in use change their names; restart.sh, which follows, starts
# the app again. Expects backups.sh and what that expects.
control stop
exchange "$replaced" "$beside"
say '%s is the restored one now; the old one is kept as %s until health is confirmed' "$database" "$replaced"
