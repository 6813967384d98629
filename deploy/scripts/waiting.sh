# Who waits for a lock in the database, and who holds it. Expects containers.sh and what that expects.

# ask_again SECONDS OPTION...: hand the query on stdin to a session of its own, again and again, until a line comes on
# descriptor `stop`, or nobody reads the answers; nothing is asked where a line comes before the first pause is over.
# A session, not a command each: it is cheap, and between two questions it holds nothing.
ask_again() {
  local query
  query=$(cat)
  ! read -r -t "$1" -u "$stop" _ || return 0
  { while printf '%s\n' "$query" && ! read -r -t "$1" -u "$stop" _; do :; done; } 2>/dev/null | psql_ "${@:2}" 2>/dev/null
}

# tell_holder: say it of every answer to holders_query on stdin, whose fields are parted by unit separators.
tell_holder() {
  local table session user application state since
  while IFS=$'\x1f' read -r table session user application state since; do
    say 'waits for %s: held by session %s (user %s, application %s, %s since %s)' \
      "$(if [ -n "$table" ]; then say 'a lock on %s' "$table"; else say 'a lock'; fi)" "$session" \
      "$(or_say "$user" 'unknown')" "$(or_say "$application" 'without a name')" \
      "$(or_say "$state" 'in a state that is not shown')" "$(or_say "$since" 'unknown')"
  done
}

# Who holds what somebody waits for: the run's own sessions, or whoever wants to change a table. Never what they asked.
holders_query="select distinct wanted.relation::regclass, holder.pid, holder.usename, holder.application_name, holder.state,
    to_char(coalesce(holder.xact_start, holder.backend_start), 'YYYY-MM-DD HH24:MI:SS TZ')
  from pg_locks wanted join pg_stat_activity waiting using (pid)
    cross join lateral unnest(pg_blocking_pids(pid)) as blocking(pid) join pg_stat_activity holder on holder.pid = blocking.pid
  where not granted and waiting.datname = current_database() and (waiting.application_name = :'name'
    or locktype in ('relation', 'virtualxid') and mode in ('ShareUpdateExclusiveLock', 'ShareLock',
      'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))
  limit 3;"

# For how long, in seconds, somebody waits for a lock now: the longest.
longest_query="select round(coalesce(max(extract(epoch from clock_timestamp()
    - coalesce((to_jsonb(l)->>'waitstart')::timestamptz, query_start))), 0)::numeric, 3)
  from pg_locks l join pg_stat_activity a using (pid) where not granted and datname = current_database();"
