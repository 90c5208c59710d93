# A node that comes back can ask only a liar at first, and gets other blocks, forged certificates and
# chains that are too short. It takes none of it, and catches up when it reaches somebody else.
network 4 validators
start all
crash A
submit B x 6 as one
expect final all within 30s
liar D false-blocks
cut A | B C
start A
run 10s
expect height <= 6 on A
heal
expect same block on A B C within 2min
submit A as two
expect final two within 60s
audit
