# Bring back what was there before something built came into the container.
# Expects containers.sh and what that expects, container_id, ship_settings (of each).

# revive.sh has given what was built before to one that was recreated meanwhile.
[ "$(docker inspect --type container --format '{{.Id}}' "$container" 2>/dev/null)" = "$container_id" ] || exit 0
for ((i = ${#ship_settings[@]} - 1; i >= 0; i--)); do
  inside unship "${ship_settings[i]}" </dev/null
done
