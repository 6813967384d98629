# Who waits for a lock in the database, and who holds it, as watch_holders answers it.

# tell_holder: say it of every answer on stdin.
tell_holder() {
  local table session user application state since
  while IFS=$'\x1f' read -r table session user application state since; do
    say 'waits for %s: held by session %s (user %s, application %s, %s since %s)' \
      "$(if [ -n "$table" ]; then say 'a lock on %s' "$table"; else say 'a lock'; fi)" "$session" \
      "$(or_say "$user" 'unknown')" "$(or_say "$application" 'without a name')" \
      "$(or_say "$state" 'in a state that is not shown')" "$(or_say "$since" 'unknown')"
  done
}
