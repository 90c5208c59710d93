# What was submitted at a hospital that is cut off becomes final when the line is back.
network 4 validators
start all
partition A B C | D
submit D as one
run 15s
expect pending one
heal
expect final one within 60s
