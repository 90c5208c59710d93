# Relays that send much twice, late and out of order: the same block or vote twice does no harm.
network 4 validators
start all
line all doubled=30% reordered=50%
submit A x 5 as a
submit B x 5 as b
expect final all within 2min
audit
