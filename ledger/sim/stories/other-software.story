# One hospital runs a version that computes other results. Its proposals are refused, it cannot
# reproduce what the others decide, stands still, and says where it differs.
network 4 validators
start all
submit A as one
expect final one within 10s
software D differs
submit A as two
expect final two within 60s
expect reason D "Diverged" within 60s
expect reason D "gas" within 60s
submit B as three
expect final three within 60s
