# Stamp where the plan says so, upgrade, and see that the database is where it should be. A lock is not waited for longer
# than requests may wait behind it: it is tried again, unless something is there for good.
# Expects the database's script, flask.sh, schema.sh, waiting.sh and what those expect, stamp, upgrade, head, lock_timeout (seconds; 0: none),
# attempts.

folder=$(mktemp -d)
trap 'tell_killed $?; rm -rf "$folder"' EXIT

upgrade_once() { flask_ upgrade 2>&1 | spare_traceback | repeat_error | tell_revisions | tee "$folder/said"; }

# spare_traceback: pass a program's words on; of a traceback for want of a lock the error alone: who holds that is told.
spare_traceback() {
  local line traceback=
  while IFS= read -r line || [ -n "$line" ]; do
    if [ -z "$traceback" ] && [[ $line != 'Traceback '* ]]; then
      printf '%s\n' "$line"
    else
      traceback+=$line$'\n'
    fi
  done
  if [ "$lock_timeout" != 0 ] && [[ $traceback =~ $no_lock ]]; then
    grep -E "$no_lock" <<<"$traceback" | tail -n 1
  else
    printf '%s' "$traceback"
  fi
}

# tell_holders: who is waited for, once each, while the migration runs.
tell_holders() {
  local line
  watch_holders 0.5 | tell_holder | while IFS= read -r line; do
    grep -qxF -- "$line" "$folder/holders" || printf '%s\n' "$line"
    printf '%s\n' "$line" >>"$folder/holders"
  done
}

# attempt: an upgrade, with who holds it up.
attempt() {
  local watcher status=0
  : >"$folder/holders"
  # A new one: a line that nobody has read is not for the next attempt.
  exec {stop}<> <(:)
  tell_holders &
  watcher=$!
  upgrade_once || status=$?
  # Bash loses a line that comes just as its read times out; the next one meets the next read.
  printf '\n\n\n' >&"$stop"
  wait "$watcher" || true
  exec {stop}>&-
  return "$status"
}

# untouched: is the database as it was before the first attempt?
untouched() {
  keep_schema "$folder/now"
  [ -e "$folder/before" ] && [ -e "$folder/now" ] && cmp -s "$folder/before" "$folder/now" &&
    [ "$(revisions)" = "$start" ]
}

give_up() { # WHY
  local holder
  holder=$(tail -n 1 "$folder/holders")
  if [ -n "$holder" ]; then say '%s: the migration %s' "$1" "$holder"; else printf '%s\n' "$1"; fi >&2
  exit 1
}

upgrade() {
  local number
  for ((number = 1; ; number++)); do
    ! attempt || return 0
    [ "$lock_timeout" != 0 ] && grep -qE "$no_lock" "$folder/said" || exit 1
    untouched ||
      give_up "$(say 'no lock within %s s, and a part of the migration is there for good' "$lock_timeout")"
    [ "$number" -lt "$attempts" ] || give_up "$(say 'no lock within %s s, %s times' "$lock_timeout" "$attempts")"
    say 'no lock within %s s: requests go first, and in %s s it is tried again (%s of %s)' \
      "$lock_timeout" "$lock_timeout" "$number" "$attempts"
    sleep "$lock_timeout"
  done
}

session=$(session_of "$lock_timeout")
stand_by || true
# A stamp by hand has no head to go to: it is what mends a disagreement.
[ -z "$head" ] || agree
if [ -n "$stamp" ]; then
  flask_ stamp "$stamp" 2>&1 | repeat_error
  say 'stamped with %s' "$stamp"
fi
[ -n "$upgrade" ] || exit 0
start=$(revisions)
keep_schema "$folder/before"
upgrade
found=$(revisions)
if [ "$found" != "$head" ]; then
  say 'the upgrade ended without an error, but the database is at %s and not at %s' \
    "$(or_say "$found" 'no revision')" "$head" >&2
  exit 1
fi
say 'database at %s' "$head"
