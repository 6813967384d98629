"""What is wrong, and why: the runbook's troubleshooting.

`facts` reads what the state does not have, `case` is all that is known; `judging` goes through the rules of
`containers`, `programs`, `releasing` and `serving`, those first that explain the most.
"""
