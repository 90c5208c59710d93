# A health centre is cut off altogether, and says so.
network 4 validators 1 followers
start all
run 5s
partition A B C D | f1
expect reason f1 "Cut off" within 60s
submit A as t
expect final t within 20s
heal
expect same block on all within 60s
