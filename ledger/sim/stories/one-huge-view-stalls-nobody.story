# One member claims a view that would come in a million years, again and again. Nobody follows one
# alone: it takes f+1 to be joined. In other networks one such message stalled everybody for good.
network 4 validators
start all
submit A as before
expect final before within 10s
liar D huge-view
submit A x 5 as one
expect told D huge-view within 10s
expect final all within 30s
expect views <= 1 on A B C
