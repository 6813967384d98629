# Flask-Migrate in the app container, as the code's owner.
# Expects besides the shared variables: owner, environment (array), migrate_timeout.

# timeout inside the container too: one around docker exec would end only the client.
flask_() {
  local options=() entry
  for entry in "${environment[@]}"; do options+=(-e "$entry"); done
  docker exec -i "${options[@]}" -u "$owner" -w "$app_path" "$container" \
    timeout -k 5 "$migrate_timeout" "$flask" db "$@" </dev/null
}
