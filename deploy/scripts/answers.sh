# Prints the status of each answer that the access log in the app's container tells of from now on, also where the log is
# rotated. Expects containers.sh and what that expects, access_log, seconds.
# Bounded in there: the end of this script does not end what runs in the container.
docker exec "$container" timeout "$seconds" tail -q -n 0 -F -- "$access_log" 2>/dev/null |
  awk 'match($0, /" [1-5][0-9][0-9] /) {print substr($0, RSTART + 2, 3); fflush()}' || true
