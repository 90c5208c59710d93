# One hospital's clock is a minute ahead. The others refuse its blocks, without accusing anybody, and it
# says that its clock is wrong.
network 4 validators
start all
clock B +60s
submit A x 2 as a
submit C x 2 as c
expect final all within 2min
expect reason B "clock is" within 60s
