# Puts a run's files, a tar on stdin, into its folder and starts the harness there. follow.sh comes after it.
# Expects: path, run (the new run's id; empty: it gets one here).
set -euo pipefail

# Where git finds no clone there is no state folder either.
git_ rev-parse --git-dir >/dev/null
state=$(state_folder)
run=${run:-$(run_time "$state")-$(printf %04x "$RANDOM")}
folder=$state/runs/$run
mkdir -p -m 700 "$state" "$state/runs"
mkdir -m 700 "$folder"
tar -x -m --no-same-owner -C "$folder"
touch "$state/lock" "$folder/journal" "$folder/alive" "$folder/errors" "$folder/guard.found"
# Where the harness tells what the clone's disk does not take: where there is no disk, if possible.
for place in /run /dev/shm /tmp; do
  if spill=$(mktemp "$place/hot-update.$run.XXXXXX" 2>/dev/null) && ln -s "$spill" "$folder/spill"; then break; fi
done
# Whoever finishes this run after a crash of the host needs all of it.
sync "$folder"/* "$folder/steps" "$folder"/steps/* "$folder" 2>/dev/null || true
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
