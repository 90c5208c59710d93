# Seven members: the network falls apart so that one side is a quorum only with the two liars in it.
# They tell each side its own story. Nobody is deceived into two histories.
network 7 validators proposer_term=1
start all
submit A as before
expect final before within 10s
liar F equivocate vote-for-anything
liar G equivocate hide-lock
deceive A B
partition A B F G | C D E
submit A x 3 as one
submit C x 3 as two
run 20s
heal
settle
expect final all within 60s
expect same block on A B C D E within 60s
audit
