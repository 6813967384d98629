# Claims to tell others of a run: status 3 where somebody else has done so before. Expects: path, run.
set -euo pipefail
cd "$(state_folder)/runs/$run"
mkdir told 2>/dev/null || { [ ! -d told ] || exit 3; exit 1; }
[ "$EUID" != 0 ] || chown --reference="$path" told
