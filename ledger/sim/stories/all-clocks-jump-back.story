# A broken time server sets all clocks an hour back. Block time never goes back.
network 4 validators
start all
submit A as one
expect final one within 10s
clock all -1h
submit A as two
expect final two within 60s
audit
