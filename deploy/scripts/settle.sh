# Ends what a failed step may have left elsewhere: processes of the run in the container, and their database backends.
# Expects containers.sh, the database's script and what these expect, run, container_started. An engine that just restarts is waited for.
# `undo` begins only after this.

until docker version >/dev/null 2>&1; do
  [ "$SECONDS" -lt 60 ] || { say 'Docker does not answer' >&2; exit 1; }
  sleep 1
done
# The undo of the copy restarts it.
if [ -e "copied-$container" ] && looping; then hold; fi
if [ "$(docker inspect --format '{{.State.Running}}' "$container" 2>/dev/null)" = true ]; then
  inside settle "$inside_settings" </dev/null
fi
# A backend may be busy for a while after its client has gone; a database that is down has none.
if [ -z "$database_service" ] || [ "$(docker inspect --format '{{.State.Running}}' "$database_container" 2>/dev/null)" = true ]; then
  for _ in {1..30}; do
    left=$(end_sessions 2>/dev/null) || break
    [ "$left" != 0 ] || break
    sleep 1
  done
fi
