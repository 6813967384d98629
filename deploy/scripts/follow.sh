# Prints a run's journal as it grows, until the run has ended. Expects: path, run (empty: the one in progress,
# else the last that had the lock), from (the first line to print), and redact.sh.
# Two records are its own: `none` where there is no such run, `gone` where the harness died without a last word.
set -euo pipefail

# The holder's run, else the last that had the lock: ids begin with their time, so they sort by age.
latest_run() {
  local found
  found=$(sed -n 's/^run\t//p' "$state/holder" 2>/dev/null) || true
  if [ -z "$found" ]; then
    found=$(grep -lE $'^[0-9.]+\tlocked$' "$state"/runs/*/journal 2>/dev/null | tail -n 1) || true
    found=${found%/journal}
  fi
  printf '%s' "${found##*/}"
}

follow() {
  local folder=$state/runs/$run
  if [ -z "$run" ] || [ ! -e "$folder/journal" ]; then
    record "$(date +%s.%3N)" none "$run"
    return
  fi
  # Waits for as long as the harness lives. A process id alone could meanwhile belong to another process.
  flock --shared "$folder/alive" true </dev/null >/dev/null 2>&1 &
  tail -n +"$from" -s 0.1 -f --pid=$! "$folder/journal"
  grep -qE $'^[0-9.]+\tdone\t' "$folder/journal" || record "$(date +%s.%3N)" gone "$(tail -n 5 "$folder/errors" | redact)"
}

# Where git finds no clone there is no state folder either.
git_ rev-parse --git-dir >/dev/null
state=$(state_folder)
run=${run:-$(latest_run)}
follow
