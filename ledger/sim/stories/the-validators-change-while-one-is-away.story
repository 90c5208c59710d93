# The set of validators changes twice while one hospital is offline. It follows the changes from what it
# knew and finds the present set.
network 6 validators
start all
stop F
vote validators A B C D F in 5 blocks
run 4min
vote validators B C D E F in 5 blocks
run 4min
start F
expect same block on all within 2min
audit
