# Restore a dump into a new database beside the one in use. Changes nothing of that.
# Expects backups.sh and what that expects, backup (the dump's id).
trap '[ $? = 0 ] || drop "$beside" >&2' EXIT
load
