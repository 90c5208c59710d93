# The power fails after the write is on the disk and before anybody is told.
network 4 validators
start all
submit B as one
crash B mid-commit whole after 1
run 10s
start B
submit B as two
expect final two within 30s
