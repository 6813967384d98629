# Tells a run that is a part of several hosts' to go on, or that its time begins anew.
# Expects: path, run, point (where it waits; empty: its time begins anew).
set -euo pipefail
cd "$(state_folder)/runs/$run"
file=${point:+go.$point}
: >"${file:-renewed}"
[ "$EUID" != 0 ] || chown --reference="$path" "${file:-renewed}"
