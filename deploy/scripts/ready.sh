# For a step that begins in the app's container: have the program wait there, and wait for the turn.
# Expects containers.sh and what that expects.
stand_ready
await_turn
