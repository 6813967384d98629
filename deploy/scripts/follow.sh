# Prints a run's journal as it grows, until the run has ended. Expects: path, run (empty: the one in progress,
# else the last that had the lock), from (the first line to print), and redact.sh.
# Two records are its own: `none` where there is no such run, `gone` where the harness died without a last word.
set -euo pipefail

# The holder's run, else the last that had the lock: ids sort by age.
latest_run() {
  local found
  found=$(sed -n 's/^run\t//p' "$state/holder" 2>/dev/null | head -n 1) || true
  if ! is_run "$found"; then
    found=$(grep -laE $'^[0-9.]+\tlocked$' "$state"/runs/*/journal 2>/dev/null | tail -n 1) || true
    found=${found%/journal}
  fi
  printf '%s' "${found##*/}"
}

# tell FIELD...: a record of our own; what stands before it may be cut off.
tell() { printf '\n'; record "$(date +%s.%3N)" "$@"; }

ended_in() { grep -qaE $'^[0-9.]+\tdone\t' "$1" 2>/dev/null; }

follow() {
  local folder=$state/runs/$run spill
  if ! is_run "$run" || [ ! -e "$folder/journal" ]; then
    tell none "$run"
    return
  fi
  # Waits for as long as the harness lives. A process id alone could meanwhile belong to another process.
  flock --shared "$folder/alive" true </dev/null >/dev/null 2>&1 &
  tail -n +"$from" -s 0.1 -f --pid=$! "$folder/journal" || true
  if ended_in "$folder/journal"; then return; fi
  spill=$(spill_of "$folder")
  [ ! -s "$spill" ] || { echo; cat "$spill"; }
  ended_in "$spill" || tell gone "$(tail -n 5 "$folder/errors" 2>/dev/null | redact)"
}

# Where git finds no clone there is no state folder either.
git_ rev-parse --git-dir >/dev/null
state=$(state_folder)
run=${run:-$(latest_run)}
follow
