# Puts a run's files, a tar on stdin, into its folder and starts the harness there. follow.sh comes after it.
# Expects: path, run (the new run's id).
set -euo pipefail

# Where git finds no clone there is no state folder either.
git_ rev-parse --git-dir >/dev/null
state=$(state_folder)
folder=$state/runs/$run
mkdir -p -m 700 "$state" "$state/runs"
mkdir -m 700 "$folder"
tar -x -m --no-same-owner -C "$folder"
touch "$state/lock" "$folder/journal" "$folder/alive" "$folder/errors" "$folder/guard.found"
# What root makes in somebody's clone must still be theirs at their own next run.
if [ "$(id -u)" = 0 ]; then
  chown --reference="$path" "$state" "$state/lock" "$state/runs"
  chown -R --reference="$path" "$folder"
fi

# The harness is born with the lock on `alive` and alone keeps it, so it is free exactly when the harness is gone.
exec 8<"$folder/alive"
flock 8
# A session of its own and no file of ours: the end of this SSH session doesn't reach it.
setsid bash "$folder/runner.sh" </dev/null >"$folder/errors" 2>&1 &
exec 8>&-
