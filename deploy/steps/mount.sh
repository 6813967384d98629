# See that the app's folder in the container is the clone, before that moves. Changes nothing.
# Expects containers.sh and what that expects, app_path.

# The same folder has the same number wherever it is mounted.
there=$(docker exec "$container" stat -c %d:%i "$app_path")
[ "$there" = "$(stat -L -c %d:%i "$path")" ] || { say '%s in %s is not %s any more' "$app_path" "$container" "$path" >&2; exit 1; }
say '%s in %s is %s' "$app_path" "$container" "$path"
