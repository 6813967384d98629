# No database: nothing is asked, nobody is waited for.
# Functions as in postgres.sh.

no_lock=none dump_programs= session_variable=HOT_UPDATE_SESSION read_only=
session_of() { :; }

tell_database() { record db_none; }
tell_versions() { :; }
revisions() { :; }
tell_schema() { :; }
watch_holders() { read -r -u "$stop" _ || true; }
watch_waits() { read -r -u "$stop" _ || true; }
end_sessions() { echo 0; }
