# A virtual machine is moved and stands still for half a minute, with its connections open.
network 4 validators
start all
submit A as one
expect final one within 10s
pause D
submit A x 3 as two
expect final all within 30s
run 30s
resume D
expect same block on all within 30s
