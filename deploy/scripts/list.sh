# Tells this database's dumps, the newest first, in records; changes nothing.
# Expects backups.sh and what that expects. `now` is the host's clock, to tell ages by.
set -euo pipefail
folder=$(backup_folder)
record now "$(date +%s)" "$folder"
if [ -d "$folder" ] && ! { [ -r "$folder" ] && [ -x "$folder" ]; }; then
  say '%s cannot be read by %s' "$folder" "$(id -un)" >&2
  exit 1
fi
for id in $(backups); do
  head -n 50 "$folder/$id.about" | cut -b -4096 | sed "s/^/about\t$id\t/"
done
for id in $(unknown_backups); do record about "$id"; done
