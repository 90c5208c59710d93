# One hospital's clock is a minute behind. It refuses good blocks, is carried by the others all the same,
# and says that its clock is wrong.
network 4 validators
start all
clock C -60s
submit A x 2 as a
expect final all within 60s
expect reason C "clock is" within 60s
clock C right
expect same block on all within 60s
