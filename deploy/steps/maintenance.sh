# Put the maintenance page before the app, or take it away, and write down on the host which container has it.
# Expects containers.sh and what that expects, page (empty: it is taken away), page_settings, proves (not empty: first the host
# proves that the new release is healthy).

if [ -n "$proves" ]; then
  for script in prove.sh prove@*.sh; do
    [ ! -e "$script" ] || bash -euo pipefail "$script" new
  done
fi
if [ -n "$page" ]; then
  printf '%s' "$page" | inside maintain "$page_settings"
  say 'users of %s get the maintenance page' "$container"
else
  inside unmaintain "$page_settings" </dev/null
  say 'users of %s get the app' "$container"
fi

file=$(state_folder)/maintenance
{
  [ ! -e "$file" ] || awk -F '\t' -v name="$container" '$1 != name' "$file"
  [ -z "$page" ] || record "$container" "$(container_id "$container")" "$run" "$(date +%s)"
} >"$file.new"
[ "$EUID" != 0 ] || chown --reference="$path" "$file.new"
mv -f "$file.new" "$file"
