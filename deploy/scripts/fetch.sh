# Ask a URL from the app's container: a line with the status, 000 for no answer, and one with base64 of what was answered.
# Expects containers.sh and what that expects, url, host_header, seconds.
answered=$(mktemp)
trap 'rm -f "$answered"' EXIT
fetch "$url" "$host_header" 1 "$seconds" "$answered"
echo
base64 -w 0 "$answered"
