# Every certificate in the consortium has run out, and every machine was off. Each hospital makes
# itself a new one from the CA key that it holds, and the consortium is back without anybody's vote.
network 4 validators
start all
submit A as one
expect final one within 10s
power-off all
later 3years
start all
expect standstill for 30s
expect reason A "Quorum lost" within 30s
stop all
renew all
start all
submit A as two
expect final two within 60s
