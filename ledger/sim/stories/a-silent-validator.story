# A validator takes part in nothing and answers all the same. The other three do without it.
network 4 validators proposer_term=1
start all
liar B withhold
submit A x 5 as one
expect final all within 2min
expect told B withhold
