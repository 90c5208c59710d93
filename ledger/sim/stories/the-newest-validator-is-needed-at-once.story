# The newest validator is needed from its first block on.
#
# A hospital that has only followed so far gets a vote while its lines to half of the others are down, and
# one of these dies just when it joins. Three of four are left, and the new one is among them.
network 4 validators 1 followers
start all
run 1s
submit A as one
expect final one within 30s
submit A as two
expect final two within 30s
expect ready f1 within 60s
cut f1 | C D
vote validators A B C f1 in 6 blocks
submit A as three
expect final three within 30s
submit A as four
expect final four within 30s
submit A as five
expect final five within 30s
submit A as six
expect final six within 30s
expect height >= 8 on A B C f1 within 60s
crash C
heal
submit A as after
expect final after within 60s
submit f1 as its-own
expect final its-own within 60s
audit
