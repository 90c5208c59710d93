# A liar uses every restart of the honest ones, which come back from their disks and say what they said.
network 4 validators proposer_term=1
start all
liar D equivocate rush false-statements
submit A x 3 as one
run 2s
crash A mid-commit part
submit B x 3 as two
run 3s
start A
run 3s
crash B mid-commit garbled
submit C x 3 as three
run 3s
start B
settle
expect final all within 2min
expect same block on A B C within 60s
audit
