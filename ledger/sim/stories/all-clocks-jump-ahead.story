# A broken time server sets all clocks a day ahead, one hospital after the other.
network 4 validators
start all
submit A as one
expect final one within 10s
clock A +24h
run 5s
clock B +24h
run 5s
clock C +24h
run 5s
clock D +24h
submit A as two
expect final two within 2min
