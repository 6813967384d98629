# Tells every run that has ended, the oldest first, in the records of runner.sh. Expects: path.
set -euo pipefail
git_ rev-parse --git-dir >/dev/null
folder=$(state_folder)
# cut ends the last line too, whatever was cut off there.
[ ! -e "$folder/history" ] || cut -b -16384 "$folder/history"
