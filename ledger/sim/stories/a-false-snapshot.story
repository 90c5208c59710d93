# A node that was away for long takes a snapshot, of which a liar spoils every piece that it gives.
network 4 validators empty_block_interval=1000
start all
run 1s
crash A
run 90s
liar D false-snapshots
start A
expect same block on A B C within 3min
submit A as one
expect final one within 60s
audit
