# Bring files of the copied commit to their places elsewhere in the container.
# Expects containers.sh and what that expects, install_settings, edited (places of those that were changed by hand).

# What git does not know cannot be had back from git, so it is kept here before it is replaced.
for place in ${edited[@]+"${edited[@]}"}; do
  saved=$(state_folder)/saved/$run
  mkdir -p "$saved"
  docker exec "$container" cat "$place" >"$saved/${place##*/}"
  [ "$EUID" != 0 ] || chown -R --reference="$path" "$(state_folder)/saved"
  say 'saved on the host: %s (it was changed by hand)' "$saved/${place##*/}"
done
inside install "$install_settings" </dev/null
