# Who waits for a lock in the database, and who holds it. Expects the database's script.

# ask_again SECONDS SQL: have one session carry it out again and again, until a line comes on descriptor `stop`, or nobody
# reads the answers; nothing is asked where a line comes before the first pause is over.
# A session, not a command each: it is cheap, and between two questions it holds nothing.
ask_again() {
  ! read -r -t "$1" -u "$stop" _ || return 0
  { while printf '%s\n' "$2" && ! read -r -t "$1" -u "$stop" _; do :; done; } 2>/dev/null |
    inside_timeout=86400 query 2>/dev/null
}

# tell_holder: say it of every answer of watch_holders on stdin.
tell_holder() {
  local table session user application state since
  # Bash takes several tabs for one.
  tr '\t' '\037' | while IFS=$'\x1f' read -r table session user application state since; do
    say 'waits for %s: held by session %s (user %s, application %s, %s since %s)' \
      "$(if [ -n "$table" ]; then say 'a lock on %s' "$table"; else say 'a lock'; fi)" "$session" \
      "$(or_say "$user" 'unknown')" "$(or_say "$application" 'without a name')" \
      "$(or_say "$state" 'in a state that is not shown')" "$(or_say "$since" 'unknown')"
  done
}
