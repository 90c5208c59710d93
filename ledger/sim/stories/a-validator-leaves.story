# One of five gives its vote back, and then its server is switched off: four are left and decide.
network 5 validators
start all
vote validators A B C D in 5 blocks
run 4min
stop E
submit A as one
expect final one within 30s
start E
audit
