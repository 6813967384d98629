# Ends what a failed step may have left elsewhere: processes of the run in the container, and their database backends.
# Expects containers.sh and what that expects, run. An engine that just restarts is waited for.
# `undo` begins only after this.

until docker version >/dev/null 2>&1; do
  [ "$SECONDS" -lt 60 ] || { say 'Docker does not answer' >&2; exit 1; }
  sleep 1
done
if [ "$(docker inspect --format '{{.State.Running}}' "$container" 2>/dev/null)" = true ]; then
  inside settle "$inside_settings" </dev/null
fi
if [ "$(docker inspect --format '{{.State.Running}}' "$postgres_container" 2>/dev/null)" = true ]; then
  # A backend may be busy for a while after its client has gone; a database that is down has none.
  for _ in {1..30}; do
    left=$(psql_ -v name="hot-update $run" 2>/dev/null <<<"select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name = :'name';") || break
    [ "$left" != 0 ] || break
    sleep 1
  done
fi
