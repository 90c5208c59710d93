# One hospital installs its server a week after the others have begun.
network 4 validators
start A B C
submit A x 5 as a
expect final all within 60s
run 10min
start D
expect same block on all within 60s
submit D as d
expect final d within 20s
