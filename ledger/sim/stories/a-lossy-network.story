# One frame in five is lost, one in ten comes twice, and every third comes late.
network 4 validators
start all
line all loss=20% doubled=10% reordered=30%
submit A x 3 as a
submit D x 3 as d
expect final all within 5min
