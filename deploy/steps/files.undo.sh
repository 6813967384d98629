# Bring back what was at its places elsewhere in the container.
# Expects containers.sh and what that expects, install_settings, container_id of the container that they were brought to.

# One that was recreated meanwhile has its image's.
[ "$(docker inspect --type container --format '{{.Id}}' "$container" 2>/dev/null)" = "$container_id" ] || exit 0
inside uninstall "$install_settings" </dev/null
