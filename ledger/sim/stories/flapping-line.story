# A line goes up and down every two seconds.
network 4 validators
start all
cut D | A B C
run 2s
heal
run 2s
cut D | A B C
submit A as one
run 2s
heal
run 2s
cut D | A B C
run 2s
heal
run 2s
cut D | A B C
submit B as two
run 2s
heal
expect final all within 30s
expect same block on all within 60s
