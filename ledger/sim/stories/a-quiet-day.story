# A quiet day.
# Nothing goes wrong. What patients submit at any hospital is final everywhere within seconds, and
# nobody changes the view.
network 4 validators
start all
submit A x 5 as a
submit C x 5 as c
expect final all within 10s
expect same block on all within 5s
expect views = 0 on all
audit
