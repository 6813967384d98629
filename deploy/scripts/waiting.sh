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

# Who holds what somebody waits for: the run's own sessions, or whoever wants to change a table. Never what they asked.
holders_query="select distinct format('waits for %s: held by session %s (user %s, application %s, %s since %s)',
    coalesce('a lock on ' || wanted.relation::regclass, 'a lock'), holder.pid, coalesce(holder.usename, 'unknown'),
    coalesce(nullif(holder.application_name, ''), 'without a name'), coalesce(holder.state, 'in a state that is not shown'),
    coalesce(to_char(coalesce(holder.xact_start, holder.backend_start), 'YYYY-MM-DD HH24:MI:SS TZ'), 'unknown'))
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
