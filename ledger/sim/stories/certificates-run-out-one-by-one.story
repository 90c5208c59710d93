# The certificate of one hospital has run out. Its connections stand until they end; then the others
# turn it away until it shows a new one.
network 4 validators
start all
submit A as one
expect final one within 10s
later 3years
renew A B C
restart A
run 2s
restart B
run 2s
restart C
run 2s
crash D
start D
expect reason D "Quorum lost" within 60s
submit A as two
expect final two within 60s
renew D
restart D
expect same block on all within 60s
