# At each height another half of the others hears a validator. They help each other out.
network 4 validators proposer_term=1
start all
liar C tell-some
submit A x 10 as one
expect final all within 2min
expect same block on A B D within 30s
