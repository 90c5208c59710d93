# All four lose power while each is writing, each at another place.
network 4 validators
start all
submit A as t
crash A mid-commit part
crash B mid-commit garbled after 1
crash C mid-commit nothing after 2
crash D mid-commit whole after 1
run 10s
start all
submit D as after
expect final after within 60s
