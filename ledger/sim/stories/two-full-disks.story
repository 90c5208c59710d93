# Two of four disks are full: nothing can be decided, nothing is lost, and it goes on by itself.
network 4 validators
start all
submit A as one
expect final one within 10s
disk C full
disk D full
submit A as two
expect standstill for 30s
expect pending two
disk C room
expect final two within 2min
disk D room
