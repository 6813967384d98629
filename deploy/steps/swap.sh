# Stop the app and let the restored database and the one in use change their names; restart.sh, which follows, starts
# the app again. Expects backups.sh and what that expects.
control stop
exchange "$replaced" "$beside"
echo "$database is the restored one now; the old one is kept as $replaced until health is confirmed"
