# The line between two towns is cut, two hospitals on each side. Neither side may go on alone.
network 4 validators
start all
submit A as before
expect final before within 10s
partition A B | C D
submit A as left
submit C as right
expect standstill for 30s
expect reason A "Quorum lost" within 20s
expect reason D "Quorum lost" within 20s
heal
expect final left right within 60s
expect same block on all within 20s
