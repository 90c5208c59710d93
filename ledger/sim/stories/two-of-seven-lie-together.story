# Two of seven are the most that may lie; together they tell two stories, to two halves of the rest.
network 7 validators proposer_term=1
start all
liar F equivocate
liar G equivocate vote-for-anything
submit A x 5 as one
submit B x 5 as two
expect final all within 2min
expect same block on A B C D E within 30s
audit
