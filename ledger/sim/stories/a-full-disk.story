# A hospital's disk is full. It says so and waits; the others go on; with room again it catches up.
network 4 validators
start all
submit A as one
expect final one within 10s
disk C full
submit A as two
expect final two within 30s
expect reason C "full" within 30s
disk C room
expect same block on all within 2min
