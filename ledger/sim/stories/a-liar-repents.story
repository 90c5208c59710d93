# A member lies in many ways and then stops. It is a member like any other again.
network 4 validators proposer_term=1
start all
liar D withhold-commits huge-view false-heads spam
submit A x 3 as one
expect final all within 60s
liar D honest
settle
submit D as two
expect final two within 60s
expect same block on all within 60s
