# One node dies at each of its next transactions in turn, promises and blocks alike, and always comes
# back to what it had promised.
network 4 validators
start all
submit A as t
crash C mid-commit part
run 5s
start C
submit A as u
crash C mid-commit part after 1
run 5s
start C
submit A as v
crash C mid-commit part after 2
run 5s
start C
submit A as w
crash C mid-commit part after 3
run 5s
start C
expect same block on all within 60s
