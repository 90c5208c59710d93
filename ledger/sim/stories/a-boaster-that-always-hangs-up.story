# A node that was away asks whoever claims the longest chain. A liar claims it, answers nothing, and
# loses its connection every moment, so that no time limit ever ends. The others are asked all the same.
network 4 validators
start all
submit A x 3 as one
expect final all within 30s
liar D false-heads deaf unreadable
crash C
submit A x 3 as two
run 30s
start C
expect same block on A B C within 60s
settle
expect told D unreadable
audit
