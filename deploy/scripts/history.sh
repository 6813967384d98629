# Tells every run that has ended, the oldest first, in the records of runner.sh. Expects: path.
set -euo pipefail
git_ rev-parse --git-dir >/dev/null
folder=$(state_folder)
[ ! -e "$folder/history" ] || cat "$folder/history"
